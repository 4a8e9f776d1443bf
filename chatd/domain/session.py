"""The session: one connection's state, its one timer, and its requests in their order.

The rule: every state, and every way between two of them, is in :data:`_WAYS`, and only
:meth:`Session.step` follows it. A session has at most one timer, whatever it waits for: the login,
a silence that is too long, its turn after sending too fast, or the end of a close.

    NEGOTIATING -> LOGIN -> LOBBY <-> WAITING -> IN_ROOM -> LOBBY, and from each of them -> CLOSING

While one request needs time (a password check, the store), the next ones wait here, in order.
"""

import math
from collections import deque
from collections.abc import Coroutine
from enum import Enum, auto
from ipaddress import ip_address
from typing import Any, Final

import attrs

from chatd.domain.errors import ChatError, Incident, ShuttingDown, TooFast
from chatd.domain.events import (
    ASK_NAME,
    Asked,
    Detached,
    Dropped,
    Event,
    Farewell,
    Left,
    Messaged,
    Refused,
    RoomEvent,
    Said,
    Seen,
    Told,
    Tuned,
    Welcomed,
    WentAfk,
    Whispered,
)
from chatd.domain.hub import Hub
from chatd.domain.limits import TokenBucket
from chatd.domain.mail import Reader
from chatd.domain.names import EVERYONE, ChannelName, GroupName, Key, Name, RoomName, key_of
from chatd.domain.ports import Codec, Line, Link, Mark, Timer
from chatd.domain.records import Account, Blocks, Role
from chatd.domain.rooms import Channel, Group
from chatd.domain.text import plural

LINGER: Final = 5.0
"""Seconds for a client to read the last words before its connection is cut."""


@attrs.frozen
class Correspondent:
    """Who somebody can answer, and whether that was a whisper."""

    name: Name
    whispered: bool


_NOBODY_BLOCKED: Final = Blocks(frozenset(), frozenset())


def is_local(address: str) -> bool:
    """Whether an address is this machine's own; a unix socket's is empty."""
    return not address or ip_address(address).is_loopback


class State(Enum):
    """Where a session stands."""

    NEGOTIATING = auto()  # connected; not greeted yet
    LOGIN = auto()  # name, password
    LOBBY = auto()  # logged in, in no channel
    WAITING = auto()  # in a full channel's queue
    IN_ROOM = auto()
    CLOSING = auto()  # told farewell, or gone


class Step(Enum):
    """What takes a session from one state to another."""

    GREET = auto()
    IDENTIFY = auto()
    QUEUE = auto()
    ADMIT = auto()
    LEAVE = auto()
    CLOSE = auto()


_WAYS: Final = {
    State.NEGOTIATING: {Step.GREET: State.LOGIN, Step.CLOSE: State.CLOSING},
    State.LOGIN: {Step.IDENTIFY: State.LOBBY, Step.CLOSE: State.CLOSING},
    State.LOBBY: {
        Step.QUEUE: State.WAITING,
        Step.ADMIT: State.IN_ROOM,
        Step.CLOSE: State.CLOSING,
    },
    State.WAITING: {
        Step.ADMIT: State.IN_ROOM,
        Step.LEAVE: State.LOBBY,
        Step.CLOSE: State.CLOSING,
    },
    State.IN_ROOM: {Step.LEAVE: State.LOBBY, Step.CLOSE: State.CLOSING},
    State.CLOSING: {},
}


