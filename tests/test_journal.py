"""One contract for every journal: one order, in batches, none lost, and a bound on what waits."""

from collections.abc import Sequence

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.events import Announced, Broadcasted, Event, Joined, Left, Said
from chatd.domain.text import Text
from chatd.journal import MemoryJournal, StoreJournal
from tests.conftest import LoggedErrors
from tests.fakes import FakeLink, MemoryStore, spawn
from tests.journals import (
    ALICE,
    BLOCK,
    FIVE_EVENTS,
    GENERAL,
    INBOX,
    OPEN,
    WORK,
    AnyJournal,
    Committing,
    Listeners,
    said,
    told,
)

LONG = Text("x" * 500)


@pytest.fixture
def listener() -> Listeners:
    """Who takes what the journal hands over."""
    return Listeners()


@pytest.fixture(params=["memory", "store", "store with commits by hand"])
def journal(request: pytest.FixtureRequest, clock: Clock, listener: Listeners) -> AnyJournal:
    """Each journal in turn, full with 5 events."""
    if request.param == "memory":
        made: AnyJournal = MemoryJournal(clock, listener, FIVE_EVENTS)
    else:
        store = MemoryStore() if request.param == "store" else Committing(clock)
        made = StoreJournal(clock, listener, store, spawn, {GENERAL: 0, WORK: 0}, FIVE_EVENTS)
    listener.journal = made
    return made


def without_numbers(events: Sequence[Event]) -> list[Event]:
    """The events, lines as they were before the journal counted them."""
    return [attrs.evolve(e, seq=0) if isinstance(e, Said) else e for e in events]


def run(clock: Clock) -> None:
    """Let the clock do everything that it has to do now."""
    while clock.getDelayedCalls():
        clock.advance(0)


MIXTURES: list[list[Event]] = [
    [said("a"), said("b"), said("c")],
    [told("a"), told("b")],
    [said("a"), Joined(GENERAL, ALICE, 0.0), said("b", WORK), told("c"), said("d", OPEN)],
    [Joined(GENERAL, ALICE, 0.0), said("a"), Left(GENERAL, ALICE, 0.0), said("b", OPEN)],
]


@pytest.mark.parametrize("events", MIXTURES)
def test_order_is_kept(
    clock: Clock, journal: AnyJournal, listener: Listeners, events: list[Event]
) -> None:
    """Everybody is told what happened in the order in which it happened, stored or not."""
    for event in events:
        journal.append(event)
    assert listener.delivered == []

    run(clock)
    assert without_numbers(listener.events()) == events


@pytest.mark.parametrize("events", MIXTURES)
def test_order_is_kept_over_turns(
    clock: Clock, journal: AnyJournal, listener: Listeners, events: list[Event]
) -> None:
    """The order holds too where each event comes at another time."""
    for event in events:
        journal.append(event)
        clock.advance(0)

    run(clock)
    assert without_numbers(listener.events()) == events


def test_batch(clock: Clock, journal: AnyJournal, listener: Listeners) -> None:
    """What comes at once is one batch, what comes later another one."""
    journal.append(said("a"))
    journal.append(told("b"))
    run(clock)
    journal.append(said("c"))
    run(clock)

    assert listener.delivered == [[said("a", seq=1), told("b")], [said("c", seq=2)]]


def test_links_come_back(clock: Clock, journal: AnyJournal, listener: Listeners) -> None:
    """An event comes back with the link that it went in with."""
    link = FakeLink()
    journal.append(told("a"), link)
    journal.append(told("b"))
    journal.append(said("c"), link)
    run(clock)

    assert [taken is link for taken in listener.links] == [True, True]


def test_rooms_count_their_own_lines(
    clock: Clock, journal: AnyJournal, listener: Listeners
) -> None:
    """Each room's lines are numbered from 1 on."""
    for room, text in ((GENERAL, "a"), (WORK, "b"), (GENERAL, "c")):
        journal.append(said(text, room))
        clock.advance(0)
    run(clock)

    assert listener.events() == [said("a", seq=1), said("b", WORK, 1), said("c", seq=2)]


def test_kept_room_goes_on_from_its_number(
    clock: Clock, journal: AnyJournal, listener: Listeners
) -> None:
    """A room that comes later is numbered from its last line on, and never goes back."""
    journal.keep(INBOX, 7)
    for last in (0, 7, 5, 20, 8):
        journal.append(said("a", INBOX))
        run(clock)
        journal.keep(INBOX, last)
    journal.append(said("a", INBOX))
    run(clock)

    assert listener.events() == [said("a", INBOX, seq) for seq in (8, 9, 10, 11, 21, 22)]


