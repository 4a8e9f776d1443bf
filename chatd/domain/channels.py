"""Channels: which there are, and who comes, waits and goes.

The rule: who has a place is the roster's to say, and who hears what is the journal's; here is what
follows from it for the people in a channel and its queue.
"""

from collections.abc import Iterable
from typing import Protocol

import attrs

from chatd.domain.errors import BadName, CannotSwitch, NoSuchChannel
from chatd.domain.events import ChannelRow, Ended, Joined, Queued, RoomEvent, Seen, Welcomed
from chatd.domain.names import ChannelName, Key, RoomName, key_of, read_channel_name
from chatd.domain.ports import Clock, Holder, Journal
from chatd.domain.rooms import Channel
from chatd.domain.roster import MemoryRoster, Moves
from chatd.domain.rules import Rules
from chatd.domain.text import clean
from chatd.domain.watching import Watch


class Desk(Protocol):
    """What channels need of the hub."""

    clock: Clock
    journal: Journal
    roster: MemoryRoster
    rules: Rules
    watch: Watch
    sessions: dict[Holder, None]
    closing: bool


@attrs.define(eq=False)
class Channels:
    """All channels, in the order of the configuration."""

    _desk: Desk
    _rooms: dict[RoomName, Channel] = attrs.field(factory=dict)
    _by_key: dict[Key, Channel] = attrs.field(factory=dict)
    _emptying: dict[RoomName, None] = attrs.field(factory=dict)

    def open(self, channel: Channel) -> None:
        """Make a channel known; the order of these calls is the order of lists."""
        self._rooms[channel.name] = self._by_key[key_of(channel.name)] = channel
        self._desk.roster.open(channel.name, channel.capacity)

    def find(self, text: str) -> Channel:
        """The channel that somebody named, in any case.

        Raises:
            NoSuchChannel: there is none.
        """
        try:
            return self._by_key[key_of(read_channel_name(text))]
        except (BadName, KeyError):
            raise NoSuchChannel(clean(text)) from None

    async def enter(self, holder: Holder, channel: Channel) -> bool:
        """Take a place in a channel, or in its queue, where the answer is False."""
        ahead = await self._desk.roster.enter(channel.name, holder)
        if ahead is not None:
            holder.tell(Queued(ahead, self._desk.clock.seconds()))
            return False
        self._admit(holder, channel)
        return True

    async def leave(self, holder: Holder, channel: Channel, *told: RoomEvent) -> None:
        """Give a place in a channel back and let the queue move up.

        ``told`` is what those who remain hear; nothing for somebody who only waited.
        """
        moves = await self._desk.roster.leave(channel.name, holder)
        if self._desk.closing:
            return
        if channel.name not in self._emptying:
            for event in told:
                self._desk.journal.append(event, holder.link)
        if told:
            self._desk.watch.note(Seen.LEAVE, holder.name, channel.name, logged=False)
        self._move(channel, moves)

    def destination(self, name: str, now_in: Channel | None) -> Channel:
        """The channel of that name, for somebody who is in ``now_in``.

        Raises:
            NoSuchChannel, CannotSwitch: the name is there already.
        """
        channel = self.find(name)
        if channel is now_in:
            raise CannotSwitch(channel.name)
        return channel

    async def empty(self, channel: Channel, text: str) -> None:
        """Put everybody out of a channel with these words; nobody comes in before all are out."""
        # Nobody who is put out needs to hear of the others.
        self._emptying[channel.name] = None
        await self._desk.roster.resize(channel.name, 0)
        try:
            for name in await self._desk.roster.here(channel.name):
                holder = await self._desk.roster.inside(channel.name, name)
                if holder is not None:
                    await holder.end(text)
        finally:
            self._emptying.pop(channel.name, None)
            self._move(channel, await self._desk.roster.resize(channel.name, channel.capacity))

    async def rows(self) -> tuple[ChannelRow, ...]:
        """Every channel with its numbers, in the configuration's order."""
        rows = []
        for channel in self.all():
            seats = await self._desk.roster.seats(channel.name)
            rows.append(ChannelRow(channel.name, seats.here, seats.capacity, seats.waiting))
        return tuple(rows)

    async def change(self, channel: Channel, capacity: int, afk_seconds: int) -> None:
        """Let a channel have more or fewer places, and another bound on silence.

        Nobody is put out by that: who is silent is so from now on.
        """
        if afk_seconds != channel.afk_seconds:
            channel.afk_seconds = afk_seconds
            for holder in self._desk.sessions:
                holder.count_silence(channel.name)
        channel.capacity = capacity
        self._move(channel, await self._desk.roster.resize(channel.name, capacity))

    async def close(self, channel: Channel) -> int:
        """Let a channel be no more, and its people be in the lobby; return how many they are."""
        del self._by_key[key_of(channel.name)]
        for holder in self._desk.sessions:
            holder.channel_closed(channel.name)
        # What was said in it is still to be delivered before it is gone.
        self._desk.journal.append(Ended(channel.name))
        return await self._desk.roster.close(channel.name)

    def all(self) -> tuple[Channel, ...]:
        """Every channel, in the configuration's order."""
        return tuple(self._by_key.values())

    def is_ending(self, name: ChannelName) -> bool:
        """Whether a channel of that name is closed, but not all that was said in it delivered."""
        return name in self._rooms and key_of(name) not in self._by_key

    def order(self, channels: Iterable[Channel]) -> None:
        """List the channels in this order."""
        self._by_key = {key_of(channel.name): channel for channel in channels}

    def get(self, room: RoomName) -> Channel | None:
        """The channel of a room, as long as anything that was said in it may come."""
        return self._rooms.get(room)

    def ended(self, room: RoomName) -> bool:
        """Take note: all that was said in a room is delivered; whether it was a channel's."""
        channel = self._rooms.pop(room, None)
        if channel is None:
            return False
        channel.audience.dissolve()
        self._desk.journal.forget(room)
        return True

    def _admit(self, holder: Holder, channel: Channel) -> None:
        now = self._desk.clock.seconds()
        holder.admitted()
        holder.tell(Welcomed(holder.name, channel.name, self._desk.rules.server, now))
        self._desk.journal.append(Joined(channel.name, holder.name, now), holder.link)
        self._desk.watch.note(Seen.JOIN, holder.name, channel.name, logged=False)

    def _move(self, channel: Channel, moves: Moves) -> None:
        for holder in moves.admitted:
            self._admit(holder, channel)
        for holder, ahead in moves.waiting:
            holder.tell(Queued(ahead, self._desk.clock.seconds()))
