"""Stand-ins for what is outside the domain: store in memory, links that remember, plain passwords.

Each fits its Protocol in :mod:`chatd.domain.ports`, and the store passes the contract suite that
the real one passes (``test_store.py``).
"""

from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from chatd.commands import TABLE
from chatd.domain.audience import Audience
from chatd.domain.errors import (
    BadConfiguration,
    BadPassword,
    ChatError,
    LockedOut,
    WrongPassword,
)
from chatd.domain.events import Asked, Event, Place, Refused, Said, Told, Watched
from chatd.domain.hub import Hub
from chatd.domain.names import RESERVED, ChannelName, Key, Name, key_of, read_name, skeleton_of
from chatd.domain.ports import Format, Line, Mark, Request
from chatd.domain.records import Account, Act, Role, Transfer
from chatd.domain.rooms import Channel
from chatd.domain.roster import MemoryRoster
from chatd.domain.rules import Rules
from chatd.domain.session import Session
from chatd.domain.text import Text
from chatd.domain.transfers import FileRules, Files
from chatd.journal import MemoryJournal
from tests.memory import MemoryStore as MemoryStore

T = TypeVar("T")

GIB = 1024**3

RULES = Rules(
    server="chatd",
    register=True,
    guests=False,
    replace=False,
    reserved=RESERVED | {Key(word) for word in TABLE.words},
    operators=frozenset(),
    broadcast=Role.OPERATOR,
    mailbox_lines=1000,
    groups_each=20,
    login_seconds=60,
    line_bytes=4096,
    lines_per_second=0,
    burst=50,
    waiting_requests=64,
    history_lines=200,
    history_reads=8,
)
"""The default configuration's rules, but for the limit on lines, which few tests are about."""


FILE_RULES = FileRules(
    file_bytes=4 * GIB,
    user_bytes=8 * GIB,
    total_bytes=32 * GIB,
    spare_bytes=GIB // 4,
    user_files=20,
    expire_seconds=72 * 3600,
    ticket_seconds=3600,
)
"""The default configuration's, too."""


def spawn(work: Coroutine[Any, Any, None]) -> Deferred[None]:
    """Run a coroutine by itself; an error in it fails the test, since nobody handles it."""
    return Deferred.fromCoroutine(work)


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for, or its exception raised."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


def wire(event: Event) -> bytes:
    """A wire format for tests: an event's repr, a line each."""
    return f"{event}\n".encode()


def other_wire(event: Event) -> bytes:
    """Another wire format, to see that formats don't mix."""
    return f"other:{event}\n".encode()


@attrs.define(eq=False)
class FakeLink:
    """A link that remembers: ``sent`` in order, both a room's bytes and what it alone was told."""

    format: Format = wire
    audiences: tuple[Audience, ...] = ()
    deaf_to: frozenset[Key] = frozenset()
    busy: bool = False
    host: str = "192.0.2.1"
    sent: list[bytes | Event] = attrs.field(factory=list)
    closed: bool = False
    aborted: bool = False
    paused: bool = False
    writes: int = 0

    def write(self, data: bytes) -> None:
        """Remember bytes, one entry a line."""
        self.writes += 1
        self.sent.extend(data.splitlines(keepends=True))

    def tell(self, event: Event) -> None:
        """Remember an event."""
        self.sent.append(event)

    def close(self) -> None:
        """Remember that."""
        self.closed = True

    def abort(self) -> None:
        """Remember that."""
        self.aborted = True

    def pause(self) -> None:
        """Remember that."""
        self.paused = True

    def resume(self) -> None:
        """Remember that."""
        self.paused = False

    def take(self) -> list[bytes | Event]:
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


@attrs.define
class FakeCodec:
    """A codec in which ``verb text`` is a request, wherever the session stands.

    A line of the form ``verb text|secret|secret`` has secrets too.
    """

    asked: Asked | None = None

    def request(self, line: Line, *, bare: bool) -> Request | None:
        """Make a request of a line."""
        if isinstance(line, Mark):
            return Request("quit")
        self.asked = None
        head, *secrets = line.split("|")
        verb, _, text = head.partition(" ")
        return Request(verb, text, tuple(secrets)) if verb else None


