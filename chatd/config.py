"""The configuration: one TOML file, read into attrs classes and checked whole.

The rule: every setting is one field here (or in a door's ``Settings``), with its default, its check
and a line of help. The program trusts a :class:`Config` without looking again.
"""

import difflib
import re
import shlex
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final

import attrs

from chatd.domain.errors import BadName
from chatd.domain.names import read_channel_name, read_name

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or None."""

TLS: Final = frozenset({"ssl", "tls"})  # endpoints that have a certificate
ON_PORTS: Final = TLS | {"tcp", "tcp6"}  # endpoints that have an interface

ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound


def setting(default: Any, help_text: str, check: Check | None = None, example: Any = "") -> Any:
    """A field of a settings class: its default, its line of help, its check.

    ``example`` is what the sample configuration shows of one that has no default.
    """
    metadata = {"help": help_text, "check": check, "example": example}
    return attrs.field(default=default, metadata=metadata)


def at_least(least: float) -> Check:
    """A check: a number not below ``least``."""
    return lambda value: None if value >= least else f"is {value}, but must be at least {least}"


def between(least: float, most: float) -> Check:
    """A check: a number from ``least`` to ``most``."""
    return lambda value: (
        None if least <= value <= most else f"is {value}, but must be from {least} to {most}"
    )


def one_of(*choices: str) -> Check:
    """A check: one of these words."""

    def check(value: str) -> str | None:
        if value in choices:
            return None
        return f'is "{value}", but must be one of {", ".join(choices)}{meant(value, choices)}'

    return check


def _channel_name(value: str) -> str | None:
    try:
        read_channel_name(value)
    except BadName as error:
        return f'is "{value}": {error}'
    return None


def _names(value: tuple[str, ...]) -> str | None:
    for name in value:
        try:
            read_name(name)
        except BadName as error:
            return f'has "{name}": {error}'
    return None


def _listen(value: tuple[str, ...]) -> str | None:
    return None if value else "is empty"


def _store_url(value: str) -> str | None:
    if value.startswith("sqlite:///") and len(value) > len("sqlite:///") and value.isprintable():
        return None
    return f"is {as_toml(value)}, but must be sqlite:///FILE"


def _command(value: str) -> str | None:
    try:
        shlex.split(value)
    except ValueError as error:
        return f"is no command: {error}"
    return _printable(value)


def _filled(value: str) -> str | None:
    return _printable(value) if value.strip() else "is empty"


def _printable(value: str) -> str | None:
    return None if value.isprintable() else "has characters that can't be shown"


def _host(value: str) -> str | None:
    # People paste it into a shell.
    if re.fullmatch(r"[\w.:-]*", value, re.ASCII):
        return None
    return f"is {as_toml(value)}, but must be a host name or an IP address"


def _address(value: str) -> str | None:
    try:
        ip_address(value)
    except ValueError:
        return f'is "{value}", but must be an IP address, as 127.0.0.1 or ::1'
    return None


@attrs.frozen
class Accounts:
    """Who gets in, and how."""

    register: str = setting(
        "open", "open: anyone may register a name; closed: nobody", one_of("open", "closed")
    )
    guests: bool = setting(False, "let an unknown name in without a password")
    operators: tuple[str, ...] = setting(
        (), 'accounts that may use the operator commands, as ["alice"]', _names
    )
    session: str = setting(
        "refuse",
        "a second login with a name online: refuse it, or replace the first",
        one_of("refuse", "replace"),
    )
    broadcast: str = setting(
        "operators",
        "who may speak to everybody online: operators, or everyone",
        one_of("operators", "everyone"),
    )
    groups: int = setting(20, "groups that one account may be the admin of; 0: any", at_least(0))
    mailbox: int = setting(
        1000, "unread messages that may wait for one account; 0: any number", at_least(0)
    )
    members: str = setting(
        "",
        "a file of the only people who get in, a line each: name or mail address, password,"
        " groups; relative to the state directory",
        _printable,
    )
    password_length: int = setting(4, "the fewest characters of a new password", between(1, 1024))
    bcrypt_cost: int = setting(
        11, "each step up doubles the time of a password check (11: 0.1 s)", between(4, 15)
    )
    lockout_tries: int = setting(
        3,
        "wrong passwords in a row, per account and address, before a lock; 0: no lock",
        at_least(0),
    )
    lockout_seconds: int = setting(60, "how long a lock lasts", at_least(1))


@attrs.frozen
class Store:
    """Where everything that lasts is kept, and how long."""

    url: str = setting(
        "sqlite:///chatd.db", "the database; a relative file is in the state directory", _store_url
    )
    keep_days: int = setting(365, "days that lines and messages are kept; 0: for ever", at_least(0))
    keep_lines: int = setting(
        1_000_000, "lines that are kept of a room, the last ones; 0: all", at_least(0)
    )


@attrs.frozen
class Log:
    """Where it is written what happens."""

    format: str = setting(
        "text",
        "text: lines for people; json: an object a line, for programs",
        one_of("text", "json"),
    )
    file: str = setting(
        "", "a file, relative to the state directory; if empty standard output", _printable
    )


@attrs.frozen
class Files:
    """What people send each other over the files port, and for how long; a limit of 0 is none."""

    file_bytes: int = setting(4_294_967_296, "bytes of one file", at_least(0))
    user_bytes: int = setting(
        8_589_934_592, "bytes of all files that one account has on the way", at_least(0)
    )
    total_bytes: int = setting(34_359_738_368, "bytes of all files together", at_least(0))
    spare_bytes: int = setting(
        268_435_456, "bytes that files leave free on the disk, for everything else", at_least(0)
    )
    user_files: int = setting(20, "files that one account has on the way", at_least(0))
    expire_hours: int = setting(72, "hours that a file waits to be fetched", at_least(1))
    ticket_minutes: int = setting(60, "minutes in which a ticket is to be used", at_least(1))
    scan: str = setting(
        "",
        "a command that looks at each file, as clamdscan --no-summary --fdpass: the file's path is"
        " put behind it, and any status but 0 refuses the file",
        _command,
    )
    host: str = setting(
        "",
        "the host name that people are told for the files port; if empty, the address at which"
        " they have reached the chat",
        _host,
    )


@attrs.frozen
class Channel:
    """A room with its own port."""

    name: str = setting("", "letters, digits, '_', '-' and '.'", _channel_name)
    listen: tuple[str, ...] = setting(
        (),
        "a Twisted endpoint, or a list of them, as"
        ' ["tcp:5001:interface=10.0.0.1", "unix:/run/general"]',
        _listen,
    )
    capacity: int = setting(100, "people who may be in it; others wait in its queue", at_least(1))
    afk_seconds: int = setting(
        100, "seconds of silence before somebody is put out; 0: never", at_least(0)
    )
    history: bool = setting(True, "keep what is said, for /history")


@attrs.frozen
class Door:
    """A way in besides the channels' ports. ``settings`` are those of its kind."""

    kind: str = setting("", "what is spoken there; line: telnet and nc, into the lobby")
    listen: tuple[str, ...] = setting((), "as a channel's", _listen)
    settings: Any = None


