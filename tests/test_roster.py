"""The contract of every roster: names and places, each given to one at a time, in turn.

Another roster joins the suite by one more entry in :data:`ROSTERS`.
"""

from collections.abc import Callable
from typing import Final

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chatd.domain.events import Event, Said
from chatd.domain.names import ChannelName, Key, Name, RoomName, key_of, read_name, skeleton_of
from chatd.domain.ports import Holder, Link
from chatd.domain.records import Account, Blocks, Role
from chatd.domain.roster import MemoryRoster, Moves, Seats
from tests.fakes import FakeLink, result_of

GENERAL: Final = ChannelName("general")
OTHER: Final = ChannelName("other")
ROSTERS: Final[dict[str, Callable[[], MemoryRoster]]] = {"memory": MemoryRoster}


@attrs.define(eq=False)
class Person:
    """Somebody with a name, to whom nothing happens here."""

    name: Name = attrs.field(converter=read_name)
    link: Link = attrs.field(factory=FakeLink)
    blocks: Blocks = attrs.field(factory=lambda: Blocks(frozenset(), frozenset()))
    account: Account | None = None
    role: Role = Role.GUEST
    address: str = ""
    host: str = ""

    @property
    def key(self) -> Key:
        """As Holder."""
        return key_of(self.name)

    def appoint(self, role: Role) -> None:
        """As Holder."""

    def muted(self, until: float) -> None:
        """As Holder."""

    def block(self, blocks: Blocks) -> None:
        """As Holder."""

    def mail(self, said: Said) -> None:
        """As Holder."""

    def read_mail(self) -> None:
        """As Holder."""

    def group_joined(self, room: RoomName) -> None:
        """As Holder."""

    def channel_closed(self, name: ChannelName) -> None:
        """As Holder."""

    def count_silence(self, name: ChannelName) -> None:
        """As Holder."""

    def group_left(self, room: RoomName) -> None:
        """As Holder."""

    def admitted(self) -> None:
        """As Holder."""

    def tell(self, event: Event) -> None:
        """As Holder."""

    async def end(self, text: str) -> None:
        """As Holder."""

    async def lost(self) -> None:
        """As Holder."""


@pytest.fixture(params=ROSTERS)
def roster(request: pytest.FixtureRequest) -> MemoryRoster:
    """A roster with two channels, of two places and of one."""
    made = ROSTERS[request.param]()
    made.open(GENERAL, 2)
    made.open(OTHER, 1)
    return made


def people(*names: str) -> list[Holder]:
    """People of these names."""
    return [Person(name) for name in names]


def log_in(roster: MemoryRoster, *who: Holder, at: float = 0.0) -> None:
    """Let people take their names."""
    assert all(result_of(roster.claim(person.name, person, at)) for person in who)


def enter(roster: MemoryRoster, *who: Holder, channel: ChannelName = GENERAL) -> list[int | None]:
    """Let people into a channel; the answer each of them gets."""
    return [result_of(roster.enter(channel, person)) for person in who]


def test_a_name_is_claimed_once(roster: MemoryRoster) -> None:
    """A name belongs to one session at a time, in whatever case it is asked for."""
    bob, again = people("Bob", "bOB")
    log_in(roster, bob)
    assert not result_of(roster.claim(again.name, again, 0.0))
    assert result_of(roster.find(again.name)) is bob
    result_of(roster.release(bob))
    assert result_of(roster.find(bob.name)) is None
    log_in(roster, again)


def test_only_the_holder_gives_a_name_back(roster: MemoryRoster) -> None:
    """A session that never had the name, or has it no longer, can't give it back for another."""
    bob, again = people("bob", "bob")
    result_of(roster.release(bob))
    log_in(roster, bob)
    result_of(roster.release(again))
    assert result_of(roster.find(bob.name)) is bob


def test_online(roster: MemoryRoster) -> None:
    """Everybody online is listed in the order of coming, as their names are written."""
    alice, bob, carol = people("Alice", "Bob", "Carol")
    assert result_of(roster.online()) == []
    log_in(roster, bob, at=10)
    log_in(roster, alice, at=20)
    log_in(roster, carol, at=30)
    assert result_of(roster.online()) == ["Bob", "Alice", "Carol"]
    assert result_of(roster.online_since(20)) == ["Alice", "Carol"]
    result_of(roster.release(alice))
    assert result_of(roster.online()) == ["Bob", "Carol"]
    assert result_of(roster.online_since(31)) == []