@attrs.define
class PlainPasswords:
    """Passwords stored as they are typed; "slow" waits for ``proceed``, "locked" is locked."""

    waiting: list[Deferred[None]] = attrs.field(factory=list)

    async def login(
        self, who: str, account: Account | None, password: str, address: str
    ) -> Account:
        """Check a password."""
        if password == "slow":
            self.waiting.append(Deferred())
            await self.waiting[-1]
        if password == "locked":
            raise LockedOut(who, 42)
        if password == "last":
            raise LockedOut(who, 60, first=True)
        if account is None or (password != "slow" and account.password != password):
            raise WrongPassword(2)
        return account

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        if len(password) < 4:
            raise BadPassword("A password has at least 4 characters.")
        return password

    async def invent(self) -> tuple[str, str]:
        """A new password, and what is stored of it."""
        return "invented", "invented"

    def proceed(self) -> None:
        """Let the slow ones go on."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)


@attrs.define(eq=False)
class Notes:
    """Commands that note what they are asked for, besides the real ones.

    ``do TEXT`` notes it at once, ``slowly TEXT`` after ``proceed``; ``crash`` and ``slow-crash``
    have a mistake.
    """

    done: list[str] = attrs.field(factory=list)
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    def run(self, session: Session, request: Request) -> Coroutine[Any, Any, None] | None:
        """As CommandTable."""
        if request.verb == "do":
            self.done.append(request.text)
            return None
        if request.verb == "crash":
            raise ZeroDivisionError
        if request.verb in {"slowly", "slow-crash"}:
            return self._slowly(request)
        return TABLE.run(session, request)

    def proceed(self) -> None:
        """Let the oldest of the slow ones go on."""
        self.waiting.pop(0).callback(None)

    async def _slowly(self, request: Request) -> None:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        if request.verb == "slow-crash":
            raise ZeroDivisionError
        self.done.append(request.text)


@attrs.define
class FakeSpool:
    """A disk for files that only knows how much there is."""

    files: dict[str, int] = attrs.field(factory=dict)
    room: int = 10**12

    def sizes(self) -> dict[str, int]:
        """What is there."""
        return dict(self.files)

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the others."""
        self.files = {name: size for name, size in self.files.items() if name in names}

    def remove(self, name: str) -> None:
        """Forget it."""
        self.files.pop(name, None)

    def free(self) -> int:
        """How much there is room for."""
        return self.room


@attrs.define
class FakeAudit:
    """An audit log that remembers."""

    acts: list[Act] = attrs.field(factory=list)

    def note(self, act: Act) -> None:
        """Remember it."""
        self.acts.append(act)


@attrs.define
class FakeServer:
    """A server as a whole that remembers what it was asked; ``wrong`` is a mistake to find."""

    changes: tuple[str, ...] = ("Nothing has changed.",)
    wrong: str = ""
    stopped: bool = False

    async def rehash(self) -> tuple[str, ...]:
        """Say what changed, or what is wrong."""
        if self.wrong:
            raise BadConfiguration(self.wrong)
        return self.changes

    async def stats(self) -> dict[str, int | float]:
        """Some numbers."""
        return {"online": 3, "uptime": 1.5}

    def stop(self) -> None:
        """Remember it."""
        self.stopped = True


