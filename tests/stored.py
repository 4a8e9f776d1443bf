"""What the tests of groups, mail and blocks share: a world whose journal stores, and its texts."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from chatd.domain.errors import ChatError
from chatd.domain.events import Announced, Event, Joined, Left, Refused, Said, Told
from chatd.domain.names import GroupName, Key, Name, RoomName, group_room, inbox_room
from chatd.domain.records import Blocks, Record, StoredGroup
from chatd.domain.session import Session
from chatd.domain.text import Text
from chatd.journal import StoreJournal
from tests.fakes import RULES, World, result_of, sent_to, spawn, wire
from tests.memory import MemoryStore

T = TypeVar("T")

TEAM = group_room(GroupName("team"))


@attrs.define(eq=False)
class SlowStore(MemoryStore):
    """A store that answers when the test lets it, as far as it is told to be slow.

    What it reads is what is stored when it is asked. ``unreadable`` reads no mail and no groups.
    """

    slow: frozenset[str] = frozenset()
    unreadable: bool = False
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    def unread(
        self, key: Key, after: Mapping[RoomName, int], lines: int
    ) -> Deferred[Sequence[Said]]:
        """As MemoryStore, when it is time."""
        if self.unreadable:
            return fail(OSError("disk error"))
        return self._later("unread", super().unread(key, after, lines))

    def groups(self) -> Deferred[Sequence[StoredGroup]]:
        """As MemoryStore, when it is time."""
        if self.unreadable:
            return fail(OSError("disk error"))
        return self._later("groups", super().groups())

    def blocks(self, key: Key) -> Deferred[Blocks]:
        """As MemoryStore, when it is time."""
        return self._later("blocks", super().blocks(key))

    def append(self, records: Sequence[Record]) -> Deferred[Sequence[Record]]:
        """As MemoryStore, when it is time."""
        if self.broken or "append" not in self.slow:
            return self._later("append", super().append(records))
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        return turn.addCallback(lambda _: MemoryStore.append(self, records))

    def proceed(self) -> None:
        """Let what waits go on, and be quick from now on."""
        self.slow = frozenset()
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)

    def _later(self, what: str, answer: Deferred[T]) -> Deferred[T]:
        if what not in self.slow:
            return answer
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        return turn.addCallback(lambda _: answer)


def stored_world(clock: Clock, store: MemoryStore | None = None, **rules: int) -> World:
    """A world whose journal stores; with the store of another one, that one after a restart."""
    kept = SlowStore() if store is None else store
    world = World(clock, attrs.evolve(RULES, **rules), store=kept)  # type: ignore[arg-type]
    world.hub.journal = StoreJournal(clock, world.hub, world.store, spawn, {})
    world.hub.groups.load(now(MemoryStore.groups(world.store)))
    return world


def slow_store(world: World) -> SlowStore:
    """The store of such a world."""
    assert isinstance(world.store, SlowStore)
    return world.store


def now(awaited: Awaitable[T]) -> T:
    """What is there without a wait."""

    async def wait() -> T:
        return await awaited

    return result_of(wait())


def team(world: World, *names: str) -> list[Session]:
    """The group team, of people who are online in the lobby; the first is its admin."""
    sessions = [world.login(name) for name in names]
    world.ask(sessions[0], f"create team {' '.join(names[1:])}")
    for session in sessions:
        world.ask(session, "enter team")
    take(*sessions)
    return sessions


def take(*sessions: Session) -> list[list[bytes | Event]]:
    """What each of these has been sent since the last call."""
    return [sent_to(session) for session in sessions]


def quit_(world: World, session: Session) -> None:
    """Let a connection be lost."""
    spawn(session.lost())
    world.turn()


def everybody_goes(world: World) -> None:
    """End a world: every connection is lost, and every place is stored."""
    for session in list(world.hub.sessions):
        spawn(session.lost())
    spawn(world.hub.mail.settle())
    world.clock.advance(1)


def line(name: str, text: str, seq: int, at: float = 0.0) -> Said:
    """A line in the group team."""
    return Said(TEAM, Name(name), Text(text), at, seq)


def direct(name: str, to: str, text: str, seq: int, at: float = 0.0) -> Said:
    """A line in somebody's inbox."""
    return Said(inbox_room(Key(to)), Name(name), Text(text), at, seq)


def heard(*lines: Said) -> list[bytes | Event]:
    """How those who hear a group read these lines."""
    return [wire(one) for one in lines]


def joined(name: str) -> bytes:
    """How the group reads that somebody is a member now."""
    return wire(Joined(TEAM, Name(name), 0.0))


def left(name: str) -> bytes:
    """How the group reads that somebody is no member any more."""
    return wire(Left(TEAM, Name(name), 0.0))


def announced(text: str) -> bytes:
    """How the group reads the server's words."""
    return wire(Announced(TEAM, text, 0.0))


def away(count: str, at: float = 0.0) -> Told:
    """How mail is announced."""
    return Told((f"You have {count} from while you were away.",), at)


def no(error: ChatError, at: float = 0.0) -> Refused:
    """How somebody is refused something."""
    return Refused(error.code, str(error), at)
