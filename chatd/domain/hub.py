"""The hub: the one place where people, rooms and the journal meet.

The rule: requests come in at the upper half and only *append* to the journal; what the journal has
accepted comes back through :meth:`Hub.deliver`, the only place that changes who hears a room. So
a joiner hears exactly what comes after his join in the one order, however long a commit takes.
"""

from collections.abc import Callable, Iterable

import attrs

from chatd.domain.audience import Audience
from chatd.domain.errors import (
    AlreadyLoggedIn,
    BadName,
    CannotSwitch,
    NameTaken,
    NoSuchChannel,
    NotHere,
    NotStored,
)
from chatd.domain.events import (
    ChannelRow,
    Event,
    Farewell,
    Greeted,
    Joined,
    Left,
    Queued,
    Refused,
    RoomEvent,
    Said,
    Welcomed,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import (
    ChannelName,
    Key,
    Name,
    check_free,
    key_of,
    read_channel_name,
    skeleton_of,
)
from chatd.domain.ports import (
    Batch,
    Clock,
    Commands,
    Holder,
    Journal,
    Link,
    Passwords,
    Spawn,
    Store,
)
from chatd.domain.rooms import Channel
from chatd.domain.roster import MemoryRoster, Moves
from chatd.domain.text import Text, clean


@attrs.frozen
class Rules:
    """What the configuration says of people, and of how much one session may ask for."""

    server: str
    register: bool
    guests: bool
    replace: bool
    reserved: frozenset[Key]
    operators: frozenset[Key]
    login_seconds: int
    line_bytes: int
    lines_per_second: float
    burst: int
    waiting_requests: int
    history_lines: int
    history_reads: int


@attrs.define(eq=False)
class Hub:
    """One node's chat. ``incident`` logs the exception being handled and returns its number.

    The journal is set once, right after construction, since it delivers back to the hub.
    """

    clock: Clock
    rules: Rules
    roster: MemoryRoster
    store: Store
    passwords: Passwords
    commands: Commands
    spawn: Spawn
    incident: Callable[[], int]
    journal: Journal = attrs.field(init=False)
    closing: bool = False
    reading: int = 0
    sessions: dict[Holder, None] = attrs.field(factory=dict)
    _rooms: dict[ChannelName, Channel] = attrs.field(factory=dict)
    _by_key: dict[Key, Channel] = attrs.field(factory=dict)
    _held: dict[Holder, Callable[[], None]] = attrs.field(factory=dict)

    # Asked for by sessions and commands: these only append.

    def open(self, channel: Channel) -> None:
        """Make a channel known; the order of these calls is the order of lists."""
        self._rooms[channel.name] = self._by_key[key_of(channel.name)] = channel
        self.roster.open(channel.name, channel.capacity)

    def channel(self, text: str) -> Channel:
        """The channel that somebody named, in any case.

        Raises:
            NoSuchChannel: there is none.
        """
        try:
            return self._by_key[key_of(read_channel_name(text))]
        except (BadName, KeyError):
            raise NoSuchChannel(clean(text)) from None

    async def greet(self, channel: Channel | None) -> Greeted:
        """What a new connection is told first."""
        if channel is None:
            return Greeted(self.rules.server, None, len(await self.roster.online()), 0)
        seats = await self.roster.seats(channel.name)
        return Greeted(self.rules.server, channel.name, seats.here, seats.capacity)

    async def check_new(self, name: Name) -> None:
        """See that a name may be taken by a new account or a guest.

        Raises:
            BadName: it is reserved.
            NameTaken: somebody has it, or one that it can be confused with.
        """
        check_free(name, self.rules.reserved)
        skeleton = skeleton_of(name)
        taken = await self.store.looks_like(skeleton) or await self.roster.looks_like(skeleton)
        # A name in another case need not look the same: NIKE and nike.
        online = await self.roster.find(name)
        if online is not None:
            taken = online.name
        if taken is not None:
            raise NameTaken(f"{name} is taken, or looks like {taken}. Please choose another name.")

    async def claim(self, name: Name, holder: Holder) -> None:
        """Take a name for a session.

        Raises:
            AlreadyLoggedIn: another session has it, and the configuration lets it.
        """
        while not await self.roster.claim(name, holder, self.clock.seconds()):
            old = await self.roster.find(name)
            if old is not None and not self.rules.replace:
                raise AlreadyLoggedIn(name)
            if old is not None:
                await old.end("You have logged in from another place.")

    async def enter(self, holder: Holder, channel: Channel) -> bool:
        """Take a place in a channel, or in its queue, where the answer is False."""
        ahead = await self.roster.enter(channel.name, holder)
        if ahead is not None:
            holder.tell(Queued(ahead, self.clock.seconds()))
            return False
        self._admit(holder, channel)
        return True

    async def leave(self, holder: Holder, channel: Channel, *told: RoomEvent) -> None:
        """Give a place in a channel back and let the queue move up.

        ``told`` is what those who remain hear; nothing for somebody who only waited.
        """
        moves = await self.roster.leave(channel.name, holder)
        if not self.closing:
            for event in told:
                self.journal.append(event, holder.link)
            self._move(channel, moves)

    def destination(self, name: str, now_in: Channel | None) -> Channel:
        """The channel of that name, for somebody who is in ``now_in``.

        Raises:
            NoSuchChannel, CannotSwitch: the name is there already.
        """
        channel = self.channel(name)
        if channel is now_in:
            raise CannotSwitch(channel.name)
        return channel

    def say(self, holder: Holder, channel: Channel, text: Text) -> None:
        """Say a line to everyone in a channel."""
        said = Said(channel.name, holder.name, text, self.clock.seconds())
        self.journal.append(said, holder.link)

    async def whisper(self, holder: Holder, channel: Channel, to: Name, text: Text) -> None:
        """Say a line to one person in the same channel.

        Raises:
            NotHere: that person isn't in it.
        """
        target = await self.roster.inside(channel.name, to)
        if target is None:
            raise NotHere(to)
        now = self.clock.seconds()
        target.tell(Whispered(holder.name, text, now))
        holder.tell(WhisperSent(target.name, text, now))

    async def rows(self) -> tuple[ChannelRow, ...]:
        """Every channel with its numbers, in the configuration's order."""
        rows = []
        for channel in self._rooms.values():
            seats = await self.roster.seats(channel.name)
            rows.append(ChannelRow(channel.name, seats.here, seats.capacity, seats.waiting))
        return tuple(rows)

    def arrived(self, holder: Holder) -> None:
        """A connection has come, whoever it may be."""
        self.sessions[holder] = None

    def gone(self, holder: Holder) -> None:
        """A connection is closed."""
        self.sessions.pop(holder, None)
        self._held.pop(holder, None)

    async def close(self, text: str) -> None:
        """Say farewell to every connection; nobody is told who leaves."""
        self.closing = True
        for holder in list(self.sessions):
            await holder.end(text)

    def hold(self, holder: Holder, proceed: Callable[[], None]) -> None:
        """Call back once the journal has room again, if the connection is still there then."""
        self._held[holder] = proceed

    # Called by the journal.

    def deliver(self, batch: Batch) -> None:
        """Tell everyone what the journal has accepted, in its order."""
        touched: dict[Audience, None] = {}
        for event, link in batch:
            if isinstance(event, RoomEvent):
                audience = self._rooms[event.room].audience
                touched[audience] = None
                if isinstance(event, Joined) and link is not None:
                    audience.add(link)
                elif isinstance(event, Left | WentAfk) and link is not None:
                    audience.discard(link)
                audience.gather(event)
            elif link is not None:
                for audience in link.audiences:
                    audience.catch_up(link)
                link.tell(event)
                if isinstance(event, Farewell):
                    link.close()
        for audience in touched:
            audience.flush()

    def refuse(self, refused: Iterable[tuple[Event, Link | None]]) -> None:
        """Tell the authors of lines that could not be stored."""
        error = NotStored()
        for _event, link in refused:
            if link is not None:
                link.tell(Refused(error.code, str(error), self.clock.seconds()))

    def drained(self) -> None:
        """The journal has room again: those who were held go on."""
        held, self._held = self._held, {}
        for proceed in held.values():
            proceed()

    def _admit(self, holder: Holder, channel: Channel) -> None:
        now = self.clock.seconds()
        holder.admitted()
        holder.tell(Welcomed(holder.name, channel.name, self.rules.server, now))
        self.journal.append(Joined(channel.name, holder.name, now), holder.link)

    def _move(self, channel: Channel, moves: Moves) -> None:
        for holder in moves.admitted:
            self._admit(holder, channel)
        for holder, ahead in moves.waiting:
            holder.tell(Queued(ahead, self.clock.seconds()))
