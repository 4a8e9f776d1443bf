"""The configuration file: read whole with all its mistakes, and its commented sample.

The rule: what may stand in a file, and with which defaults, is in :mod:`chatd.config` and in the
doors' ``Settings``; this module only reads and writes that.
"""

import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from chatd.config import (
    ANYWHERE,
    ON_PORTS,
    Accounts,
    Channel,
    Check,
    Config,
    Door,
    Files,
    Limits,
    Log,
    Store,
    as_toml,
    kind_of,
    meant,
)
from chatd.domain.names import key_of, read_channel_name

Path = tuple[str | int, ...]

Kinds = Mapping[str, Callable[[], type]]
"""The settings class of every kind of door, fetched only for a door that is configured."""

_WANTS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple[str, ...]: "a string or a list of strings",
}
_HIGHEST_PORT: Final = 65_535
_COLUMN: Final = 36  # where the sample's comments begin


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


def load(
    file: str,
    text: str,
    kinds: Kinds,
    check_endpoint: Check = lambda value: None,
    host: str | None = None,
) -> Config:
    """Read a configuration from the text of a TOML file.

    ``check_endpoint`` says what is wrong with an endpoint string; ``host`` goes before the file's.

    Raises:
        ConfigError: with all mistakes.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or Python's own for a number of 5000 digits
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(file, [Problem(int(line[1]) if line else 0, "", str(error))]) from None
    if host is not None:
        document["host"] = host
    reader = _Reader(_lines_of(text), [])
    config = reader.config(document, kinds, check_endpoint)
    if reader.problems:
        raise ConfigError(file, reader.problems)
    return config


def sample(more: Mapping[str, type | str]) -> str:
    """The commented sample file: every setting with its default.

    ``more`` has the kinds of doors besides the lobby's, each with its settings class, or the reason
    why it can't be used here. Those that aren't in the defaults are shown as comments.
    """
    default = Config()
    out = [
        "# chatd: a sample configuration. Every setting stands here with its default; a file need",
        "# only have what it changes, but where it has a [[channel]] or [[door]], it has them all.",
        "# Check one with: twistd -n chatd -c FILE --check",
        "",
        *_sample_fields(default),
    ]
    for title in ("accounts", "store", "files", "log"):
        out += _sample_table(f"[{title}]", getattr(default, title))
    first, *others = default.channels
    out += _sample_table("[[channel]]", first)
    for channel in others:
        out += ["", "[[channel]]", *_sample_fields(channel, briefly=True)]
    lobby, *doors = default.doors
    out += _sample_table("[[door]]", lobby)
    for door in doors:
        out += _sample_door(door, more.get(door.kind, ""))
    for kind, settings in sorted(more.items()):
        if kind not in {door.kind for door in doors}:
            out += _sample_other_door(kind, settings)
    out += _sample_table("[limits]", default.limits)
    return "\n".join(out) + "\n"


@attrs.define
class _Reader:
    """Reads a parsed document into the classes above, gathering what is wrong."""

    lines: Mapping[Path, int]
    problems: list[Problem]

    def config(self, document: dict[str, Any], kinds: Kinds, check_endpoint: Check) -> Config:
        tables = {
            "accounts": Accounts,
            "store": Store,
            "files": Files,
            "log": Log,
            "limits": Limits,
        }
        arrays = ("channel", "door")
        rest = {k: v for k, v in document.items() if k not in tables and k not in arrays}
        given = self._fields((), rest, attrs.fields(Config), also=(*tables, *arrays))
        for key, cls in tables.items():
            given[key] = self._table(key, cls, document.get(key, {}))
        if "channel" in document or "door" in document:
            # Whoever declares a way in declares all of them.
            given["channels"] = tuple(
                self._channel(path, entry) for path, entry in self._array("channel", document)
            )
            given["doors"] = tuple(
                self._door(path, entry, kinds) for path, entry in self._array("door", document)
            )
            if not (document.get("channel") or document.get("door")):
                self._problem((), "there is no [[channel]] and no [[door]]: nobody could get in")
        config = Config(**given)
        self._check_channels(config)
        self._check_listeners(config, check_endpoint)
        return config

    def _array(self, key: str, document: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        value = document.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self._problem((key,), f"must be written [[{key}]]")
            return
        for n, entry in enumerate(value):
            yield (key, n), entry

    def _channel(self, path: Path, value: dict[str, Any]) -> Channel:
        self._need(path, value, "name", "listen")
        return Channel(**self._fields(path, value, attrs.fields(Channel)))

    def _door(self, path: Path, value: dict[str, Any], kinds: Kinds) -> Door:
        self._need(path, value, "kind", "listen")
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            if kind is not None:
                known = f"{', '.join(sorted(kinds))}{meant(str(kind), kinds)}"
                self._problem((*path, "kind"), f"is {as_toml(kind)}, but must be one of {known}")
            return Door()
        try:
            settings = kinds[kind]()
        except ImportError as error:
            self._problem((*path, "kind"), f'"{kind}" can\'t be used here: {error}')
            return Door()
        needed = [f.name for f in attrs.fields(settings) if f.default is attrs.NOTHING]
        self._need(path, value, *needed)
        given = self._fields(path, value, (*attrs.fields(Door), *attrs.fields(settings)))
        if not given.keys() >= set(needed):
            return Door()
        own = {f.name: given.pop(f.name) for f in attrs.fields(settings) if f.name in given}
        return Door(**given, settings=settings(**own))

    def _table(self, key: str, cls: type[Any], value: Any) -> Any:
        if not isinstance(value, dict):
            self._problem((key,), f"must be a table, [{key}]")
            return cls()
        return cls(**self._fields((key,), value, attrs.fields(cls)))

    def _need(self, path: Path, value: dict[str, Any], *keys: str) -> None:
        for key in keys:
            if key not in value:
                self._problem((*path, key), "is missing")

    def _fields(
        self, path: Path, value: dict[str, Any], fields: Iterable[Any], also: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        known = {f.name: f for f in fields if "help" in f.metadata}
        given: dict[str, Any] = {}
        for key, raw in value.items():
            where = (*path, key)
            if key not in known:
                self._problem(where, f"unknown setting{meant(key, (*known, *also))}")
                continue
            field = known[key]
            read = _typed(field.type, raw)
            if read is None:
                self._problem(where, f"must be {_WANTS[field.type]}, not {as_toml(raw)}")
                continue
            check = field.metadata["check"]
            wrong = check(read) if check else None
            if wrong:
                self._problem(where, wrong)
                continue
            given[key] = read
        return given

    def _check_channels(self, config: Config) -> None:
        seen: set[str] = set()
        for n, channel in enumerate(config.channels):
            if channel.name:
                key = key_of(read_channel_name(channel.name))
                if key in seen:
                    text = f'is "{channel.name}", the name of another channel'
                    self._problem(("channel", n, "name"), text)
                seen.add(key)

    def _check_listeners(self, config: Config, check_endpoint: Check) -> None:
        ways: list[tuple[Path, Channel | Door]] = [
            *((("channel", n, "listen"), way) for n, way in enumerate(config.channels)),
            *((("door", n, "listen"), way) for n, way in enumerate(config.doors)),
        ]
        taken: list[tuple[str, tuple[int, str]]] = []
        for path, text, settings in (
            (path, text, getattr(way, "settings", None))
            for path, way in ways
            for text in way.listen
        ):
            endpoint = config.endpoint(text, settings)
            wrong = check_endpoint(endpoint)
            place = None if wrong else place_of(endpoint)
            if place is not None:
                other = next((text for text, there in taken if collide(place, there)), None)
                if other is not None:
                    wrong = f'"{other}" listens there already'
                elif place[0] > _HIGHEST_PORT:
                    wrong = f"the highest port is {_HIGHEST_PORT}"
                taken.append((text, place))
            if wrong:
                self._problem(path, f'"{text}": {wrong}')

    def _problem(self, path: Path, text: str) -> None:
        line = 0
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                line = self.lines[path[:length]]
                break
        self.problems.append(Problem(line, ".".join(str(part) for part in path), text))


def place_of(endpoint: str) -> tuple[int, str] | None:
    """What only one listener can have: a port of an interface, else (0) a path or the whole string.

    None where any number of them can listen: at port 0 the system chooses.
    """
    kind = kind_of(endpoint)
    parts = re.split(r"(?<!\\):", endpoint)
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    if kind == "unix":
        path = parts[2 if parts[0].casefold() == "haproxy" else 1]
        return 0, f"unix:{named.get('address', path)}"
    if kind not in ON_PORTS:
        return 0, endpoint
    port = named.get("port") or next((part for part in parts if part.isdecimal()), "")
    interface = named["interface"].replace("\\:", ":")
    return (int(port), interface) if port.isdecimal() and int(port) else None


def collide(one: tuple[int, str], other: tuple[int, str]) -> bool:
    """Whether only one of two places can be listened on."""
    return one == other or (one[0] == other[0] > 0 and bool(ANYWHERE & {one[1], other[1]}))


def _typed(kind: object, raw: object) -> object:
    """The value if it is of that kind, else None; nothing is converted but what loses nothing."""
    if kind == tuple[str, ...]:
        many = [raw] if isinstance(raw, str) else raw
        if isinstance(many, list) and all(isinstance(one, str) for one in many):
            return tuple(many)
        return None
    if type(raw) is int and abs(raw) >= 2**63:
        return None  # TOML has no such numbers, though tomllib does
    return raw if type(raw) is kind or (kind is float and type(raw) is int) else None


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
    for number, line in enumerate(text.split("\n"), 1):
        if array := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
            counts[array[1]] = counts.get(array[1], -1) + 1
            table = (array[1], counts[array[1]])
            lines.setdefault(table[:1], number)
            lines[table] = number
        elif header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = tuple(header[1].split("."))
            lines.setdefault(table, number)
        elif key := re.match(r"\s*\"?([\w-]+)\"?\s*(?:\.[\w\s.-]+)?=", line):
            lines.setdefault((*table, key[1]), number)
    return lines


def _sample_table(title: str, values: Any) -> Iterator[str]:
    """A table of the sample file, under the first sentence of its class's docstring."""
    doc = str(type(values).__doc__)
    yield from ("", f"# {doc.partition('.')[0]}.", title, *_sample_fields(values))


