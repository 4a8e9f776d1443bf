"""The command /history: what was said in a channel before."""

import attrs
import pytest
from twisted.internet.defer import Deferred

from chatd.domain.errors import BadArguments, Incident, NotNow, TooBusy
from chatd.domain.events import Recalled, Said
from chatd.domain.names import ChannelName, Name
from chatd.domain.rooms import Channel
from chatd.domain.session import Session
from chatd.domain.text import Text
from tests.fakes import MemoryStore, World, link_of, refused, told

GENERAL, BOB = ChannelName("general"), Name("bob")


@pytest.fixture
def alice(world: World) -> Session:
    """Somebody in a channel."""
    return world.login("alice", world.channel("general", afk=0))


@pytest.fixture
def bob(world: World, alice: Session) -> Session:
    """Somebody else in it."""
    return world.login("bob", alice.home)


def said(count: int) -> tuple[Said, ...]:
    """Lines of a channel's past."""
    return tuple(Said(GENERAL, BOB, Text(f"line {n}"), float(n), n) for n in range(1, count + 1))


@pytest.mark.parametrize(
    ("line", "shown"), [("history", 20), ("history 1", 1), ("history 007", 7), ("history 200", 30)]
)
def test_history(world: World, alice: Session, line: str, shown: int) -> None:
    """The last lines of a channel are shown, twenty unless another number is typed."""
    world.store.lines[GENERAL] = list(said(30))
    assert world.ask(alice, line) == [Recalled(said(30)[-shown:], 0.0)]


def test_history_of_a_quiet_channel(world: World, alice: Session) -> None:
    """Where nothing was said yet, that is the answer."""
    assert world.ask(alice, "history") == told("Nothing was said here yet.")


@pytest.mark.parametrize(
    ("most", "line", "text"),
    [
        (200, "history 0", "That is a number from 1 to 200."),
        (200, "history 201", "That is a number from 1 to 200."),
        (10, "history 11", "That is a number from 1 to 10."),
        (0, "history 0", "At least 1."),
        (200, "history ten", "ten is not a whole number."),
        (200, "history 1 2", "Usage: /history [LINES]"),
    ],
)
def test_history_has_limits(world: World, alice: Session, most: int, line: str, text: str) -> None:
    """How many lines one request may show is for the operator to say."""
    world.hub.rules = attrs.evolve(world.rules, history_lines=most)
    world.store.lines[GENERAL] = list(said(30))
    assert world.ask(alice, line) == refused(BadArguments(text))


@pytest.mark.parametrize(
    ("most", "line", "shown"), [(10, "history", 10), (0, "history", 20), (0, "history 999", 30)]
)
def test_history_fits_the_limits(
    world: World, alice: Session, most: int, line: str, shown: int
) -> None:
    """Without a number, as many lines are shown as the operator allows; 0 is no limit."""
    world.hub.rules = attrs.evolve(world.rules, history_lines=most)
    world.store.lines[GENERAL] = list(said(30))
    assert world.ask(alice, line) == [Recalled(said(30)[-shown:], 0.0)]


def test_history_that_is_not_kept(world: World, alice: Session) -> None:
    """A channel without history says so."""
    hall = Channel(ChannelName("hall"), 5, 0, keeps=False)
    world.hub.channels.open(hall)
    world.ask(alice, "switch hall")
    assert world.ask(alice, "history") == refused(NotNow("This channel keeps no history."))


class SlowStore(MemoryStore):
    """A store whose history comes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[list[Said]]] = []

    def history(self, room: ChannelName, lines: int) -> Deferred[list[Said]]:  # type: ignore[override]
        """Wait."""
        self.asked.append(Deferred())
        return self.asked[-1]


def test_history_is_read_by_few_at_once(world: World, alice: Session, bob: Session) -> None:
    """While many are reading the history, one more is asked to wait, and then let in."""
    world.hub.store = slow = SlowStore()
    world.hub.rules = attrs.evolve(world.rules, history_reads=1)
    busy = TooBusy("Many are reading the history just now, please try again in a moment.")
    assert world.ask(alice, "history") == []
    assert world.ask(bob, "history") == refused(busy)
    slow.asked.pop().callback([*said(1)])
    world.turn()
    assert link_of(alice).take() == [Recalled(said(1), 0.0)]
    assert world.ask(bob, "history") == []
    slow.asked.pop().errback(OSError("the disk is gone"))
    world.turn()
    assert link_of(bob).take() == refused(Incident(1))
    assert world.ask(bob, "history") == []
    slow.asked.pop().callback([*said(2)])
    world.turn()
    assert link_of(bob).take() == [Recalled(said(2), 0.0)]


def test_history_may_be_read_by_everybody_at_once(
    world: World, alice: Session, bob: Session
) -> None:
    """A limit of 0 on readers is no limit."""
    world.hub.store = slow = SlowStore()
    world.hub.rules = attrs.evolve(world.rules, history_reads=0)
    assert world.ask(alice, "history") == world.ask(bob, "history") == []
    for asked in slow.asked:
        asked.callback([])
    world.turn()
    nothing = told("Nothing was said here yet.")
    assert link_of(alice).take() == link_of(bob).take() == nothing


def test_history_without_the_blocked(world: World, alice: Session) -> None:
    """The lines of somebody one has blocked are not shown."""
    world.account("bob")
    other = Said(GENERAL, Name("carol"), Text("hello"), 9.0, 4)
    world.store.lines[GENERAL] = [*said(3), other]
    world.ask(alice, "block bob")
    assert world.ask(alice, "history") == [Recalled((other,), 0.0)]
