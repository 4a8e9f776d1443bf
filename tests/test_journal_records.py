"""What is stored with events: once each, in order, and all of it before anybody is told."""

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.events import Event
from chatd.domain.names import Key
from chatd.domain.records import BlockSet, GroupMade, Record, Standing, StandingSet
from chatd.journal import StoreJournal
from tests.conftest import LoggedErrors
from tests.fakes import FakeLink, spawn
from tests.journals import BLOCK, GENERAL, INBOX, OPEN, TEAM, HandStore, Listeners, said, told

BOB = Key("bob")
MADE = GroupMade(TEAM, BOB)
JOINS, LEAVES = (StandingSet(TEAM, BOB, one) for one in (Standing.MEMBER, Standing.NONE))


@attrs.define(eq=False)
class Desk:
    """A journal whose commits the test completes, with a group of 4 lines and an inbox of 9."""

    clock: Clock
    listener: Listeners = attrs.field(factory=Listeners)
    store: HandStore = attrs.field(factory=HandStore)
    journal: StoreJournal = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.journal = StoreJournal(self.clock, self.listener, self.store, spawn, {GENERAL: 0})
        self.journal.keep(TEAM, 4)
        self.journal.keep(INBOX, 9)

    def append(self, event: Event, *records: Record) -> None:
        """Hand over an event with its records."""
        self.journal.append(event, FakeLink(), records)

    def commit(self) -> list[Record]:
        """Let the journal begin a commit; what is in it."""
        self.clock.advance(0)
        [(records, _)] = self.store.commits
        return records


@pytest.fixture
def desk(clock: Clock) -> Desk:
    """A journal with a group and an inbox."""
    return Desk(clock)


def test_event_waits_for_its_records(desk: Desk) -> None:
    """What changes somebody's standing is told when it is stored, not earlier."""
    desk.append(told("welcome"), JOINS)
    assert desk.commit() == [JOINS]
    assert desk.listener.delivered == []

    desk.store.complete()
    assert desk.listener.delivered == [[told("welcome")]]


def test_order_of_records(desk: Desk) -> None:
    """Lines and changes are stored in the order in which they came."""
    desk.append(said("a", TEAM))
    desk.append(told("made"), MADE, JOINS)
    desk.append(said("b", TEAM))
    desk.append(told("bye"), LEAVES)

    assert desk.commit() == [said("a", TEAM, 5), MADE, JOINS, said("b", TEAM, 6), LEAVES]
    desk.store.complete()


def test_shared_records_are_stored_once(desk: Desk) -> None:
    """Several events may stand for one change; changes that are merely equal are two."""
    again = attrs.evolve(JOINS)
    desk.append(told("a"), MADE, JOINS)
    desk.append(told("b"), JOINS)
    desk.append(told("c"), LEAVES)
    desk.append(told("d"), again, MADE)

    records = desk.commit()
    assert [id(one) for one in records] == [id(one) for one in (MADE, JOINS, LEAVES, again)]
    desk.store.complete()
    assert desk.listener.delivered == [[told("a"), told("b"), told("c"), told("d")]]


def test_message_and_its_receipt(desk: Desk) -> None:
    """A line that its receipts go with is stored once, with its number."""
    message, same = said("hi", INBOX), said("hi", INBOX)
    for one in (message, same):
        desk.append(one)
        desk.append(told("sent"), one)
        desk.append(told("bob is offline"), one)

    numbered = [said("hi", INBOX, 10), said("hi", INBOX, 11)]
    assert desk.commit() == numbered
    desk.store.complete(0)

    receipts = [told("sent"), told("bob is offline")]
    assert desk.listener.refused == [[numbered[0], *receipts]]
    assert desk.listener.delivered == [[numbered[1], *receipts]]


def test_line_that_only_its_receipt_brings(desk: Desk) -> None:
    """A line that is nobody's event is stored with its number too."""
    desk.append(told("sent"), said("hi", INBOX), said("in passing", OPEN))

    assert desk.commit() == [said("hi", INBOX, 10), said("in passing", OPEN)]
    desk.store.complete()
    assert desk.listener.delivered == [[told("sent")]]


@pytest.mark.parametrize("bad", [0, 1])
def test_one_record_that_can_not_be_stored(desk: Desk, bad: int) -> None:
    """Whatever needed it is refused to its author, in order; all else is delivered."""
    desk.append(told("both"), JOINS, BLOCK)
    desk.append(said("a", TEAM))
    desk.append(told("first"), JOINS)
    desk.append(told("second"), BLOCK)
    desk.append(told("nothing"))
    desk.commit()
    desk.store.complete(bad)

    lost, kept = ("second", "first") if bad else ("first", "second")
    assert desk.listener.refused == [[told("both"), told(lost)]]
    assert desk.listener.delivered == [[said("a", TEAM, 5), told(kept), told("nothing")]]
    assert len(desk.listener.links) == 3


def test_failed_commit_refuses_what_had_records(desk: Desk, logged_errors: LoggedErrors) -> None:
    """Where nothing could be stored, only what needed no storing is delivered."""
    desk.append(told("a"), BlockSet(BOB, Key("alice"), False))
    desk.append(told("b"))
    desk.append(said("c", TEAM))
    desk.append(said("d", OPEN))
    desk.commit()
    desk.store.fail()

    assert desk.listener.refused == [[told("a"), said("c", TEAM, 5)]]
    assert desk.listener.delivered == [[told("b"), said("d", OPEN)]]
    assert len(logged_errors.flush()) == 1


def test_same_line_appended_twice(desk: Desk) -> None:
    """One line that is handed over twice is two lines."""
    line = said("a", TEAM)
    desk.append(line)
    desk.append(told("x"), BLOCK)
    desk.append(line)

    assert desk.commit() == [said("a", TEAM, 5), BLOCK, said("a", TEAM, 6)]
    desk.store.complete()
    assert desk.listener.delivered == [[said("a", TEAM, 5), told("x"), said("a", TEAM, 6)]]


def test_room_that_is_kept_from_now_on(desk: Desk) -> None:
    """A line of a room is stored once the room is kept."""
    desk.append(said("a", OPEN))
    desk.clock.advance(0)
    desk.journal.keep(OPEN, 2)
    desk.append(said("b", OPEN))

    assert desk.commit() == [said("b", OPEN, 3)]
    desk.store.complete()
    assert desk.listener.events() == [said("a", OPEN), said("b", OPEN, 3)]
