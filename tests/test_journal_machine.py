"""Seen implies stored, in one order, whatever happens when (PRODUCT.md, promises 1 and 3)."""

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock

from chatd.domain.events import Event, Said
from chatd.domain.names import RoomName
from chatd.domain.records import Record
from chatd.journal import StoreJournal
from tests.conftest import LoggedErrors
from tests.fakes import FakeLink, spawn
from tests.journals import BLOCK, GENERAL, OPEN, WORK, HandStore, Listeners, said, told

MOST = 330  # bytes: five events or so


class Journaling(RuleBasedStateMachine):
    """People talk, commits are completed or fail, and the reactor turns, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.listener, self.store = Clock(), Listeners(), HandStore()
        self.journal = StoreJournal(
            self.clock, self.listener, self.store, spawn, {GENERAL: 0, WORK: 7}, MOST
        )
        self.listener.journal = self.journal
        self.appended: list[str] = []
        self.needed: dict[str, tuple[Record, ...]] = {}
        self.waited_for_room = False

    @rule(room=st.sampled_from([GENERAL, WORK, OPEN]))
    def say(self, room: RoomName) -> None:
        """Somebody says something."""
        self._append(said(str(len(self.appended)), room))

    @rule()
    def tell(self) -> None:
        """Somebody is told something."""
        self._append(told(str(len(self.appended))))

    @rule(room=st.sampled_from([GENERAL, WORK]), changes=st.integers(0, 2))
    def say_with_receipts(self, room: RoomName, changes: int) -> None:
        """Somebody says something, and two people are told that it was stored, with changes."""
        line = said(str(len(self.appended)), room)
        records: tuple[Record, ...] = (line, *(attrs.evolve(BLOCK) for _ in range(changes)))
        self._append(line)
        for _ in range(2):
            receipt = str(len(self.appended))
            self.needed[receipt] = records
            self._append(told(receipt), records)

    @rule()
    def answer_a_delivery(self) -> None:
        """The hub appends something while it delivers the next batch."""
        if self.listener.answer is None:
            self.listener.answer = said("answer")

    @rule()
    def turn(self) -> None:
        """The reactor turns."""
        self.clock.advance(0)

    @precondition(lambda self: self.store.commits)
    @rule(places=st.sets(st.integers(0, 9)))
    def complete(self, places: set[int]) -> None:
        """The commit is done, but for some lines."""
        count = len(self.store.commits[0][0])
        self.store.complete(*(place for place in places if place < count))

    @precondition(lambda self: self.store.commits)
    @rule()
    def fail(self) -> None:
        """The commit fails."""
        self.store.fail()

    @invariant()
    def seen_implies_stored(self) -> None:
        """Each line of a kept room that was delivered is in the store."""
        kept = [e for e in self.listener.events() if isinstance(e, Said) and e.room != OPEN]
        assert kept == [one for one in self.store.stored if isinstance(one, Said)]

    @invariant()
    def told_implies_stored(self) -> None:
        """Each event that came with records was delivered only if all of them are in the store."""
        changes = set(map(id, self.store.stored))
        lines = {one.text for one in self.store.stored if isinstance(one, Said)}
        for event in self.listener.events():
            for record in self.needed.get(_words(event), ()):
                assert record.text in lines if isinstance(record, Said) else id(record) in changes

    @invariant()
    def stored_once(self) -> None:
        """No record is stored twice, however many events came with it."""
        assert len(set(map(id, self.store.stored))) == len(self.store.stored)

    @invariant()
    def one_order(self) -> None:
        """What was delivered or refused came in the order of its appending, each only once."""
        for batches in (self.listener.delivered, self.listener.refused):
            order = [_words(event) for batch in batches for event in batch]
            places = [self.appended.index(words) for words in order if words in self.appended]
            assert places == sorted(set(places))

    @invariant()
    def numbers_rise(self) -> None:
        """A room's numbers only grow, from the stored one on."""
        for room, last in ((GENERAL, 0), (WORK, 7)):
            lines = [one for one in self.store.stored if isinstance(one, Said)]
            seqs = [said.seq for said in lines if said.room == room]
            assert [last, *seqs] == sorted({last, *seqs})

    @invariant()
    def one_commit_at_a_time(self) -> None:
        """No commit begins before the one before it has ended."""
        assert len(self.store.commits) <= 1

    @invariant()
    def room_is_told(self) -> None:
        """Whoever found the journal full is told when there is room, and not before."""
        if self.listener.told:
            assert set(self.listener.told) == {"room"}
            self.listener.told.clear()
            self.waited_for_room = False
        if self.journal.full:
            self.waited_for_room = True
        assert self.waited_for_room == self.journal.full

    def teardown(self) -> None:
        """In the end everything was either delivered or refused, and the journal is drained."""
        drained = self.journal.drained()
        self.listener.answer = None
        while self.store.commits or self.clock.getDelayedCalls():
            self.clock.advance(0)
            if self.store.commits:
                self.store.complete()
        assert drained.called
        refused = [event for batch in self.listener.refused for event in batch]
        words = [_words(event) for event in [*self.listener.events(), *refused]]
        assert sorted(set(words) - {"answer"}) == sorted(self.appended)
        self.seen_implies_stored()
        self.told_implies_stored()
        self.one_order()

    def _append(self, event: Event, records: tuple[Record, ...] = ()) -> None:
        self.appended.append(_words(event))
        self.journal.append(event, FakeLink(), records)


def _words(event: Event) -> str:
    return event.text if isinstance(event, Said) else str(getattr(event, "lines", ("",))[0])


def test_seen_implies_stored(logged_errors: LoggedErrors) -> None:
    """Whatever happens when, what people see is stored, and is the same in the same order."""
    few = settings(deadline=None, max_examples=150, stateful_step_count=40)
    run_state_machine_as_test(Journaling, settings=few)

    formats = {event["log_format"] for event in logged_errors.flush()}
    assert formats == {"{count} records were not stored"}