@attrs.define(eq=False)
class Session:
    """One connection, from its greeting to its end.

    ``address`` is the client's, for limits and locks; ``door`` the kind of door it came through,
    and ``home`` that door's channel, None for the lobby. ``account`` stays None for a guest.
    """

    hub: Hub
    link: Link
    _codec: Codec
    address: str
    door: str
    home: Channel | None
    _bucket: TokenBucket
    state: State = State.NEGOTIATING
    place: Channel | None = None
    group: Group | None = None  # where plain lines go, rather than to the place
    wants: RoomName | None = None  # a group that it has asked to join, and waits for
    adrift: GroupName | None = None  # the group that it was in, until it knows that it is not
    account: Account | None = None
    correspondent: Correspondent | None = None
    blocks: Blocks = _NOBODY_BLOCKED
    _reader: Reader | None = None
    _name: Name | None = None
    _since: float = 0.0  # when the state began
    _active: float = 0.0  # when the last line came
    _mute: float = 0.0  # until when it may not talk in its channel; 0: it may
    _silent: float = 0.0  # for how long it had been silent when that began
    _turn: float = 0.0  # when the next line may be taken, after too many; 0: at once
    _timer: Timer | None = None
    _timer_at: float = 0.0
    _waiting: deque[Line] | None = None  # made only when needed, for the memory of the idle
    _busy: bool = False  # a request needs time
    _held: bool = False  # the journal is full
    _proceeding: bool = False
    _paused: bool = False
    _refused: int = 0

    @classmethod
    def begin(
        cls, hub: Hub, link: Link, codec: Codec, address: str, door: str, home: Channel | None
    ) -> "Session":
        """A session for a connection that has just been accepted."""
        rules = hub.rules
        bucket = TokenBucket.full(rules.lines_per_second, rules.burst, hub.clock.seconds())
        session = cls(hub, link, codec, address, door, home, bucket)
        hub.arrived(session)
        return session

    @property
    def name(self) -> Name:
        """The name it holds; only a session that is logged in has one."""
        assert self._name is not None
        return self._name

    @property
    def key(self) -> Key | None:
        """The key of its name, if it has one."""
        return None if self._name is None else key_of(self._name)

    @property
    def identified(self) -> bool:
        """Whether somebody has logged in here."""
        return self._name is not None

    @property
    def host(self) -> str:
        """Where the client reached the server; empty for a unix socket."""
        return self.link.host

    @property
    def _shown(self) -> str:
        """Who it is, for operators: the name, or the address of somebody who has none yet."""
        return self._name or self.address or "somebody here"

    @property
    def role(self) -> Role:
        """What the person may do."""
        if self.account is None:
            return Role.GUEST
        operator = self.account.key in self.hub.rules.operators
        return Role.OPERATOR if operator else self.account.role

    @property
    def bare(self) -> bool:
        """Whether it is in no room, so that a line without a slash is a command."""
        return self.state is State.LOBBY and self.group is None and self.adrift is None

    @property
    def local(self) -> bool:
        """Whether the client is on the server's own machine."""
        return is_local(self.address)

    def step(self, what: Step) -> None:
        """Follow the table: the old state's timer ends, the new one's begins."""
        self.state = _WAYS[self.state][what]
        self._since = self._active = self.hub.clock.seconds()
        self._mute = 0.0
        self.look_again()

    # From the door.

    async def greet(self) -> None:
        """Say where the client is, and ask for a name."""
        try:
            self.hub.shutdown.check_open()
        except ShuttingDown as error:
            await self.end(str(error))
            return
        self.tell(await self.hub.greet(self.home))
        if self.state is State.NEGOTIATING:
            self.step(Step.GREET)
            self.ask(ASK_NAME)

    def receive(self, line: Line) -> None:
        """Take the client's next line, or what stands in its place."""
        if self.state is State.CLOSING:
            return
        now = self.hub.clock.seconds()
        if not self._mute:
            self._active = now
        if self._reader is not None and line is not Mark.END:
            self.hub.mail.acknowledge(self._reader, self._live())
        if self._waiting or self._busy or self._held:
            self._wait(line)
        elif self.hub.journal.full:
            self._wait(line)
            self._hold()
        elif not self._bucket.take(now):
            self._throttle(now)
            self._wait(line)
        else:
            self._run(line)

    async def lost(self) -> None:
        """The connection is gone, for whatever reason."""
        if self.state is not State.CLOSING:
            await self._depart(*self._parting())
        self.hub.gone(self)
        self._stop_timer()

    async def dropped(self, reason: str) -> None:
        """The door has cut the connection; the others hear why."""
        if self.state is not State.CLOSING:
            now = self.hub.clock.seconds()
            parting = self._parting()
            self.hub.counts.drops += 1
            self.hub.watch.note(Seen.DROP, self._shown, reason)
            if parting:
                parting = (Dropped(parting[0].room, self.name, reason, now), *parting)
            await self._depart(*parting)

    # From the hub and the commands.

    def tell(self, event: Event) -> None:
        """Tell the client something, in its place in the order of everything.

        Nothing comes after a farewell, however late the answer to a request is.
        """
        if self.state is not State.CLOSING:
            self._tell(event)
            if isinstance(event, Whispered | Messaged):
                whispered = isinstance(event, Whispered)
                self.correspondent = Correspondent(event.author, whispered=whispered)

    def _tell(self, event: Event) -> None:
        if self._name is None:
            self.link.tell(event)
        else:
            self.hub.journal.append(event, self.link)

    def answer(self, *lines: str) -> None:
        """Answer the client in plain sentences."""
        self.tell(Told(lines, self.hub.clock.seconds()))

    def refuse(self, error: ChatError) -> None:
        """Tell the client what was wrong."""
        self.hub.counts.refusals += 1
        if not error.audited:
            code = f"{error.code} at {self.door}"
            self.hub.watch.note(Seen.REFUSAL, self._shown, code, logged=self._name is None)
        self.tell(Refused(error.code, str(error), self.hub.clock.seconds()))

    def ask(self, asked: Asked) -> None:
        """Ask the client something; its next lines are the answers."""
        self._codec.asked = asked
        self.tell(asked)

    async def identify(self, name: Name, account: Account | None, changes: int = 0) -> None:
        """Take the name, and go where the door leads; see :meth:`Hub.check_current`.

        Raises:
            AlreadyLoggedIn: another session has the name.
            NoSuchUser, NotNow: the account has just been removed, or changed.
            Banned, ShuttingDown
        """
        blocks = await self.hub.store.blocks(key_of(name))
        if self.state is not State.LOGIN:
            return  # gone while the password was being checked
        if account is not None:
            self.hub.accounts.check_current(account, changes)
        await self.hub.claim(name, self)
        self._name = name
        self.block(self.hub.blocking.with_changes(key_of(name), blocks))
        self.step(Step.IDENTIFY)
        self.hub.counts.logins += 1
        self.hub.watch.note(Seen.LOGIN, name, f"from {self.address or 'here'} by {self.door}")
        self.hub.journal.append(Tuned(EVERYONE), self.link)
        if self.home is None:
            self.tell(Welcomed(name, None, self.hub.rules.server, self.hub.clock.seconds()))
        else:
            await self.enter(self.home)
        if account is not None:
            self.open_account(account)

    def open_account(self, account: Account) -> None:
        """Have an account, and so groups and an inbox."""
        self.account = account
        if self.state is State.CLOSING:
            return  # gone while it registered
        rooms = [group.room for group in self.hub.groups.of(account.key).values()]
        self._reader = Reader(account.key, self.link, self._heard_from)
        self.hub.mail.begin(self._reader, rooms)
        self.hub.spawn(self.hub.files.welcome(self))

    async def enter(self, channel: Channel) -> None:
        """Go from the lobby into a channel, or into its queue."""
        self.place = channel
        if not await self.hub.channels.enter(self, channel):
            self.step(Step.QUEUE)

    def admitted(self) -> None:
        """Take note: there is a place in the channel now."""
        self.step(Step.ADMIT)
        assert self.place is not None
        self.muted(self.hub.sanctions.muted_until(self.place.name, key_of(self.name)))

    def muted(self, until: float) -> None:
        """Take note: it may not talk in its channel until then; 0: it may.

        Meanwhile its silence is not counted, and what it types doesn't end it either.
        """
        now = self.hub.clock.seconds()
        if not self._mute:
            self._silent = now - self._active
        elif not until:
            self._active = now - self._silent
        self._mute = until
        self.look_again()

    def appoint(self, role: Role) -> None:
        """Take note of another role."""
        if self.account is not None:
            self.account = attrs.evolve(self.account, role=role)

    def look_again(self) -> None:
        """Take note: what the session waits for may come earlier or later than it was to."""
        self._stop_timer()
        self._start_timer()

    def channel_closed(self, name: ChannelName) -> None:
        """Take note: a channel is no more; who is in it, or comes for it, is in the lobby."""
        if self.home is not None and self.home.name == name:
            self.home = None
        if self.place is not None and self.place.name == name:
            if self.state is State.IN_ROOM:
                self.hub.watch.note(Seen.LEAVE, self.name, name, logged=False)
            self.place = None
            self.step(Step.LEAVE)
            self.answer(f"The channel {name} is closed.")

    def count_silence(self, name: ChannelName) -> None:
        """Take note: silence in a channel is counted from now on, to another bound."""
        if self.place is not None and self.place.name == name:
            self._active, self._silent = self.hub.clock.seconds(), 0.0
            self.look_again()

    def talk_in(self, group: Group | None) -> None:
        """Let plain lines go to a group, or to the channel again."""
        self.group, self.wants, self.adrift = group, None, None

    def block(self, blocks: Blocks) -> None:
        """Take note of whom it blocks, and by whom it is blocked."""
        self.blocks = blocks
        deaf_to = blocks.blocked | blocks.blocked_by
        for hearer in (self.link, *(self._reader.held if self._reader else ())):
            hearer.deaf_to = deaf_to
            for audience in hearer.audiences:
                audience.refresh(hearer)

    def mail(self, said: Said) -> None:
        """Take a line of the inbox."""
        if self._reader is not None:
            self._reader.tell(said)

    def read_mail(self) -> None:
        """Take note: what comes from here on is heard; what was missed can be read."""
        if self._reader is not None:
            self.hub.spawn(self.hub.mail.read(self._reader, self._live()))

    def group_joined(self, room: RoomName) -> None:
        """Take note: it is let into a group; if that is what it waits for, it talks there now."""
        group = self.hub.groups.room(room)
        if room == self.wants and group is not None and self.place is None and self.group is None:
            self.talk_in(group)
            self.answer(f"You are talking in the group {group.name} now.")

    def group_left(self, room: RoomName) -> None:
        """Take note: it is no longer in a group, where its next line may have been meant to go."""
        if self.group is not None and self.group.room == room:
            self.adrift, self.group = self.group.name, None

    async def leave(self) -> None:
        """Go back to the lobby from a channel or its queue."""
        assert self.place is not None
        told, channel, self.place = self._parting(), self.place, None
        self.step(Step.LEAVE)
        await self.hub.channels.leave(self, channel, *told)

    async def end(self, text: str) -> None:
        """Leave everything, say farewell with these words and close."""
        await self._end(text, *self._parting())

    # Inside.

    async def _end(self, text: str, *told: RoomEvent) -> None:
        if self.state is not State.CLOSING:
            await self._depart(*told)
            self._tell(Farewell(text, self.hub.clock.seconds()))
            if self._name is None:
                self.link.close()

    async def _depart(self, *told: RoomEvent) -> None:
        channel, self.place, self.group = self.place, None, None
        self.step(Step.CLOSE)
        self._waiting = None
        try:
            if channel is not None:
                await self.hub.channels.leave(self, channel, *told)
        finally:
            # Whatever becomes of the others, the name is free again.
            if self._name is not None:
                await self.hub.roster.release(self)
                self.hub.watch.note(Seen.LOGOUT, self._name)
                self.hub.journal.append(Detached(), self.link)
                if self._reader is not None:
                    self.hub.mail.end(self._reader)

    def _heard_from(self, author: Name) -> None:
        self.correspondent = Correspondent(author, whispered=False)

    def _live(self) -> dict[RoomName, int]:
        """The last line of each group that it hears."""
        groups = self.hub.groups.of(key_of(self.name)).values()
        return {group.room: group.last for group in groups}

    def _parting(self) -> tuple[RoomEvent, ...]:
        """What those who remain in the room hear when this session leaves it."""
        if self.state is not State.IN_ROOM or self.place is None:
            return ()
        return (Left(self.place.name, self.name, self.hub.clock.seconds()),)

    def _run(self, line: Line) -> None:
        work: Coroutine[Any, Any, None] | None = None
        try:
            request = self._codec.request(line, bare=self.bare)
            if request is not None:
                self.wants = None  # whoever types something doesn't wait any more
                work = self.hub.commands.run(self, request)
        except Exception as error:  # noqa: BLE001  any mistake is told, and logged as an incident
            self._failed(error)
        if work is None:
            self._prompt()
        else:
            self._busy = True
            self.hub.spawn(self._finish(work))

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  any mistake is told, and logged as an incident
            self._failed(error)
        self._busy = False
        self._prompt()
        self._proceed()

    def _failed(self, error: Exception) -> None:
        """Say what went wrong: a refusal as it stands, anything else by its incident number."""
        if not isinstance(error, ChatError):
            error = Incident(self.hub.incident())
        self.refuse(error)
        if self.state is State.LOGIN and self._codec.asked is None and self._waiting:
            # A password that was typed ahead must not be taken for a name, and shown to everybody.
            self._waiting = deque(line for line in self._waiting if line is Mark.END)
        if self._codec.asked is not None:
            self.tell(self._codec.asked)

    def _prompt(self) -> None:
        if self.state is State.LOGIN and self._codec.asked is None:
            self.ask(ASK_NAME)

    def _wait(self, line: Line) -> None:
        """Let a line wait for its turn; where there is no room, refuse it or hold the client."""
        if self._waiting is None:
            self._waiting = deque()
        most = self.hub.rules.waiting_requests
        no_room = bool(most) and len(self._waiting) >= most
        if no_room and self._turn and line is not Mark.END:
            self._refused += 1
            if self._refused == 1:
                self.refuse(TooFast("You are sending too fast: lines are refused for now."))
            return
        self._waiting.append(line)
        if no_room and not self._paused:
            self._paused = True
            self.link.pause()

    def _proceed(self) -> None:
        """Take up the lines that wait, as far as the limits let them through."""
        if self._proceeding:
            return  # a request that was done at once came back here from the loop below
        self._proceeding = True
        while self._waiting and not self._busy and not self._held:
            now = self.hub.clock.seconds()
            if self.hub.journal.full:
                self._hold()
            elif self._bucket.take(now):
                self._turn = 0.0
                if not self._mute:
                    self._active = now  # nobody is silent whose line is only now said
                self._run(self._waiting.popleft())
            else:
                self._throttle(now)
                break
        self._proceeding = False
        if not self._waiting:
            self._waiting = None
            self._told_refused()
        if self._paused and (self._turn or self._waiting is None):
            self._paused = False
            self.link.resume()

    def _told_refused(self) -> None:
        count, self._refused = self._refused, 0
        if count:
            self.refuse(TooFast(f"{plural(count, 'line was', 'lines were')} not sent."))

    def _throttle(self, now: float) -> None:
        self._turn = now + self._bucket.wait()
        self._start_timer()

    def _hold(self) -> None:
        self._held = True
        self.hub.hold(self, self._released)

    def _released(self) -> None:
        self._held = False
        self._proceed()

    # The one timer. A line doesn't move it, as that would cost more than the line: when it fires
    # it looks whether the time has really come, and waits for the rest where not.

    def _due(self) -> float | None:
        """When the session must next be looked at, in seconds since the epoch."""
        rules, due = self.hub.rules, self._turn or None
        if self.state is State.LOGIN and rules.login_seconds:
            return min(due or math.inf, self._since + rules.login_seconds)
        if self.state is State.IN_ROOM and self.place is not None and self.place.afk_seconds:
            silent = self._mute or self._active + self.place.afk_seconds
            return min(due or math.inf, silent)
        if self.state is State.CLOSING:
            return self._since + LINGER
        return due

    def _start_timer(self) -> None:
        due = self._due()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        self._stop_timer()
        self._timer_at = due
        wait = max(0.0, due - self.hub.clock.seconds())
        self._timer = self.hub.clock.callLater(wait, self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self.hub.clock.seconds()
        if self._turn and now >= self._turn:
            self._turn = 0.0
            self._proceed()
        if self._mute and now >= self._mute:
            self.muted(0.0)
        due = self._due()
        if due is None or now < due:
            self._start_timer()
        elif self.state is State.LOGIN:
            self.hub.spawn(self.end("That took too long. Goodbye."))
        elif self.state is State.CLOSING:
            self.link.abort()
        elif self._waiting or self._busy:
            self._active = now  # it is we who are slow
            self._start_timer()
        else:
            assert self.place is not None  # only who is in a channel is due for silence
            seconds = plural(self.place.afk_seconds, "second")
            told = WentAfk(self.place.name, self.name, now)
            self.hub.spawn(self._end(f"You were silent for {seconds}. Goodbye.", told))