def test_records_go_with_events(clock: Clock, journal: AnyJournal, listener: Listeners) -> None:
    """Events with records are delivered in their place, and the records are shown to nobody."""
    journal.keep(INBOX, 3)
    message = said("hello", INBOX)
    journal.append(told("before"))
    journal.append(message)
    journal.append(told("sent"), None, (message, BLOCK))
    journal.append(told("after"))
    run(clock)

    batch = [told("before"), said("hello", INBOX, 4), told("sent"), told("after")]
    assert listener.delivered == [batch]
    assert listener.refused == []


@pytest.mark.parametrize(
    "event",
    [said("x" * 500), Announced(GENERAL, "x" * 500, 0.0), Broadcasted(GENERAL, ALICE, LONG, 0.0)],
)
def test_long_words_take_more_room(clock: Clock, journal: AnyJournal, event: Event) -> None:
    """A journal is full by the length of what is said, not by how many have said something."""
    journal.append(event)
    assert journal.full
    run(clock)


@pytest.mark.parametrize("event", [said("a"), told("a")], ids=["stored", "not stored"])
def test_full_and_room_again(
    clock: Clock, journal: AnyJournal, listener: Listeners, event: Event
) -> None:
    """A journal is full once as much waits as it may hold, and says when there is room again."""
    for _ in range(4):
        journal.append(event)
    assert not journal.full
    journal.append(event)
    assert journal.full

    run(clock)
    assert not journal.full
    assert listener.told == ["room"]
    assert len(listener.events()) == 5


def test_room_is_told_only_after_full(
    clock: Clock, journal: AnyJournal, listener: Listeners
) -> None:
    """Nobody is told of room where there always was some."""
    for _ in range(4):
        journal.append(said("a"))
    run(clock)

    assert listener.told == []


def test_what_is_appended_during_a_delivery(
    clock: Clock, journal: AnyJournal, listener: Listeners
) -> None:
    """What follows from a delivery is delivered in a later batch."""
    listener.answer = said("answer")
    journal.append(said("question"))
    run(clock)

    assert listener.delivered == [[said("question", seq=1)], [said("answer", seq=2)]]


def test_mistake_in_the_hub(
    clock: Clock, journal: AnyJournal, listener: Listeners, logged_errors: LoggedErrors
) -> None:
    """A delivery that goes wrong is logged, and the next one comes all the same."""
    listener.broken = True
    for _ in range(5):
        journal.append(said("a"))
    run(clock)
    errors = logged_errors.flush()
    assert [str(event["log_failure"].value) for event in errors] == ["a mistake in the hub"] * 2
    assert listener.told == ["room"]

    listener.broken = False
    journal.append(said("b"))
    run(clock)
    assert listener.events()[-1] == said("b", seq=6)


def test_drained_with_nothing_waiting(journal: AnyJournal) -> None:
    """An empty journal is drained at once."""
    assert journal.drained().called


def test_drained_after_everything(clock: Clock, journal: AnyJournal, listener: Listeners) -> None:
    """A journal is drained once everything is delivered, with what followed from that."""
    counts: list[int] = []
    listener.answer = said("answer")
    journal.append(said("a"))
    journal.append(told("b"))
    journal.drained().addCallback(lambda _: counts.append(len(listener.events())))
    run(clock)

    assert counts == [3]
    assert [] not in listener.delivered


@pytest.mark.parametrize("stored", [False, True])
def test_no_limit(clock: Clock, listener: Listeners, stored: bool) -> None:
    """A limit of 0 is none: the journal is never full."""
    made: AnyJournal = MemoryJournal(clock, listener, 0)
    if stored:
        made = StoreJournal(clock, listener, MemoryStore(), spawn, {GENERAL: 0}, 0)
    for _ in range(100):
        made.append(said("a"))
    assert not made.full

    run(clock)
    assert len(listener.events()) == 100
    assert listener.told == []


def test_room_that_is_forgotten(clock: Clock, journal: AnyJournal, listener: Listeners) -> None:
    """A room that is gone and made again begins with its first line, where it was forgotten."""
    journal.append(said("a"))
    run(clock)
    journal.forget(GENERAL)
    journal.forget(GENERAL)
    journal.keep(GENERAL, 0)
    journal.append(said("b"))
    run(clock)

    assert listener.events() == [said("a", seq=1), said("b", seq=1)]
