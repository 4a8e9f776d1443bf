"""The journal: one order for all events, and storage before delivery for those that last.

The rule: what :meth:`append` takes comes back through ``deliver`` in the same order, in batches. A
batch is what gathers within one reactor turn or, in a :class:`StoreJournal`, while a commit is
under way; so a commit is paid once a batch, not once a line, and nobody is shown a line that a
crash could still lose. Rejected: to deliver and store side by side (two orders, and a crash loses
what people saw); a commit for every line (4.6k lines/s against 120k, LIBRARIES.md 3).
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import compress
from operator import itemgetter, not_
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from chatd.domain.events import Announced, Broadcasted, Event, Said
from chatd.domain.names import RoomName
from chatd.domain.ports import Batch, Clock, Hearer, Spawn
from chatd.domain.records import Record

_log = Logger()

_OVERHEAD: Final = 64  # name, time and brackets of a line, or all of a short notice

_RECORDS: Final = itemgetter(2)
_WORDY: Final = (Said, Announced, Broadcasted)

Entries = list[tuple[Event, Hearer | None]]
Taken = list[tuple[Event, Hearer | None, tuple[Record, ...]]]


class Listener(Protocol):
    """Who takes what the journal has accepted: the hub."""

    def deliver(self, batch: Batch) -> None:
        """Tell everyone."""

    def refuse(self, refused: Batch) -> None:
        """Tell the authors that it was not stored."""

    def drained(self) -> None:
        """There is room again."""


class Lines(Protocol):
    """Where lines and other records are stored."""

    def append(self, records: Sequence[Record]) -> Awaitable[Sequence[Record]]:
        """Store records in their order and in one transaction; return those that can't be stored.

        Raises:
            Exception: none of them was stored.
        """


@attrs.define(eq=False)
class MemoryJournal:
    """An order without storage: a batch a reactor turn. For tests, and for rooms nobody keeps."""

    _clock: Clock
    _listener: Listener
    most: int = 131_072  # bytes
    _gathered: Entries = attrs.field(factory=list)
    _bytes: int = 0  # of what has gathered
    _scheduled: bool = False
    _numbers: dict[RoomName, int] = attrs.field(factory=dict)

    @property
    def full(self) -> bool:
        """Whether so much waits that the doors should stop reading; a limit of 0 is no limit."""
        return bool(self.most) and self._bytes >= self.most

    def append(
        self, event: Event, link: Hearer | None = None, records: tuple[Record, ...] = ()
    ) -> None:
        """Take an event; its records are forgotten."""
        self._gathered.append((event, link))
        self._bytes += size(event)
        self._schedule()

    def keep(self, room: RoomName, last: int) -> None:
        """Number the lines of a room after ``last``, or go on where it is further already."""
        count_from(self._numbers, room, last)

    def forget(self, room: RoomName) -> None:
        """Know nothing of a room any more."""
        self._numbers.pop(room, None)

    def drained(self) -> Deferred[None]:
        """Deliver what waits; fires once nothing is left."""
        while self._gathered:
            self._flush()
        return succeed(None)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._gathered:
            self._flush()

    def _flush(self) -> None:
        was_full, batch = self.full, self._gathered
        self._gathered, self._bytes = [], 0
        counted = [
            (numbered(event, self._numbers) if type(event) is Said else event, link)
            for event, link in batch
        ]
        hand_over(self._listener.deliver, counted)
        if was_full and not self.full:
            hand_over(self._listener.drained)


@attrs.define
class JournalCounts:
    """What a journal has done since it began; ``commit_seconds`` are of all commits together."""

    commits: int = 0
    records: int = 0
    not_stored: int = 0
    commit_seconds: float = 0.0
    longest_commit: float = 0.0

    def committed(self, records: int, failed: int, seconds: float) -> None:
        """Count a commit."""
        self.commits += 1
        self.records += records
        self.not_stored += failed
        self.commit_seconds += seconds
        self.longest_commit = max(self.longest_commit, seconds)


@attrs.define(eq=False)
class StoreJournal:
    """Commit, then deliver: an event is told only if all its records are stored.

    ``numbers`` are the last ones of the rooms whose lines last, counted on here; a line in such a
    room is its own record.
    """

    _clock: Clock
    _listener: Listener
    _store: Lines
    _spawn: Spawn
    _numbers: dict[RoomName, int]
    most: int = 131_072  # bytes
    _gathered: Taken = attrs.field(factory=list)
    _bytes: int = 0  # of what has gathered
    _scheduled: bool = False
    _committing: int = 0  # bytes of the batch that is being stored or delivered
    counts: JournalCounts = attrs.field(factory=JournalCounts)
    _idle: list[Deferred[None]] = attrs.field(factory=list)

    @property
    def full(self) -> bool:
        """Whether so much waits that the doors should stop reading; a limit of 0 is no limit."""
        return bool(self.most) and self._bytes + self._committing >= self.most

    def append(
        self, event: Event, link: Hearer | None = None, records: tuple[Record, ...] = ()
    ) -> None:
        """Take an event; it is delivered once stored, or at once where it needs no storing."""
        self._gathered.append((event, link, records))
        self._bytes += size(event)
        if not self._scheduled and not self._committing:
            self._scheduled = True
            self._clock.callLater(0, self._turn)

    def keep(self, room: RoomName, last: int) -> None:
        """Store the lines of a room, numbered after ``last`` or where it is further already."""
        count_from(self._numbers, room, last)

    def forget(self, room: RoomName) -> None:
        """Know nothing of a room any more, which is gone."""
        self._numbers.pop(room, None)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many events wait to be taken up, and about how many bytes they are."""
        return len(self._gathered), self._bytes

    def drained(self) -> Deferred[None]:
        """Fires once everything taken so far is stored and delivered."""
        done: Deferred[None] = Deferred()
        if self._gathered or self._committing:
            self._idle.append(done)
        else:
            done.callback(None)
        return done

    def _turn(self) -> None:
        self._scheduled = False
        self._next()

    def _next(self) -> None:
        """Take up what has gathered: commit it if it must last, then deliver."""
        taken, self._gathered = self._gathered, []
        self._bytes, self._committing = 0, self._bytes
        batch, records = self._numbered(taken)
        stored_as: dict[int, Record] = {}
        if any(map(_RECORDS, taken)):
            records, stored_as = self._with_shared(taken, batch)
        if records:
            self._spawn(self._commit(taken, batch, records, stored_as))
        else:
            self._done(batch)

    def _numbered(self, taken: Taken) -> tuple[Entries, list[Record]]:
        """What to deliver, and the lines of it to store first."""
        numbers = self._numbers
        batch: Entries = []
        lines: list[Record] = []
        for event, link, _ in taken:
            if type(event) is Said and event.room in numbers:
                event = numbered(event, numbers)
                lines.append(event)
            batch.append((event, link))
        return batch, lines

    def _with_shared(self, taken: Taken, batch: Entries) -> tuple[list[Record], dict[int, Record]]:
        """All that is to be stored first, each once, and as what: by the ``id`` of what was taken.

        Records may be equal and yet two; and a line is another object once it has its number.
        """
        records: list[Record] = []
        stored_as: dict[int, Record] = {}
        last: tuple[Record, ...] = ()
        for (event, _, more), (counted, _) in zip(taken, batch, strict=True):
            if isinstance(counted, Said) and counted is not event:
                stored_as[id(event)] = counted
                records.append(counted)
            if more is last:  # many events in a row may have the same
                continue
            last = more
            for record in more:
                if id(record) not in stored_as:
                    if isinstance(record, Said) and record.room in self._numbers:
                        record = stored_as[id(record)] = numbered(record, self._numbers)
                    else:
                        stored_as[id(record)] = record
                    records.append(record)
        return records, stored_as

    async def _commit(
        self, taken: Taken, batch: Entries, records: list[Record], stored_as: dict[int, Record]
    ) -> None:
        began = self._clock.seconds()
        try:
            failed = await self._store.append(records)
        except Exception:  # noqa: BLE001 (whatever the reason, the authors must hear of it)
            _log.failure("{count} records were not stored", count=len(records))
            failed = records
        self.counts.committed(len(records), len(failed), self._clock.seconds() - began)
        if failed:
            lost = set(map(id, failed))
            stored = [
                id(event) not in lost and all(id(stored_as[id(one)]) not in lost for one in more)
                for (event, _), (_, _, more) in zip(batch, taken, strict=True)
            ]
            hand_over(self._listener.refuse, list(compress(batch, map(not_, stored))))
            batch = list(compress(batch, stored))
        self._done(batch)

    def _done(self, batch: Entries) -> None:
        was_full, self._committing = self.full, 0
        hand_over(self._listener.deliver, batch)
        if was_full and not self.full:
            hand_over(self._listener.drained)
        if self._gathered:
            if not self._scheduled:
                self._next()
        else:
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)


def size(event: Event) -> int:
    """About how many bytes an event is on the wire: what a batch is bounded in.

    A batch that were much larger than what a client may leave unread would throw out clients that
    read as fast as they can.
    """
    return _OVERHEAD + len(event.text) if isinstance(event, _WORDY) else _OVERHEAD


def numbered(said: Said, numbers: dict[RoomName, int]) -> Said:
    """The line with its number in its room, counted on in ``numbers``."""
    seq = numbers[said.room] = numbers.get(said.room, 0) + 1
    return Said(said.room, said.author, said.text, said.at, seq)


def count_from(numbers: dict[RoomName, int], room: RoomName, last: int) -> None:
    """Count a room's lines on from ``last``, unless they are further already."""
    numbers[room] = max(last, numbers.get(room, 0))


def hand_over(listen: Callable[..., None], *batch: Batch) -> None:
    """Tell the listener something; a mistake in there must not stop the journal."""
    try:
        listen(*batch)
    except Exception:  # noqa: BLE001 (logged; what comes next is still to be told)
        _log.failure("what the journal handed over was not taken whole")
