"""Reception: what every door is given, and how it listens.

The rule: a door gets its sessions here and nowhere else, so that the limits on connections hold on
every door.
"""

import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure

from chatd.domain.hub import Hub
from chatd.domain.limits import Gate
from chatd.domain.ports import Codec, Link
from chatd.domain.rooms import Channel
from chatd.domain.session import Session

_BACKLOG: Final = 1024  # the kernel takes fewer where net.core.somaxconn says so


class ListenError(Exception):
    """A door that can't open. ``str()`` is a sentence for the operator."""


@attrs.frozen
class Reception:
    """Where a door leads, and within which limits."""

    hub: Hub
    gate: Gate
    backlog_bytes: int
    channel: Channel | None
    listen: Sequence[tuple[str, IStreamServerEndpoint]]

    def session(self, link: Link, codec: Codec, address: str) -> Session:
        """A session for a connection that the gate has let in."""
        return Session.begin(self.hub, link, codec, address, self.channel)

    def service(self, factory: IProtocolFactory) -> "Listening":
        """A service that listens where the configuration says."""
        return Listening(factory, self.listen)


class Listening(Service):
    """Listens on endpoints while it runs; one that can't be had stops the start."""

    def __init__(
        self, factory: IProtocolFactory, listen: Sequence[tuple[str, IStreamServerEndpoint]]
    ) -> None:
        self._factory = factory
        self._listen = listen
        self.ports: list[IListeningPort] = []

    def startService(self) -> None:
        """Listen on every endpoint.

        Raises:
            ListenError: one of them can't be had.
        """
        Service.startService(self)
        for text, endpoint in self._listen:
            failed: list[Failure] = []
            listening = endpoint.listen(self._factory)
            listening.addCallbacks(self.ports.append, failed.append)
            if failed:
                raise ListenError(f"{text}: {_reason(failed[0])}")
            if ":backlog=" not in text:
                _lengthen(self.ports[-1])

    def addresses(self) -> Iterator[tuple[str, IAddress]]:
        """Where it listens: each endpoint as configured, with the address it has there."""
        for (text, _endpoint), port in zip(self._listen, self.ports, strict=True):
            yield text, port.getHost()

    def stopService(self) -> Deferred[Any]:
        """Take no more connections; those there are stay."""
        Service.stopService(self)
        ports, self.ports = self.ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def _lengthen(port: IListeningPort) -> None:
    """Let more clients come at one moment than the 50 of an endpoint's default.

    Those above wait for a second or more before they try again (measured: 200 logins at once took
    16 ms each with 50 places, 2 ms with enough of them).
    """
    listening = getattr(port, "socket", None)
    if isinstance(listening, socket.socket):
        listening.listen(_BACKLOG)


def _reason(failure: Failure) -> str:
    """Why a port can't be had, in the words of the system."""
    error: BaseException | None = failure.value
    inner = getattr(error, "socketError", None)
    return getattr(inner, "strerror", None) or str(inner or error)
