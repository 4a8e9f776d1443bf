"""Changes: what is different between two configurations, and what of it waits for the next start.

The rule: a configuration that is in force is never half of one. :func:`in_force` is what a running
server can take over of a new one, and :func:`differences` says all of it in plain sentences, one
for each difference.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs

from chatd.config import TLS, Channel, Config, Door, as_toml, kind_of
from chatd.domain.names import Key, key_of, read_channel_name
from chatd.domain.text import plural

T = TypeVar("T", Channel, Door)

_LATER: Final = "takes effect at the next start"


def in_force(old: Config, new: Config) -> Config:
    """The new configuration, but with the old one's where only a start can change it.

    A channel that is only written in another case is the same, and called as it was.
    """
    names = {channel_key(channel): channel.name for channel in old.channels}
    channels = tuple(
        attrs.evolve(channel, name=names.get(channel_key(channel), channel.name))
        for channel in new.channels
    )
    store = attrs.evolve(new.store, url=old.store.url)
    return attrs.evolve(new, state=old.state, log=old.log, store=store, channels=channels)


def differences(old: Config, new: Config, moved: Mapping[Key, int]) -> tuple[str, ...]:
    """A line for each difference. ``moved`` is how many people were in a channel that is closed."""
    lines = [
        *_settings("", old, new, later=("state",)),
        *_settings("accounts.", old.accounts, new.accounts),
        *_settings("store.", old.store, new.store, later=("url",)),
        *_settings("files.", old.files, new.files),
        *_settings("log.", old.log, new.log, later=("format", "file")),
        *_channels(old.channels, new.channels, moved),
        *_doors(old.doors, new.doors),
        *_settings("limits.", old.limits, new.limits),
        *_certificates(old, new),
    ]
    return tuple(lines) or ("Nothing has changed.",)


def channel_key(channel: Channel) -> Key:
    """What makes a channel the same in two configurations."""
    return key_of(read_channel_name(channel.name))


def _settings(before: str, old: Any, new: Any, later: tuple[str, ...] = ()) -> Iterator[str]:
    """The settings of a table that differ; those of ``later`` wait."""
    for field in attrs.fields(type(old)):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if "help" in field.metadata and was != now:
            change = _LATER if field.name in later else f"{_shown(was)}, now {_shown(now)}"
            yield f"{before}{field.name}: {change}"


def _channels(
    old: Iterable[Channel], new: Iterable[Channel], moved: Mapping[Key, int]
) -> Iterator[str]:
    before = {channel_key(channel): channel for channel in old}
    after = {channel_key(channel): channel for channel in new}
    for key, channel in before.items():
        if key not in after:
            count = moved.get(key, 0)
            people = f"; {plural(count, 'person is', 'people are')} in the lobby now"
            yield f"channel {channel.name}: closed{people if count else ''}"
    for key, channel in after.items():
        was = before.get(key)
        if was is None:
            yield f"channel {channel.name}: opened on {_places(channel)}"
        else:
            yield from _settings(f"channel {was.name}, ", was, channel, later=("name",))
    both = [key for key in before if key in after]
    if both != [key for key in after if key in before]:
        yield f"channels: their order is {', '.join(one.name for one in after.values())} now"


def _doors(old: Iterable[Door], new: Iterable[Door]) -> Iterator[str]:
    """Doors have no names: of those that are not alike the first of a kind is the first again."""
    gone, come = _without(old, new), _without(new, old)
    for was in list(gone):
        now = next((door for door in come if door.kind == was.kind), None)
        if now is not None:
            gone.remove(was)
            come.remove(now)
            yield from _settings(f"door {was.kind}, ", was, now)
            mine, others = _own(was, now), _own(now, was)
            if mine != others:
                yield from _settings(f"door {was.kind}, ", mine, others)
    yield from (f"door {door.kind}: closed on {_places(door)}" for door in gone)
    yield from (f"door {door.kind}: opened on {_places(door)}" for door in come)


def _without(doors: Iterable[Door], others: Iterable[Door]) -> list[Door]:
    """Doors that are not among the others, each as often as it is there more often."""
    left = list(others)
    rest = []
    for door in doors:
        same = next((other for other in left if _same(door, other)), None)
        if same is None:
            rest.append(door)
        else:
            left.remove(same)
    return rest


def _same(one: Door, other: Door) -> bool:
    alike = (one.kind, one.listen) == (other.kind, other.listen)
    return alike and _own(one, other) == _own(other, one)


def _own(door: Door, other: Door) -> Any:
    """The settings of a door's kind; those of a default door are its kind's defaults."""
    return type(other.settings)() if door.settings is None else door.settings


def _certificates(old: Config, new: Config) -> Iterator[str]:
    """Certificates are read again whether or not anything is written differently."""
    stay = Counter(_endpoints(old)) & Counter(_endpoints(new))
    for listen in stay:
        if kind_of(listen) in TLS:
            yield f"{listen}: its certificate was read again"


def _endpoints(config: Config) -> list[str]:
    ways: list[Channel | Door] = [*config.channels, *config.doors]
    return [text for way in ways for text in way.listen]


def _places(way: Channel | Door) -> str:
    return ", ".join(way.listen)


def _shown(value: object) -> str:
    """A value as people would write it in the file."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return as_toml(value)