@attrs.define
class World:
    """A hub with everything around it in memory, and people to put in it."""

    clock: Clock
    rules: Rules = RULES
    store: MemoryStore = attrs.field(factory=MemoryStore)
    passwords: PlainPasswords = attrs.field(factory=PlainPasswords)
    incidents: list[int] = attrs.field(factory=list)
    audit: FakeAudit = attrs.field(factory=FakeAudit)
    server: FakeServer = attrs.field(factory=FakeServer)
    seen: list[Watched] = attrs.field(factory=list)
    spool: FakeSpool = attrs.field(factory=FakeSpool)
    places: tuple[Place, ...] = (Place("", 5080, tls=False),)
    tickets: int = 0
    wrong: str | None = None
    hub: Hub = attrs.field(init=False)
    journal: MemoryJournal = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.hub = Hub(
            clock=self.clock,
            rules=self.rules,
            roster=MemoryRoster(),
            store=self.store,
            passwords=self.passwords,
            commands=TABLE,
            spawn=spawn,
            wait=lambda seconds: deferLater(self.clock, seconds),
            incident=self.incident,
            audit=self.audit,
            log=self.seen.append,
        )
        self.hub.server = self.server
        self.hub.files = Files(
            self.hub,
            FILE_RULES,
            self.spool,
            self.ticket,
            lambda host: tuple(attrs.evolve(place, host=host) for place in self.places),
            self.scan,
        )
        self.journal = self.hub.journal = MemoryJournal(self.clock, self.hub)

    def change(self, **rules: Any) -> None:
        """Change the rules."""
        self.rules = self.hub.rules = attrs.evolve(self.hub.rules, **rules)

    def ticket(self) -> str:
        """A ticket that is easily told from others."""
        self.tickets += 1
        return f"{self.tickets:032x}"

    async def scan(self, transfer: Transfer) -> str | None:
        """What is wrong with a file."""
        return self.wrong

    def incident(self) -> int:
        """Count an error that is no refusal."""
        self.incidents.append(len(self.incidents) + 1)
        return self.incidents[-1]

    def channel(self, name: str = "general", capacity: int = 100, afk: int = 100) -> Channel:
        """Open a channel."""
        channel = Channel(ChannelName(name), capacity, afk, True)
        self.hub.channels.open(channel)
        return channel

    def account(self, name: str, password: str = "secret", role: Role = Role.USER) -> Account:
        """Store an account."""
        known = read_name(name)
        skeleton = skeleton_of(known)
        number = len(self.store.accounts) + 1
        new = Account(number, key_of(known), known, skeleton, None, password, role, 0.0, None)
        self.store.accounts[new.key] = new
        return new

    def connect(self, home: Channel | None = None, address: str = "10.0.0.1") -> Session:
        """A connection that has been greeted; its link is ``session.link``."""
        session = Session.begin(self.hub, FakeLink(), FakeCodec(), address, "line", home)
        spawn(session.greet())
        return session

    def login(self, name: str, home: Channel | None = None) -> Session:
        """Somebody who has an account and has logged in, with everything told so far delivered."""
        if key_of(read_name(name)) not in self.store.accounts:
            self.account(name)
        session = self.connect(home)
        session.receive(f"login {name}|secret")
        self.turn()
        return session

    def turn(self) -> None:
        """Let the journal deliver."""
        self.clock.advance(0)

    def ask(self, session: Session, line: str) -> list[bytes | Event]:
        """What a session is sent for a line of its own, and for nothing before that."""
        link_of(session).take()
        session.receive(line)
        self.turn()
        return link_of(session).take()


def refused(error: ChatError, at: float = 0.0) -> list[bytes | Event]:
    """What a session is sent when it is refused something."""
    return [Refused(error.code, str(error), at)]


def told(*lines: str, at: float = 0.0) -> list[bytes | Event]:
    """What a session is sent as an answer in plain sentences."""
    return [Told(lines, at)]


def link_of(session: Session) -> FakeLink:
    """A session's fake link."""
    assert isinstance(session.link, FakeLink)
    return session.link


def sent_to(session: Session) -> list[bytes | Event]:
    """What a session has been sent since this was last asked."""
    return link_of(session).take()


def said(name: str, text: str, seq: int, at: float = 0.0) -> bytes:
    """How the channel general reads a line."""
    return wire(Said(ChannelName("general"), Name(name), Text(text), at, seq))
