"""The twistd service: reads the options and makes the server.

The rule: this is the only module that touches the reactor; everybody else is handed what they need.
"""

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from chatd import __version__
from chatd.config import Check, Config, kind_of
from chatd.configfile import ConfigError, Problem, load, sample
from chatd.doors import IDoor, known_doors
from chatd.process import Process, log_of
from chatd.server import ChatService, spawn
from chatd.systemd import Notifier

_NOT_PASSED: Final = "systemd passes no such socket (FileDescriptorName= of a .socket unit)"


class Options(usage.Options):
    """What ``twistd -n chatd`` takes."""

    synopsis = "[options]"
    longdesc = "A chat server for telnet and nc. Without a file it runs on built-in defaults."
    optParameters: ClassVar = [
        ["config", "c", None, "the configuration, a TOML file"],
        ["host", None, None, "where to listen instead of 127.0.0.1 (0.0.0.0: every network)"],
    ]
    optFlags: ClassVar = [
        ["check", None, "check the configuration and exit"],
        ["sample", None, "print a commented sample configuration and exit"],
    ]

    def opt_version(self) -> None:
        """Print the version and exit."""
        sys.stdout.write(f"chatd {__version__}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the configuration; all its mistakes are told at once."""
        if self["sample"]:
            sys.stdout.write(sample(further_doors(known_doors())))
            raise SystemExit(0)
        try:
            check = check_outside_systemd if self["check"] else check_endpoint
            self.config = read_config(self["config"], self["host"], check)
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(1) from None
        if self["check"]:
            sys.stdout.write("The configuration is right.\n")
            raise SystemExit(0)


def check_endpoint(listen: str) -> str | None:
    """What is wrong with an endpoint string, or None."""
    try:
        serverFromString(_reactor, listen)
    except Exception as error:  # noqa: BLE001
        # Parsers of endpoint strings raise whatever their arguments make them: a missing
        # certificate an OSError, a misspelt key a TypeError. All of it is the string's fault.
        if isinstance(error, LookupError) and kind_of(listen) == "systemd":
            return _NOT_PASSED
        return f"no endpoint: {error or type(error).__name__}"
    return None


def check_outside_systemd(listen: str) -> str | None:
    """The same by hand, where nobody passes the sockets that systemd will."""
    wrong = check_endpoint(listen)
    return None if wrong == _NOT_PASSED else wrong


def read_config(file: str | None, host: str | None, check: Check = check_endpoint) -> Config:
    """The configuration of a file, or the defaults where there is none.

    Raises:
        ConfigError: with all mistakes.
    """
    text = ""
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(file, [Problem(0, "", error.strerror or str(error))]) from None
        except UnicodeDecodeError:
            raise ConfigError(file, [Problem(0, "", "is not UTF-8 text")]) from None
    doors = known_doors()
    kinds = {kind: partial(_settings_class, door) for kind, door in doors.items()}
    return load(file or "defaults", text, kinds, check, host)


def further_doors(doors: Mapping[str, IDoor]) -> dict[str, type | str]:
    """Every kind of door besides the lobby's: its settings class, or why it can't be had."""
    found: dict[str, type | str] = {}
    for kind in doors.keys() - {Config().doors[0].kind}:
        try:
            found[kind] = _settings_class(doors[kind])
        except ImportError as error:
            found[kind] = str(error)
    return found


def makeService(options: Options) -> Process:
    """The service of ``twistd -n chatd``."""
    log = log_of(options.config.log, options.parent)
    # A daemon changes its directory.
    file = options["config"] and os.path.abspath(options["config"])
    read = partial(read_config, file, options["host"])
    chat = ChatService(options.config, _reactor, read, log=log)
    process = Process(_reactor, chat, log, Notifier.of(os.environ, _reactor), spawn, options.parent)
    chat.setServiceParent(process)  # type: ignore[no-untyped-call]
    return process


def _settings_class(door: IDoor) -> type:
    settings: type = door.load().Settings
    return settings
