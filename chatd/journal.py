"""The journal: one order for all events, and storage before delivery for those that last.

The rule: what :meth:`append` takes comes back through ``deliver`` in the same order, in batches. A
batch is what gathers within one reactor turn or, in a :class:`StoreJournal`, while a commit is
under way; so a commit is paid once a batch, not once a line, and nobody is shown a line that a
crash could still lose. Rejected: to deliver and store side by side (two orders, and a crash loses
what people saw); a commit for every line (4.6k lines/s against 120k, LIBRARIES.md 3).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from chatd.domain.events import Event, Said
from chatd.domain.names import ChannelName
from chatd.domain.ports import Batch, Clock, Link, Spawn

_log = Logger()

_OVERHEAD: Final = 64  # name, time and brackets of a line, or all of a short notice

Entries = list[tuple[Event, Link | None]]


class Listener(Protocol):
    """Who takes what the journal has accepted: the hub."""

    def deliver(self, batch: Batch) -> None:
        """Tell everyone."""

    def refuse(self, refused: Batch) -> None:
        """Tell the authors that it was not stored."""

    def drained(self) -> None:
        """There is room again."""


class Lines(Protocol):
    """Where lines are stored."""

    def append_lines(self, lines: Sequence[Said]) -> Awaitable[Sequence[Said]]:
        """Store lines in one transaction; return those that could not be stored.

        Raises:
            Exception: none of them was stored.
        """


@attrs.define(eq=False)
class MemoryJournal:
    """An order without storage: a batch a reactor turn. For tests, and for rooms nobody keeps."""

    _clock: Clock
    _listener: Listener
    _most: int = 131_072  # bytes
    _gathered: Entries = attrs.field(factory=list)
    _bytes: int = 0  # of what has gathered
    _scheduled: bool = False
    _numbers: dict[ChannelName, int] = attrs.field(factory=dict)

    @property
    def full(self) -> bool:
        """Whether so much waits that the doors should stop reading; a limit of 0 is no limit."""
        return bool(self._most) and self._bytes >= self._most

    def append(self, event: Event, link: Link | None = None) -> None:
        """Take an event."""
        self._gathered.append((event, link))
        self._bytes += size(event)
        self._schedule()

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
        hand_over(self._listener.deliver, numbered(batch, self._numbers, lambda said: True))
        if was_full and not self.full:
            hand_over(self._listener.drained)


@attrs.define(eq=False)
class StoreJournal:
    """Commit, then deliver. ``kept`` are the rooms whose lines last, each with its last number."""

    _clock: Clock
    _listener: Listener
    _store: Lines
    _spawn: Spawn
    _kept: Mapping[ChannelName, int]
    _most: int = 131_072  # bytes
    _gathered: Entries = attrs.field(factory=list)
    _bytes: int = 0  # of what has gathered
    _scheduled: bool = False
    _committing: int = 0  # bytes of the batch that is being stored or delivered
    _numbers: dict[ChannelName, int] = attrs.field(factory=dict)
    _idle: list[Deferred[None]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._numbers.update(self._kept)

    @property
    def full(self) -> bool:
        """Whether so much waits that the doors should stop reading; a limit of 0 is no limit."""
        return bool(self._most) and self._bytes + self._committing >= self._most

    def append(self, event: Event, link: Link | None = None) -> None:
        """Take an event; it is delivered once stored, or at once where it needs no storing."""
        self._gathered.append((event, link))
        self._bytes += size(event)
        if not self._scheduled and not self._committing:
            self._scheduled = True
            self._clock.callLater(0, self._turn)

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
        batch = numbered(self._gathered, self._numbers, self._keeps)
        self._gathered, self._bytes, self._committing = [], 0, self._bytes
        lines = [e for e, _ in batch if type(e) is Said and e.room in self._kept]
        if lines:
            self._spawn(self._commit(batch, lines))
        else:
            self._done(batch)

    async def _commit(self, batch: Entries, lines: list[Said]) -> None:
        try:
            failed = await self._store.append_lines(lines)
        except Exception:  # noqa: BLE001 (whatever the reason, the authors must hear of it)
            _log.failure("{count} lines were not stored", count=len(lines))
            failed = lines
        if failed:
            lost = set(map(id, failed))
            refused = [entry for entry in batch if id(entry[0]) in lost]
            hand_over(self._listener.refuse, refused)
            batch = [entry for entry in batch if id(entry[0]) not in lost]
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

    def _keeps(self, said: Said) -> bool:
        return said.room in self._kept


def size(event: Event) -> int:
    """About how many bytes an event is on the wire: what a batch is bounded in.

    A batch that were much larger than what a client may leave unread would throw out clients that
    read as fast as they can.
    """
    return _OVERHEAD + len(event.text) if type(event) is Said else _OVERHEAD


def numbered(
    batch: Entries, numbers: dict[ChannelName, int], keeps: Callable[[Said], bool]
) -> Entries:
    """The batch with each kept line's number in its room, counted on in ``numbers``."""
    counted: Entries = []
    for event, link in batch:
        if type(event) is Said and keeps(event):
            seq = numbers[event.room] = numbers.get(event.room, 0) + 1
            event = Said(event.room, event.author, event.text, event.at, seq)
        counted.append((event, link))
    return counted


def hand_over(listen: Callable[..., None], *batch: Batch) -> None:
    """Tell the listener something; a mistake in there must not stop the journal."""
    try:
        listen(*batch)
    except Exception:  # noqa: BLE001 (logged; what comes next is still to be told)
        _log.failure("what the journal handed over was not taken whole")
