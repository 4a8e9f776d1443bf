"""The configuration: one TOML file, read into attrs classes and checked whole.

The rule: every setting is one field here (or in a door's ``Settings``), with its default, its check
and a line of help; the sample file is generated from them. All mistakes are told at once, each with
its line. The program trusts a :class:`Config` without looking again.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from chatd.domain.errors import BadName
from chatd.domain.names import key_of, read_channel_name, read_name

Path = tuple[str | int, ...]
Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or None."""

_WANTS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple[str, ...]: "a string or a list of strings",
}


@attrs.frozen
class Problem:
    """One mistake in a configuration: its line (0: none), its place, and what is wrong."""

    line: int
    path: str
    text: str


class ConfigError(Exception):
    """A configuration that can't be used. ``str()`` has a line for each mistake."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(_shown(file, problem) for problem in self.problems))


def setting(default: Any, help_text: str, check: Check | None = None) -> Any:
    """A field of a settings class: its default, its line of help, its check."""
    return attrs.field(default=default, metadata={"help": help_text, "check": check})


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
        return f'is "{value}", but must be one of {", ".join(choices)}{_meant(value, choices)}'

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


def _store_url(value: str) -> str | None:
    if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
        return None
    return f'is "{value}", but must be sqlite:///FILE'


def _filled(value: str) -> str | None:
    return None if value.strip() and value.isprintable() else "is empty"


@attrs.frozen
class Accounts:
    """Who gets in, and how."""

    register: str = setting(
        "open", "open: anyone may register a name; closed: nobody", one_of("open", "closed")
    )
    guests: bool = setting(False, "let an unknown name in without a password")
    operators: tuple[str, ...] = setting((), "accounts that may use the operator commands", _names)
    session: str = setting(
        "refuse",
        "a second login with a name online: refuse it, or replace the first",
        one_of("refuse", "replace"),
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
    keep_days: int = setting(365, "days that a channel's lines are kept; 0: for ever", at_least(0))
    keep_lines: int = setting(
        1_000_000, "lines that are kept of a channel, the last ones; 0: all", at_least(0)
    )


@attrs.frozen
class Channel:
    """A room with its own port."""

    name: str = setting("", "letters, digits, '_', '-' and '.'", _channel_name)
    listen: tuple[str, ...] = setting((), "any Twisted endpoint, or a list of them")
    capacity: int = setting(100, "people who may be in it; others wait in its queue", at_least(1))
    afk_seconds: int = setting(
        100, "seconds of silence before somebody is put out; 0: never", at_least(0)
    )
    history: bool = setting(True, "keep what is said, for /history")


@attrs.frozen
class Door:
    """A way in besides the channels' ports. ``settings`` are those of its kind."""

    kind: str = setting("", "what is spoken there")
    listen: tuple[str, ...] = setting((), "any Twisted endpoint, or a list of them")
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
        262_144, "bytes that a client may leave unread before it is dropped", at_least(0)
    )
    history_lines: int = setting(200, "lines that one /history shows", at_least(0))
    history_reads: int = setting(8, "/history requests that are read at once", at_least(0))
    journal_events: int = setting(
        10_000, "events that wait to be stored before the doors stop reading", at_least(0)
    )


@attrs.frozen
class Config:
    """Everything that can be configured. ``state`` empty is the environment's choice."""

    name: str = setting("chatd", "what the server calls itself", _filled)
    state: str = setting(
        "", "directory of all that lasts; default: $STATE_DIRECTORY, else ~/.local/state/chatd"
    )
    host: str = setting(
        "127.0.0.1",
        "where an endpoint that names no interface listens. Passwords travel in the clear over"
        " telnet and nc: think before you open it (0.0.0.0, or ::)",
        _filled,
    )
    accounts: Accounts = attrs.field(factory=Accounts)
    store: Store = attrs.field(factory=Store)
    channels: tuple[Channel, ...] = (
        Channel("general", ("tcp:5001",)),
        Channel("random", ("tcp:5002",)),
        Channel("help", ("tcp:5003",)),
    )
    doors: tuple[Door, ...] = (Door("line", ("tcp:5000",)),)
    limits: Limits = attrs.field(factory=Limits)

    def endpoint(self, listen: str) -> str:
        """An endpoint string with the interface it listens on, where it names none."""
        kind = listen.partition(":")[0].casefold()
        if kind not in {"tcp", "ssl", "tls"} or ":interface=" in listen:
            return listen
        return f"{listen}:interface={self.host.replace(':', chr(92) + ':')}"