def _sample_door(door: Door, settings: type | str) -> Iterator[str]:
    """A door of the defaults, with what its kind has to set."""
    yield ""
    if isinstance(settings, type):
        yield f"# {str(settings.__doc__).partition('.')[0]}."
    yield from ("[[door]]", *_sample_fields(door, briefly=True))
    if isinstance(settings, type):
        yield from _sample_fields(settings())


def _sample_other_door(kind: str, settings: type | str) -> Iterator[str]:
    """A door as it could be, every line a comment."""
    if isinstance(settings, str):
        yield from ("", f"# A door of the kind {kind} can't be used here: {settings}.")
        return
    door = Door(kind, (f"tcp:{getattr(settings, 'PORT', 0)}",))
    doc = str(settings.__doc__).partition(".")[0]
    needed = [field for field in attrs.fields(settings) if field.default is attrs.NOTHING]
    own = settings(**{field.name: field.metadata["example"] for field in needed})
    lines = ("[[door]]", *_sample_fields(door, briefly=True), *_sample_fields(own))
    yield from ("", f"# {doc}.", *(f"# {line}" for line in lines))


def _sample_fields(values: Any, *, briefly: bool = False) -> Iterator[str]:
    """The lines of a settings object; ``briefly``: only what is no default, uncommented."""
    for field in attrs.fields(type(values)):
        value = getattr(values, field.name)
        if "help" not in field.metadata or (briefly and value == field.default):
            continue
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        shown = f"{field.name} = {as_toml(value)}"
        if briefly:
            yield shown
            continue
        for comment in textwrap.wrap(field.metadata["help"], 97 - _COLUMN):
            yield f"{shown:{_COLUMN}} # {comment}"
            shown = ""
