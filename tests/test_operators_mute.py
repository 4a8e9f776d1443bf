"""Mutes: who may not talk in a channel, what else he may, and how long his silence is."""

import pytest
from twisted.internet.defer import Deferred, fail

from chatd.domain.errors import (
    BadArguments,
    ChatError,
    NoSuchChannel,
    NotHere,
    NotSanctioned,
    NotStored,
    StillMuted,
)
from chatd.domain.events import (
    MessageSent,
    Muted,
    Refused,
    Said,
    Told,
    WentAfk,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import Key, Name
from chatd.domain.records import Mute, Role
from chatd.domain.session import Session, State
from chatd.domain.text import Text
from tests.crowd import BOB, GENERAL, WORK, People, gather, joined, left
from tests.fakes import World, refused, result_of, said, sent_to, told, wire
from tests.memory import MemoryStore

ALICE = Name("alice")


@pytest.fixture
def people(world: World) -> People:
    """An operator with people around her."""
    return gather(world)


def test_mute(world: World, people: People) -> None:
    """Who is muted hears so, the others hear it too, and the operator that it is done."""
    others = wire(Muted(GENERAL, BOB, 30, 0.0))
    assert world.ask(people.olga, "mute general:BOB 30") == [
        others,
        Told(("Muted bob for 30 seconds.",), 0.0),
    ]
    assert sent_to(people.bob) == told("You have been muted for 30 seconds.")
    assert sent_to(people.alice) == [others]
    assert sent_to(people.carol) == sent_to(people.dave) == []
    assert world.store.mutes == {(GENERAL, Key("bob")): Mute(GENERAL, Key("bob"), 30.0)}


def test_muted_in_the_order_of_lines(world: World, people: People) -> None:
    """Who is muted hears every line in its place, those just before and after it too."""
    people.alice.receive("say before")
    people.olga.receive("mute general:bob 1 too loud")
    people.bob.receive("say no")
    people.alice.receive("say after")
    world.turn()
    before, after = said("alice", "before", 1), said("alice", "after", 2)
    assert sent_to(people.bob) == [
        before,
        Told(("You have been muted for 1 second: too loud",), 0.0),
        *refused(StillMuted(1)),
        after,
    ]
    assert sent_to(people.alice) == [before, wire(Muted(GENERAL, BOB, 1, 0.0)), after]


def test_an_operator_elsewhere_mutes(world: World, people: People) -> None:
    """Who mutes somebody in another channel hears only that it is done."""
    world.ask(people.olga, "switch work")
    assert world.ask(people.olga, "mute general:bob 30") == told("Muted bob for 30 seconds.")


@pytest.mark.parametrize("line", ["say hi", "whisper alice hi"])
def test_muted(world: World, people: People, line: str) -> None:
    """Who is muted can't talk or whisper, for as long as it lasts, to the second."""
    world.ask(people.olga, "mute general:bob 30")
    world.clock.advance(17.5)
    people.quiet()
    assert world.ask(people.bob, line) == refused(StillMuted(12), 17.5)
    world.clock.advance(12)
    assert world.ask(people.bob, line) == refused(StillMuted(0), 29.5)
    assert sent_to(people.alice) == []
    world.clock.advance(0.5)
    assert len(world.ask(people.bob, line)) == 1
    (heard,) = sent_to(people.alice)
    assert heard in (said("bob", "hi", 1, 30.0), Whispered(BOB, Text("hi"), 30.0))


def test_an_answer_to_a_whisper_is_a_whisper(world: World, people: People) -> None:
    """Who is muted can be whispered to, but can't whisper back by /r either."""
    world.ask(people.olga, "mute general:bob 30")
    assert world.ask(people.alice, "whisper bob hm?") == [WhisperSent(BOB, Text("hm?"), 0.0)]
    assert world.ask(people.bob, "r hm!")[-1:] == refused(StillMuted(30))


def test_what_who_is_muted_may(world: World, people: People) -> None:
    """All other commands work, and in another channel he may talk."""
    world.ask(people.olga, "mute general:bob 30")
    assert world.ask(people.bob, "who")[-1] == told("3 here: olga, alice, bob.")[0]
    assert world.ask(people.bob, "message alice hi") == [MessageSent(ALICE, Text("hi"), 0.0)]
    world.ask(people.bob, "switch work")
    assert world.ask(people.bob, "say hi") == [wire(Said(WORK, BOB, Text("hi"), 0.0, 1))]


def test_a_mute_survives_a_reconnect(world: World, people: People) -> None:
    """Who goes and comes back is as muted as before, by whatever way."""
    world.ask(people.olga, "kick carol")
    world.ask(people.olga, "mute general:bob 30")
    for way in ("switch work", "switch general"):
        world.ask(people.bob, way)
    assert world.ask(people.bob, "say hi") == refused(StillMuted(30))
    world.clock.advance(10)
    world.ask(people.bob, "quit")
    again = world.login("bob", world.hub.channels.find("general"))
    assert world.ask(again, "say hi") == refused(StillMuted(20), 10.0)


def test_another_mute(world: World, people: People) -> None:
    """A second mute takes the place of the first, whether longer or shorter."""
    world.ask(people.olga, "mute general:bob 30")
    world.ask(people.olga, "mute general:bob 10")
    assert world.ask(people.bob, "say hi")[-1:] == refused(StillMuted(10))


@pytest.mark.parametrize(
    "time",
    ["0", "00", "-1", "+1", "1.5", "1e5", "abc", "\u0663\u0660", "\u00b2", "9" * 10, "9" * 5000],
)
def test_no_time_to_mute(world: World, people: People, time: str) -> None:
    """What isn't a positive whole number is no time to mute somebody for."""
    assert world.ask(people.olga, f"mute general:bob {time}") == refused(
        BadArguments("Invalid mute time.")
    )
    assert world.store.mutes == {}
    assert sent_to(people.bob) == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("mute general:carol 30", NotHere("carol")),
        ("mute general:nobody 30", NotHere("nobody")),
        ("mute work:bob 30", NotHere("bob")),
        ("mute play:bob 30", NoSuchChannel("play")),
        ("mute bob 30", BadArguments("Write the channel and the name as general:bob.")),
        ("mute general:bob", BadArguments("Usage: /mute TARGET SECONDS [REASON]")),
        ("mute", BadArguments("Usage: /mute TARGET SECONDS [REASON]")),
    ],
)
def test_nobody_is_muted(world: World, people: People, line: str, error: ChatError) -> None:
    """Who isn't in the channel, or in its queue only, can't be muted there."""
    assert world.ask(people.olga, line) == refused(error)
    assert world.store.mutes == {}