def load(
    file: str,
    text: str,
    kinds: Mapping[str, Callable[[], type]],
    check_endpoint: Check = lambda value: None,
) -> Config:
    """Read a configuration from the text of a TOML file.

    ``kinds`` has the settings class of every kind of door, fetched only for a door that is
    configured; ``check_endpoint`` says what is wrong with an endpoint string.

    Raises:
        ConfigError: with all mistakes.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(file, [Problem(int(line[1]) if line else 0, "", str(error))]) from None
    reader = _Reader(_lines_of(text), [])
    config = reader.config(document, kinds, check_endpoint)
    if reader.problems:
        raise ConfigError(file, reader.problems)
    return config


def sample() -> str:
    """The commented sample file: every setting with its default."""
    default = Config()
    out = [
        "# chatd: a sample configuration. Every setting stands here with its default;",
        "# a file need only have what it changes. Check one with: twistd -n chatd -c FILE --check",
        "",
        *_sample_fields(default, skip=("accounts", "store", "channels", "doors", "limits")),
    ]
    for title in ("accounts", "store"):
        out += ["", f"[{title}]", *_sample_fields(getattr(default, title))]
    for n, channel in enumerate(default.channels):
        out += ["", "[[channel]]", *_sample_fields(channel, comments=not n, changed=bool(n))]
    for door in default.doors:
        out += ["", "[[door]]", *_sample_fields(door, skip=("settings",))]
    out += ["", "[limits]  # 0 switches one off", *_sample_fields(default.limits)]
    return "\n".join(out) + "\n"


@attrs.define
class _Reader:
    """Reads a parsed document into the classes above, gathering what is wrong."""

    lines: Mapping[Path, int]
    problems: list[Problem]

    def config(
        self,
        document: dict[str, Any],
        kinds: Mapping[str, Callable[[], type]],
        check_endpoint: Check,
    ) -> Config:
        tables = {"accounts": Accounts, "store": Store, "limits": Limits}
        arrays = ("channel", "door")
        rest = {k: v for k, v in document.items() if k not in tables and k not in arrays}
        own = [f for f in attrs.fields(Config) if "help" in f.metadata]
        given = self._fields((), rest, own, also=(*tables, *arrays))
        for key, cls in tables.items():
            given[key] = self._table((key,), cls, document.get(key, {}))
        if "channel" in document or "door" in document:
            # Whoever declares a way in declares all of them.
            given["channels"] = tuple(
                self._table(path, Channel, value, needs=("name", "listen"))
                for path, value in self._array("channel", document)
            )
            given["doors"] = tuple(
                self._door(path, value, kinds) for path, value in self._array("door", document)
            )
        config = Config(**given)
        self._check_channels(config)
        self._check_listeners(config, check_endpoint)
        return config

    def _array(self, key: str, document: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
        value = document.get(key, [])
        if not isinstance(value, list):
            self._problem((key,), f"must be written [[{key}]]")
            return
        for n, entry in enumerate(value):
            yield (key, n), entry

    def _door(self, path: Path, value: Any, kinds: Mapping[str, Callable[[], type]]) -> Door:
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in kinds:
            shown = f'is "{kind}"' if kind is not None else "is missing"
            known = ", ".join(sorted(kinds))
            meant = _meant(str(kind), kinds)
            self._problem((*path, "kind"), f"{shown}, but must be one of {known}{meant}")
            return Door()
        settings = kinds[kind]()
        own = [f.name for f in attrs.fields(settings)]
        shared = {k: v for k, v in value.items() if k in {"kind", "listen"}}
        door: Door = self._table(path, Door, shared, needs=("kind", "listen"))
        rest = {k: v for k, v in value.items() if k not in shared}
        given = self._fields(path, rest, attrs.fields(settings), also=("kind", "listen", *own))
        return attrs.evolve(door, settings=settings(**given))

    def _table(self, path: Path, cls: type[Any], value: Any, needs: tuple[str, ...] = ()) -> Any:
        if not isinstance(value, dict):
            self._problem(path, f"must be a table, [{path[0]}]")
            return cls()
        for key in needs:
            if key not in value:
                self._problem((*path, key), "is missing")
        return cls(**self._fields(path, value, attrs.fields(cls)))

    def _fields(
        self, path: Path, value: dict[str, Any], fields: Iterable[Any], also: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        known = {f.name: f for f in fields if "help" in f.metadata}
        given: dict[str, Any] = {}
        for key, raw in value.items():
            where = (*path, key)
            if key not in known:
                self._problem(where, f"unknown setting{_meant(key, (*known, *also))}")
                continue
            field = known[key]
            read = _typed(field.type, raw)
            if read is None:
                self._problem(where, f"must be {_WANTS[field.type]}, not {_toml(raw)}")
                continue
            check = field.metadata["check"]
            wrong = check(read) if check else None
            if wrong:
                self._problem(where, wrong)
                continue
            given[key] = read
        return given

    def _check_channels(self, config: Config) -> None:
        seen: dict[str, str] = {}
        for n, channel in enumerate(config.channels):
            if channel.name and not _channel_name(channel.name):
                key = key_of(read_channel_name(channel.name))
                if key in seen:
                    text = f'is "{channel.name}", the name of another channel'
                    self._problem(("channel", n, "name"), text)
                seen[key] = channel.name

    def _check_listeners(self, config: Config, check_endpoint: Check) -> None:
        places: dict[tuple[str, str], str] = {}
        ways = [(("channel", n, "listen"), c.listen) for n, c in enumerate(config.channels)]
        ways += [(("door", n, "listen"), d.listen) for n, d in enumerate(config.doors)]
        for path, listen in ways:
            for one in listen:
                wrong = check_endpoint(config.endpoint(one))
                if wrong:
                    self._problem(path, f'"{one}": {wrong}')
                    continue
                for port, interface in _place(config.endpoint(one)):
                    taken = places.get((port, interface)) or (
                        next((v for (p, _), v in places.items() if p == port), None)
                        if interface in _ANYWHERE
                        else places.get((port, "0.0.0.0")) or places.get((port, "::"))  # noqa: S104
                    )
                    if taken:
                        self._problem(path, f'"{one}" is where "{taken}" listens already')
                    places[port, interface] = one
        if not ways:
            self._problem((), "there is no [[channel]] and no [[door]]: nobody could get in")

    def _problem(self, path: Path, text: str) -> None:
        line = 0
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                line = self.lines[path[:length]]
                break
        self.problems.append(Problem(line, ".".join(str(part) for part in path), text))


_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound


def _typed(kind: object, raw: object) -> object:
    """The value if it is of that kind, else None; nothing is converted but what loses nothing."""
    if kind == tuple[str, ...]:
        many = [raw] if isinstance(raw, str) else raw
        if isinstance(many, list) and all(isinstance(one, str) for one in many):
            return tuple(many)
        return None
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    return raw if type(raw) is kind else None


def _place(endpoint: str) -> Iterator[tuple[str, str]]:
    """The port and interface of a TCP endpoint string, which only one listener can have."""
    parts = re.split(r"(?<!\\):", endpoint)
    if parts[0].casefold() in {"tcp", "tcp6", "ssl"}:
        named = dict(part.split("=", 1) for part in parts[1:] if "=" in part)
        bare = [part for part in parts[1:] if "=" not in part]
        port = named.get("port", bare[0] if bare else "")
        if port.strip("0"):
            interface = named.get("interface", "::" if parts[0].casefold() == "tcp6" else "")
            yield port, interface.replace("\\:", ":")


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _shown(file: str, problem: Problem) -> str:
    where = f"{file}:{problem.line}" if problem.line else file
    return (
        f"{where}: {problem.path}: {problem.text}" if problem.path else f"{where}: {problem.text}"
    )


def _lines_of(text: str) -> dict[Path, int]:
    """On which line each table begins and each key stands; tomllib doesn't tell."""
    lines: dict[Path, int] = {}
    counts: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if array := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
            counts[array[1]] = counts.get(array[1], -1) + 1
            table = (array[1], counts[array[1]])
            lines.setdefault(table, number)
        elif header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = tuple(header[1].split("."))
            lines.setdefault(table, number)
        elif key := re.match(r"\s*\"?([\w-]+)\"?\s*(?:\.[\w\s.-]+)?=", line):
            lines.setdefault((*table, key[1]), number)
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "a table"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sample_fields(
    values: Any, *, skip: tuple[str, ...] = (), comments: bool = True, changed: bool = False
) -> Iterator[str]:
    """The lines of a settings object; ``changed`` leaves out those that have their default."""
    for field in attrs.fields(type(values)):
        value = getattr(values, field.name)
        if field.name in skip or (changed and value == field.default):
            continue
        if comments:
            yield f"# {field.metadata['help']}"
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        lead = "# " if value == "" else ""
        yield f"{lead}{field.name} = {_toml(value)}"
