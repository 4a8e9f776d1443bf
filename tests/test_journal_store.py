"""The journal that stores: nothing is shown before its commit, and a failure is told."""

import pytest
from twisted.internet.task import Clock

from chatd.journal import JournalCounts, StoreJournal
from tests.conftest import LoggedErrors
from tests.fakes import spawn
from tests.journals import FIVE_EVENTS, GENERAL, OPEN, WORK, HandStore, Listeners, said, told


@pytest.fixture
def listener() -> Listeners:
    """Who takes what the journal hands over."""
    return Listeners()


@pytest.fixture
def store() -> HandStore:
    """A store that the test commits for."""
    return HandStore()


@pytest.fixture
def storing(clock: Clock, listener: Listeners, store: HandStore) -> StoreJournal:
    """A journal whose commits the test completes, full with 5 events; "work" has had 41 lines."""
    made = StoreJournal(clock, listener, store, spawn, {GENERAL: 0, WORK: 41}, FIVE_EVENTS)
    listener.journal = made
    return made


@pytest.fixture
def committing(clock: Clock, storing: StoreJournal) -> StoreJournal:
    """A journal with one line, whose commit is under way."""
    storing.append(said("first"))
    clock.advance(0)
    return storing


@pytest.mark.usefixtures("committing")
def test_nothing_is_shown_before_its_commit(listener: Listeners, store: HandStore) -> None:
    """A line is shown when it is stored, not earlier."""
    assert [lines for lines, _ in store.commits] == [[said("first", seq=1)]]
    assert listener.delivered == []

    store.complete()
    assert listener.delivered == [[said("first", seq=1)]]


def test_what_gathers_during_a_commit(
    clock: Clock, committing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """Whatever comes during a commit waits for it, and is the next batch."""
    for event in (told("second"), said("third"), said("fourth", OPEN), said("fifth", WORK)):
        committing.append(event)
        clock.advance(0)
    assert len(store.commits) == 1
    assert listener.delivered == []

    store.complete()
    assert listener.delivered == [[said("first", seq=1)]]
    lines = [said("third", seq=2), said("fifth", WORK, 42)]
    assert [committed for committed, _ in store.commits] == [lines]
    store.complete()
    batch = [told("second"), lines[0], said("fourth", OPEN), lines[1]]
    assert listener.delivered[1:] == [batch]


def test_numbers_go_on_from_the_stored_ones(
    clock: Clock, storing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """A room that had lines before the start goes on after them; what isn't kept isn't counted."""
    for room in (WORK, OPEN, WORK):
        storing.append(said("a", room))
    clock.advance(0)
    store.complete()

    assert listener.events() == [said("a", WORK, 42), said("a", OPEN, 0), said("a", WORK, 43)]


def test_counts(
    clock: Clock, storing: StoreJournal, store: HandStore, logged_errors: LoggedErrors
) -> None:
    """A journal counts its commits, what was and was not stored, and how long it took."""
    for text in ("a", "b", "c"):
        storing.append(said(text))
    assert storing.waiting == (3, 3 * 65)
    clock.advance(0)
    clock.advance(0.5)
    store.complete(1)
    storing.append(said("d"))
    clock.advance(0)
    clock.advance(0.25)
    store.fail()
    storing.append(told("not counted"))
    clock.advance(0)

    assert storing.counts == JournalCounts(
        commits=2, records=4, not_stored=2, commit_seconds=0.75, longest_commit=0.5
    )
    assert storing.waiting == (0, 0)
    assert len(logged_errors.flush()) == 1


def test_failed_commit(
    clock: Clock,
    committing: StoreJournal,
    listener: Listeners,
    store: HandStore,
    logged_errors: LoggedErrors,
) -> None:
    """A commit that fails refuses each of its lines; what needed no storing is delivered."""
    store.complete()
    for event in (said("a"), told("b"), said("c", WORK)):
        committing.append(event)
    clock.advance(0)
    store.fail()

    assert listener.refused == [[said("a", seq=2), said("c", WORK, 42)]]
    assert listener.delivered[1:] == [[told("b")]]
    assert [event["log_format"] for event in logged_errors.flush()] == [
        "{count} records were not stored"
    ]


def test_one_line_that_can_not_be_stored(
    clock: Clock, storing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """Of a batch only the line that can't be stored is refused, to the one who said it."""
    for text in ("good", "bad", "good"):  # equal lines are told apart
        storing.append(said(text))
    clock.advance(0)
    store.complete(1)

    assert listener.refused == [[said("bad", seq=2)]]
    assert listener.delivered == [[said("good", seq=1), said("good", seq=3)]]


def test_mistake_while_refusing(
    committing: StoreJournal, listener: Listeners, store: HandStore, logged_errors: LoggedErrors
) -> None:
    """A refusal that goes wrong doesn't keep later lines from being stored."""
    listener.broken = True
    committing.append(said("second"))
    store.fail()
    assert len(logged_errors.flush()) == 3  # the store, the refusal, the delivery

    listener.broken = False
    store.complete()
    assert listener.events() == [said("second", seq=2)]


def test_full_counts_what_is_being_stored(
    clock: Clock, committing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """Lines whose commit is under way take room until it is done."""
    for _ in range(4):
        committing.append(said("a"))
    assert committing.full
    store.complete()
    assert listener.told == ["room"]

    committing.append(said("a"))
    assert committing.full
    store.complete()
    assert listener.told == ["room", "room"]
    store.complete()


def test_room_is_told_once_there_is_some(
    committing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """Where after a commit as much waits again, nobody is told of room before that is stored."""
    for _ in range(5):
        committing.append(said("a"))
    store.complete()
    assert listener.told == []

    store.complete()
    assert listener.told == ["room"]


def test_drained_waits_for_the_commit(
    committing: StoreJournal, listener: Listeners, store: HandStore
) -> None:
    """A stop waits for the commit under way and for what has gathered behind it."""
    drained = committing.drained()
    committing.append(said("second"))
    store.complete()
    assert not drained.called

    store.complete()
    assert drained.called
    assert listener.events() == [said("first", seq=1), said("second", seq=2)]