@attrs.frozen
class Limits:
    """What nobody may exceed; 0 switches one off."""

    connections: int = setting(20_000, "connections in all", at_least(0))
    connections_per_address: int = setting(64, "connections from one address", at_least(0))
    login_seconds: int = setting(60, "seconds to log in", at_least(0))
    line_bytes: int = setting(4096, "bytes in a line, its end not counted", at_least(0))
    lines_per_second: float = setting(
        10, "lines a second from one connection; more are delayed, then refused", at_least(0)
    )
    burst: int = setting(50, "lines that may come at once before that", at_least(1))
    waiting_requests: int = setting(
        64, "lines of one connection that wait for their turn", at_least(0)
    )
    waiting_logins: int = setting(
        500, "passwords that wait to be checked, of all connections", at_least(0)
    )
    backlog_bytes: int = setting(
        262_144,
        "bytes that a client may leave unread for 10 seconds, or 64 times as many at"
        " once, before it is dropped",
        at_least(0),
    )
    history_lines: int = setting(200, "lines that one /history shows", at_least(0))
    history_reads: int = setting(8, "/history requests that are read at once", at_least(0))
    journal_bytes: int = setting(
        131_072, "bytes that wait to be stored before the doors stop reading", at_least(0)
    )


@attrs.frozen
class Config:
    """Everything that can be configured. ``state`` empty is the environment's choice."""

    name: str = setting("chatd", "what the server calls itself", _filled)
    state: str = setting(
        "",
        "directory of all that lasts; if empty $STATE_DIRECTORY, else ~/.local/state/chatd",
        _printable,
    )
    host: str = setting(
        "127.0.0.1",
        "where an endpoint that names no interface listens. Think before you open it to the"
        " network (0.0.0.0, or ::): telnet and nc carry passwords in the clear",
        _address,
    )
    accounts: Accounts = attrs.field(factory=Accounts)
    store: Store = attrs.field(factory=Store)
    files: Files = attrs.field(factory=Files)
    log: Log = attrs.field(factory=Log)
    channels: tuple[Channel, ...] = (
        Channel("general", ("tcp:5001",)),
        Channel("random", ("tcp:5002",)),
        Channel("help", ("tcp:5003",)),
    )
    doors: tuple[Door, ...] = (Door("line", ("tcp:5000",)), Door("files", ("tcp:5080",)))
    limits: Limits = attrs.field(factory=Limits)

    def endpoint(self, listen: str, settings: Any = None) -> str:
        """An endpoint string with the interface it listens on, where it names none.

        ``settings`` are those of its door; their class may have another ``HOST`` than ours.
        """
        if kind_of(listen) not in ON_PORTS or ":interface=" in listen:
            return listen
        host = str(getattr(settings, "HOST", self.host)).replace(":", "\\:")
        return f"{listen}:interface={host}"


def meant(word: str, known: Iterable[str]) -> str:
    """What somebody who wrote this may have meant, as the end of a sentence."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def as_toml(value: object) -> str:
    """A value as it stands in a TOML file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "a table"
    return f"{value:g}" if isinstance(value, float) else str(value)


def kind_of(endpoint: str) -> str:
    """What an endpoint string begins with; a proxy's prefix doesn't count."""
    return endpoint.casefold().removeprefix("haproxy:").partition(":")[0]