def test_look_alikes_are_found(roster: MemoryRoster) -> None:
    """A name that looks like one online is recognised, for as long as that one is online."""
    (paypal,) = people("paypal")
    alike = skeleton_of(read_name("paypaI"))
    assert result_of(roster.looks_like(alike)) is None
    log_in(roster, paypal)
    assert result_of(roster.looks_like(alike)) == "paypal"
    result_of(roster.release(paypal))
    assert result_of(roster.looks_like(alike)) is None


@pytest.mark.parametrize("first_out", [0, 1])
def test_look_alikes_side_by_side(roster: MemoryRoster, first_out: int) -> None:
    """Two look-alikes who came in at the same moment leave like everybody else."""
    both = people("paypal", "paypaI")
    log_in(roster, *both)
    result_of(roster.release(both[first_out]))
    assert result_of(roster.online()) == [both[1 - first_out].name]
    result_of(roster.release(both[1 - first_out]))
    assert result_of(roster.online()) == []
    assert result_of(roster.looks_like(skeleton_of(read_name("paypal")))) is None


def test_places(roster: MemoryRoster) -> None:
    """Who comes gets a place while there is one, then a number in the queue."""
    who = people("a", "b", "c", "d", "e")
    assert result_of(roster.seats(GENERAL)) == Seats(0, 2, 0)
    assert enter(roster, *who) == [None, None, 0, 1, 2]
    assert result_of(roster.seats(GENERAL)) == Seats(2, 2, 3)
    assert result_of(roster.here(GENERAL)) == ["a", "b"]


def test_channels_are_apart(roster: MemoryRoster) -> None:
    """A place in one channel is none in another."""
    a, b = people("a", "b")
    assert enter(roster, a) == [None]
    assert enter(roster, b, channel=OTHER) == [None]
    assert (result_of(roster.here(GENERAL)), result_of(roster.here(OTHER))) == (["a"], ["b"])
    assert result_of(roster.leave(OTHER, a)) == Moves()
    assert result_of(roster.seats(OTHER)) == Seats(1, 1, 0)


def test_who_is_inside(roster: MemoryRoster) -> None:
    """Somebody is found by name only inside the channel; who waits isn't inside."""
    bob, b, waiting = people("Bob", "b", "waiting")
    enter(roster, bob, b, waiting)
    assert result_of(roster.inside(GENERAL, read_name("BOB"))) is bob
    assert result_of(roster.inside(GENERAL, waiting.name)) is None
    assert result_of(roster.inside(OTHER, bob.name)) is None


def test_leaving_lets_the_first_in(roster: MemoryRoster) -> None:
    """A place given back goes to the first who waits, and the others move up by one."""
    a, b, c, d, e = people("a", "b", "c", "d", "e")
    enter(roster, a, b, c, d, e)
    assert result_of(roster.leave(GENERAL, a)) == Moves((c,), ((d, 0), (e, 1)))
    assert result_of(roster.leave(GENERAL, c)) == Moves((d,), ((e, 0),))
    assert result_of(roster.leave(GENERAL, b)) == Moves((e,), ())
    assert result_of(roster.leave(GENERAL, e)) == Moves()
    assert result_of(roster.here(GENERAL)) == ["d"]


def test_leaving_the_queue(roster: MemoryRoster) -> None:
    """Who leaves the queue moves only those behind up; the last one nobody."""
    a, b, c, d, e = people("a", "b", "c", "d", "e")
    enter(roster, a, b, c, d, e)
    assert result_of(roster.leave(GENERAL, d)) == Moves(waiting=((e, 1),))
    assert result_of(roster.leave(GENERAL, e)) == Moves()
    assert result_of(roster.leave(GENERAL, c)) == Moves()
    assert result_of(roster.seats(GENERAL)) == Seats(2, 2, 0)


def test_leaving_where_one_is_not(roster: MemoryRoster) -> None:
    """Leaving a channel twice, or under a name that another session has, changes nothing."""
    bob, again = people("bob", "bob")
    assert result_of(roster.leave(GENERAL, bob)) == Moves()
    enter(roster, bob)
    assert result_of(roster.leave(GENERAL, again)) == Moves()
    assert result_of(roster.here(GENERAL)) == ["bob"]
    b, waiting, again = people("b", "waiting", "waiting")
    enter(roster, b, waiting)
    assert result_of(roster.leave(GENERAL, again)) == Moves()
    assert result_of(roster.seats(GENERAL)) == Seats(2, 2, 1)