def test_gone_while_he_is_being_muted(world: World, people: People) -> None:
    """Who goes while it is being stored is muted when he is back, and nobody hears of it."""

    class Slow(MemoryStore):
        """A store that takes its time over a mute."""

        def save_mute(self, mute: Mute) -> Deferred[None]:
            """Let bob go first."""
            result_of(people.bob.lost())
            return super().save_mute(mute)

    world.hub.store = Slow()
    assert world.ask(people.olga, "mute general:bob 30") == [
        left("bob"),
        joined("carol"),
        Told(("Muted bob for 30 seconds.",), 0.0),
    ]
    assert world.hub.sanctions.muted_until(GENERAL, Key("bob")) == 30.0


def test_a_mute_that_is_not_stored(world: World, people: People) -> None:
    """A mute that a crash would undo isn't made."""

    class Full(MemoryStore):
        """A store that takes nothing."""

        def save_mute(self, mute: Mute) -> Deferred[None]:
            """Refuse."""
            return fail(NotStored())

    world.hub.store = Full()
    assert world.ask(people.olga, "mute general:bob 30") == refused(NotStored())
    assert [act.result for act in world.audit.acts] == ["not_stored"]
    assert world.ask(people.bob, "say hi") == [said("bob", "hi", 1)]


def test_unmute(world: World, people: People) -> None:
    """Who is unmuted hears so and may talk at once; so may who was away meanwhile."""
    world.ask(people.olga, "mute general:bob 30")
    world.ask(people.olga, "mute general:alice 30")
    world.ask(people.alice, "quit")
    people.quiet()
    assert world.ask(people.olga, "unmute GENERAL:Bob") == told("Bob is no longer muted.")
    assert world.ask(people.olga, "unmute general:alice") == told("alice is no longer muted.")
    assert sent_to(people.bob) == told("You are no longer muted.")
    assert world.store.mutes == {}
    assert world.ask(people.bob, "say hi") == [said("bob", "hi", 1)]
    assert sent_to(people.carol)[-1] == said("bob", "hi", 1)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("unmute general:bob", NotSanctioned("bob is not muted.")),
        ("unmute play:bob", NoSuchChannel("play")),
        ("unmute bob", BadArguments("Write the channel and the name as general:bob.")),
    ],
)
def test_nobody_is_unmuted(world: World, people: People, line: str, error: ChatError) -> None:
    """Who isn't muted can't be unmuted, nor where there is no channel."""
    assert world.ask(people.olga, line) == refused(error)


