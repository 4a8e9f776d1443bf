"""What the journals' tests share: a hub that remembers, and stores that take their time."""

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatd.domain.events import Event, Said, Told
from chatd.domain.names import ChannelName, Key, Name, RoomName
from chatd.domain.ports import Batch
from chatd.domain.records import BlockSet, Record
from chatd.domain.text import Text
from chatd.journal import MemoryJournal, StoreJournal
from tests.fakes import FakeLink

GENERAL, WORK, OPEN = (
    ChannelName(RoomName("general")),
    ChannelName(RoomName("work")),
    ChannelName(RoomName("open")),
)
TEAM, INBOX = RoomName("@team"), RoomName("~bob")
ALICE = Name("alice")
BLOCK = BlockSet(Key("bob"), Key("alice"), True)

FIVE_EVENTS: Final = 261
"""A journal's limit, in bytes, that five short events reach and four don't."""

AnyJournal = MemoryJournal | StoreJournal


@attrs.define(eq=False)
class Listeners:
    """Who takes what the journal hands over, and remembers each batch."""

    delivered: list[list[Event]] = attrs.field(factory=list)
    links: list[FakeLink] = attrs.field(factory=list)
    refused: list[list[Event]] = attrs.field(factory=list)
    told: list[str] = attrs.field(factory=list)
    journal: AnyJournal | None = None
    answer: Event | None = None
    broken: bool = False

    def deliver(self, batch: Batch) -> None:
        """Remember a batch; ``answer`` is appended once, ``broken`` raises."""
        self.delivered.append([event for event, _ in batch])
        self.links.extend(link for _, link in batch if isinstance(link, FakeLink))
        if self.answer is not None and self.journal is not None:
            answer, self.answer = self.answer, None
            self.journal.append(answer)
        self._break()

    def refuse(self, refused: Batch) -> None:
        """Remember what was refused."""
        self.refused.append([event for event, _ in refused])
        self._break()

    def drained(self) -> None:
        """Remember that there is room again, and whether it is true."""
        assert self.journal is not None
        self.told.append("still full" if self.journal.full else "room")
        self._break()

    def events(self) -> list[Event]:
        """Everything delivered so far, in its order."""
        return [event for batch in self.delivered for event in batch]

    def _break(self) -> None:
        if self.broken:
            raise RuntimeError("a mistake in the hub")


@attrs.define(eq=False)
class HandStore:
    """A store whose commits the test completes or fails, one at a time."""

    commits: list[tuple[list[Record], Deferred[Sequence[Record]]]] = attrs.field(factory=list)
    stored: list[Record] = attrs.field(factory=list)

    def append(self, records: Sequence[Record]) -> Deferred[Sequence[Record]]:
        """Begin a commit."""
        done: Deferred[Sequence[Record]] = Deferred()
        self.commits.append((list(records), done))
        return done

    def complete(self, *bad: int) -> None:
        """Commit, without the records at these places."""
        records, done = self.commits.pop()
        failed = [records[place] for place in bad]
        self.stored.extend(one for place, one in enumerate(records) if place not in bad)
        done.callback(failed)

    def fail(self) -> None:
        """Fail the commit as a whole."""
        self.commits.pop()[1].errback(OSError("no space left"))


@attrs.define(eq=False)
class Committing:
    """A store that takes a turn of the clock for each commit."""

    _clock: Clock

    def append(self, records: Sequence[Record]) -> Deferred[Sequence[Record]]:
        """Commit a turn later."""
        done: Deferred[Sequence[Record]] = Deferred()
        self._clock.callLater(0, done.callback, [])
        return done


def said(text: str, room: RoomName = GENERAL, seq: int = 0) -> Said:
    """A line."""
    return Said(room, ALICE, Text(text), 0.0, seq)


def told(text: str) -> Told:
    """An event that nobody stores."""
    return Told((text,), 0.0)
