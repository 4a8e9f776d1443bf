"""The roster: who is online, and who holds which place in a channel and its queue.

The rule: nobody else keeps an idea of who is online. The methods are ``async`` because on several
nodes the answer comes from elsewhere; here, in memory, they never wait.
"""

from collections.abc import Iterable

import attrs

from chatd.domain.names import ChannelName, Key, Name, key_of, skeleton_of
from chatd.domain.ports import Holder


@attrs.frozen
class Moves:
    """What a place given back changes: who gets in, and who waits now with how many ahead."""

    admitted: tuple[Holder, ...] = ()
    waiting: tuple[tuple[Holder, int], ...] = ()


@attrs.frozen
class Seats:
    """How full a channel is."""

    here: int
    capacity: int
    waiting: int


@attrs.define
class _Places:
    """One channel's places: first in, first out. Dictionaries keep the order of arrival."""

    capacity: int
    inside: dict[Key, Holder] = attrs.field(factory=dict)
    queue: dict[Key, Holder] = attrs.field(factory=dict)


@attrs.frozen
class _Claim:
    holder: Holder
    at: float


@attrs.define(eq=False)
class MemoryRoster:
    """The roster of a single node."""

    _claims: dict[Key, _Claim] = attrs.field(factory=dict)
    _skeletons: dict[str, Key] = attrs.field(factory=dict)
    _channels: dict[ChannelName, _Places] = attrs.field(factory=dict)

    def open(self, channel: ChannelName, capacity: int) -> None:
        """Make a channel known."""
        self._channels[channel] = _Places(capacity)

    async def resize(self, channel: ChannelName, capacity: int) -> Moves:
        """Let a channel have more or fewer places; where it is too full then, nobody has to go."""
        places = self._channels[channel]
        places.capacity = capacity
        return self._fill(places)

    async def close(self, channel: ChannelName) -> int:
        """Forget a channel and who was in it or waited; return how many that were."""
        places = self._channels.pop(channel)
        return len(places.inside) + len(places.queue)

    async def claim(self, name: Name, holder: Holder, at: float) -> bool:
        """Take a name for a session; False if another session has it."""
        key = key_of(name)
        if key in self._claims:
            return False
        self._claims[key] = _Claim(holder, at)
        self._skeletons[skeleton_of(name)] = key
        return True

    async def release(self, holder: Holder) -> None:
        """Give the name back."""
        key = key_of(holder.name)
        claim = self._claims.get(key)
        if claim is not None and claim.holder is holder:
            del self._claims[key]
            # Two that look alike can come in at one moment, while the store is asked for each.
            if self._skeletons.get(skeleton_of(holder.name)) == key:
                del self._skeletons[skeleton_of(holder.name)]

    async def find(self, name: Name) -> Holder | None:
        """Who holds this name now."""
        return self.local(key_of(name))

    def local(self, key: Key) -> Holder | None:
        """Who holds this name on this node: whom deliveries here can reach."""
        claim = self._claims.get(key)
        return None if claim is None else claim.holder

    async def looks_like(self, skeleton: str) -> Name | None:
        """The name online that has this skeleton."""
        key = self._skeletons.get(skeleton)
        return None if key is None else self._claims[key].holder.name

    async def online(self) -> list[Name]:
        """Everybody online, in the order they came."""
        return [claim.holder.name for claim in self._claims.values()]

    async def online_since(self, at: float) -> list[Name]:
        """Everybody online who came at ``at`` or later."""
        return [claim.holder.name for claim in self._claims.values() if claim.at >= at]

    async def enter(self, channel: ChannelName, holder: Holder) -> int | None:
        """Take a place; None is inside, a number is how many are ahead in the queue."""
        places = self._channels[channel]
        # A place counts only when nobody waits for it: first in, first out.
        if len(places.inside) < places.capacity and not places.queue:
            places.inside[key_of(holder.name)] = holder
            return None
        places.queue[key_of(holder.name)] = holder
        return len(places.queue) - 1

    async def leave(self, channel: ChannelName, holder: Holder) -> Moves:
        """Give the place, or the place in the queue, back; the queue moves up."""
        places, key = self._channels[channel], key_of(holder.name)
        if places.inside.get(key) is holder:
            del places.inside[key]
            return self._fill(places)
        if places.queue.get(key) is holder:
            ahead = list(places.queue).index(key)
            del places.queue[key]
            return Moves(waiting=_numbered(places.queue.values(), ahead))
        return Moves()

    async def here(self, channel: ChannelName) -> list[Name]:
        """Who is inside, in the order they came."""
        return [holder.name for holder in self._channels[channel].inside.values()]

    async def inside(self, channel: ChannelName, name: Name) -> Holder | None:
        """Who is inside under this name."""
        return self._channels[channel].inside.get(key_of(name))

    async def seats(self, channel: ChannelName) -> Seats:
        """How full a channel is."""
        places = self._channels[channel]
        return Seats(len(places.inside), places.capacity, len(places.queue))

    @staticmethod
    def _fill(places: _Places) -> Moves:
        admitted = []
        while places.queue and len(places.inside) < places.capacity:
            key = next(iter(places.queue))
            places.inside[key] = holder = places.queue.pop(key)
            admitted.append(holder)
        if not admitted:
            return Moves()
        return Moves(tuple(admitted), _numbered(places.queue.values(), 0))


def _numbered(queue: Iterable[Holder], start: int) -> tuple[tuple[Holder, int], ...]:
    return tuple((holder, ahead) for ahead, holder in enumerate(queue) if ahead >= start)