def test_more_places(roster: MemoryRoster) -> None:
    """New places go to those who wait, in their turn; the others are told their new number."""
    a, b, c, d, e, f = people("a", "b", "c", "d", "e", "f")
    enter(roster, a, b, c, d, e, f)
    assert result_of(roster.resize(GENERAL, 4)) == Moves((c, d), ((e, 0), (f, 1)))
    assert result_of(roster.seats(GENERAL)) == Seats(4, 4, 2)
    assert result_of(roster.resize(GENERAL, 4)) == Moves()
    assert result_of(roster.resize(GENERAL, 9)) == Moves((e, f))


def test_fewer_places(roster: MemoryRoster) -> None:
    """Where there are fewer places than people nobody goes, and nobody comes in until there is."""
    a, b, c = people("a", "b", "c")
    enter(roster, a, b, c)
    assert result_of(roster.resize(GENERAL, 1)) == Moves()
    assert result_of(roster.seats(GENERAL)) == Seats(2, 1, 1)
    assert result_of(roster.leave(GENERAL, a)) == Moves()
    assert result_of(roster.leave(GENERAL, b)) == Moves((c,))


def test_closed_channel(roster: MemoryRoster) -> None:
    """A channel that is closed is forgotten with all who were in it; it begins anew."""
    enter(roster, *people("a", "b", "c"))
    assert result_of(roster.close(GENERAL)) == 3
    roster.open(GENERAL, 2)
    assert result_of(roster.seats(GENERAL)) == Seats(0, 2, 0)
    assert result_of(roster.close(OTHER)) == 0


CAPACITY: Final = 3
NAMES: Final = "abcdefgh"


class Places(RuleBasedStateMachine):
    """People come to a channel and go; against a list of who is inside, and one of who waits."""

    make: Callable[[], MemoryRoster] = MemoryRoster

    def __init__(self) -> None:
        super().__init__()
        self.roster = type(self).make()
        self.roster.open(GENERAL, CAPACITY)
        self.people = dict(zip(NAMES, people(*NAMES), strict=True))
        self.capacity = CAPACITY
        self.inside: list[str] = []
        self.queue: list[str] = []

    @rule(name=st.sampled_from(NAMES))
    def come(self, name: str) -> None:
        """Somebody comes who is not there."""
        if name in self.inside + self.queue:
            return
        full = len(self.inside) >= self.capacity or self.queue
        ahead = len(self.queue) if full else None
        (self.inside if ahead is None else self.queue).append(name)
        assert enter(self.roster, self.people[name]) == [ahead]

    @precondition(lambda self: self.inside)
    @rule(which=st.integers(0, len(NAMES)))
    def leave(self, which: int) -> None:
        """Somebody leaves the channel."""
        name = self.inside.pop(which % len(self.inside))
        assert result_of(self.roster.leave(GENERAL, self.people[name])) == self.fill()

    @rule(capacity=st.integers(0, len(NAMES)))
    def resize(self, capacity: int) -> None:
        """The channel has another number of places."""
        self.capacity = capacity
        assert result_of(self.roster.resize(GENERAL, capacity)) == self.fill()

    def fill(self) -> Moves:
        """Let in who waits for a place that is free, and say what that changes."""
        free = max(0, self.capacity - len(self.inside))
        admitted, self.queue = self.queue[:free], self.queue[free:]
        self.inside += admitted
        waiting = tuple((self.people[other], at) for at, other in enumerate(self.queue))
        moves = Moves(tuple(self.people[other] for other in admitted), waiting)
        return moves if admitted else Moves()

    @precondition(lambda self: self.queue)
    @rule(which=st.integers(0, len(NAMES)))
    def give_up(self, which: int) -> None:
        """Somebody who waits goes."""
        at = which % len(self.queue)
        name = self.queue.pop(at)
        behind = [(self.people[other], n) for n, other in enumerate(self.queue) if n >= at]
        moves = result_of(self.roster.leave(GENERAL, self.people[name]))
        assert moves == Moves(waiting=tuple(behind))

    @invariant()
    def in_order(self) -> None:
        """Nobody is forgotten, and nobody waits beside a free place."""
        here, seats = result_of(self.roster.here(GENERAL)), result_of(self.roster.seats(GENERAL))
        assert here == self.inside
        assert seats == Seats(len(self.inside), self.capacity, len(self.queue))
        assert seats.waiting == 0 or seats.here >= self.capacity


@pytest.mark.parametrize("make", ROSTERS.values(), ids=ROSTERS)
def test_places_whatever_happens(make: Callable[[], MemoryRoster]) -> None:
    """Whoever comes and goes, a channel is never too full, and the queue is first in, first out."""
    run_state_machine_as_test(type("ThesePlaces", (Places,), {"make": staticmethod(make)}))
