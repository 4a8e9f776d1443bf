"""The manhole door: an admin shell over SSH (PRODUCT.md, 9).

The rule: whoever holds the private key to one that is listed is an operator, and nobody else gets
further than the login. The door is on loopback unless its endpoint names another interface,
whatever the configuration says of the others.
"""

from functools import partial
from typing import ClassVar

import attrs
from twisted.application.service import Service
from twisted.logger import Logger

from chatd.config import at_least, setting
from chatd.domain.limits import Gate
from chatd.doors.reception import Reception
from chatd.doors.ssh import SshFactory
from chatd.doors.sshkeys import AuthorizedKeys, fingerprint, host_key
from chatd.doors.terminal import Terminal

_log = Logger()


def _file(value: str) -> str | None:
    return None if value.strip() and value.isprintable() else "is no name of a file"


@attrs.frozen
class Settings:
    """The admin shell over SSH: who may log in, and within which limits."""

    PORT: ClassVar[int] = 5022
    HOST: ClassVar[str] = "127.0.0.1"
    SECRET: ClassVar[bool] = True

    authorized_keys: str = setting(
        attrs.NOTHING,
        "a file of public keys, as OpenSSH has it; relative to the state directory",
        _file,
        example="admins.pub",
    )
    host_key: str = setting(
        "ssh_host_ed25519_key",
        "the server's own key, made at the first start; relative to the state directory",
        _file,
    )
    login_seconds: int = setting(60, "seconds to log in", at_least(1))
    login_tries: int = setting(3, "keys that a client may try", at_least(1))
    connections_per_address: int = setting(
        4, "connections from one address; 0: any number", at_least(0)
    )


def open_door(settings: Settings, reception: Reception) -> "Manhole":
    """The service of the admin shell.

    Raises:
        ListenError: it has no host key.
    """
    own = host_key(reception.state / settings.host_key)
    keys = AuthorizedKeys(reception.state / settings.authorized_keys)
    keys.read()  # what is wrong with it is logged now already
    factory = SshFactory(
        reception,
        keys,
        own,
        partial(Terminal, reception),
        gate=Gate(0, settings.connections_per_address),
        login_seconds=settings.login_seconds,
        login_tries=settings.login_tries,
    )
    reception.factory = factory
    _log.info("the host key of {kind} is {key}", kind=reception.kind, key=fingerprint(own.blob()))
    return Manhole(factory)


class Manhole(Service):
    """Ends the connections when the server stops."""

    def __init__(self, factory: SshFactory) -> None:
        self._factory = factory

    def stopService(self) -> None:
        """Say goodbye to everyone."""
        Service.stopService(self)
        for connection in list(self._factory.connections):
            connection.end("The server is stopping. Goodbye.")