# Mutes and silence.


def afk(world: World, session: Session, seconds: float) -> bool:
    """Whether somebody is sent away for his silence, after just so many more seconds."""
    world.clock.advance(seconds - 0.5)
    before = session.state
    world.clock.advance(0.5)
    return (before, session.state) == (State.IN_ROOM, State.CLOSING)


def test_mute_stops_the_timer(world: World, people: People) -> None:
    """The time of a mute is no silence: what was left of the time before it is left after it."""
    world.clock.advance(60)
    people.olga.receive("list")
    world.ask(people.olga, "mute general:bob 500")
    for _ in range(6):
        world.clock.advance(80)
        people.olga.receive("list")
        people.bob.receive("say hi")
    world.clock.advance(20)
    people.olga.receive("list")
    assert afk(world, people.bob, 40)
    assert wire(WentAfk(GENERAL, BOB, 600.0)) in sent_to(people.olga)


@pytest.mark.parametrize("line", ["say hi", "list", "nonsense"])
def test_no_input_resets_the_timer_of_who_is_muted(world: World, people: People, line: str) -> None:
    """Who is muted can't win time by typing."""
    world.clock.advance(60)
    world.ask(people.olga, "mute general:bob 30")
    world.clock.advance(29)
    people.bob.receive(line)
    world.clock.advance(1)
    assert afk(world, people.bob, 40)


def test_input_after_the_mute_resets_the_timer(world: World, people: People) -> None:
    """After the mute a line is a sign of life as ever."""
    world.clock.advance(60)
    world.ask(people.olga, "mute general:bob 30")
    world.clock.advance(50)
    people.bob.receive("list")
    assert afk(world, people.bob, 100)


@pytest.mark.parametrize("second", ["mute general:bob 5", "unmute general:bob"])
def test_a_mute_that_ends_earlier(world: World, people: People, second: str) -> None:
    """The time of silence goes on when the mute really ends."""
    world.clock.advance(60)
    world.ask(people.olga, "mute general:bob 500")
    world.clock.advance(80)
    world.ask(people.olga, second)
    if "unmute" not in second:
        world.clock.advance(5)
    assert afk(world, people.bob, 40)


def test_lines_that_wait_win_no_time_either(world: World, people: People) -> None:
    """What who is muted has typed too fast is refused in turn, and is no sign of life."""
    world.change(lines_per_second=0.0625, burst=1)  # one in 16 seconds
    eve = world.connect(world.hub.channels.find("work"))
    world.account("eve")
    world.ask(people.bob, "switch work")
    eve.receive("login eve|secret")
    world.clock.advance(60)
    world.ask(people.olga, "mute work:eve 30")
    sent_to(eve)
    for _ in range(3):
        eve.receive("say hi")
    world.clock.pump([10.0] * 3)
    assert [event.text for event in sent_to(eve) if isinstance(event, Refused)] == [
        "You are still muted for 30 seconds.",
        "You are still muted for 10 seconds.",
    ]
    assert eve.state is State.IN_ROOM


def test_muted_before_he_came(world: World, people: People) -> None:
    """Who comes in muted has all of his time when the mute is over."""
    world.ask(people.olga, "mute general:bob 150")
    world.ask(people.bob, "quit")
    again = world.login("bob")
    world.ask(people.alice, "quit")
    world.ask(people.carol, "quit")
    world.ask(again, "switch general")
    world.clock.advance(80)
    people.olga.receive("list")
    world.clock.advance(70)
    assert afk(world, again, 100)


def test_no_silence_counts_where_it_is_off(world: World) -> None:
    """Where silence is not counted, a mute changes nothing about that."""
    world.account("olga", role=Role.OPERATOR)
    channel = world.channel(afk=0)
    olga, bob = world.login("olga", channel), world.login("bob", channel)
    world.ask(olga, "mute general:bob 5")
    world.clock.advance(10_000)
    assert bob.state is State.IN_ROOM
    assert world.ask(bob, "say hi") == [said("bob", "hi", 1, 10_000.0)]
