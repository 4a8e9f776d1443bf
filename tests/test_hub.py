"""The hub: who is let in, who hears what, and in which order."""

import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import AlreadyLoggedIn, BadName, NameTaken, NoSuchChannel, NotHere
from chatd.domain.events import (
    ASK_NAME,
    Announced,
    ChannelRow,
    Detached,
    Event,
    Farewell,
    Greeted,
    Joined,
    Left,
    MessageSent,
    Muted,
    Refused,
    Said,
    Told,
    Tuned,
    Untuned,
    Welcomed,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import (
    WATCHERS,
    ChannelName,
    Key,
    Name,
    RoomName,
    inbox_room,
    read_name,
)
from chatd.domain.ports import Holder
from chatd.domain.roster import MemoryRoster
from chatd.domain.session import Session, State
from chatd.domain.text import Text
from tests.fakes import FakeLink, World, link_of, result_of, said, sent_to, wire

GENERAL = ChannelName("general")


def take(*sessions: Session) -> list[list[bytes | Event]]:
    """What each of these has been sent since the last call."""
    return [sent_to(session) for session in sessions]


def joined(name: str, at: float = 0.0) -> bytes:
    """How a room reads that somebody came."""
    return wire(Joined(GENERAL, Name(name), at))


def left(name: str, at: float = 0.0) -> bytes:
    """How a room reads that somebody is gone."""
    return wire(Left(GENERAL, Name(name), at))


def welcomed(name: str) -> Welcomed:
    """What somebody who enters is told first."""
    return Welcomed(Name(name), GENERAL, "chatd", 0.0)


@pytest.mark.parametrize("typed", ["Straße", "straße", "STRAßE"])
def test_channel_in_any_case(world: World, typed: str) -> None:
    """A channel is found by its name in any case, whatever its letters are."""
    world.channel("general")
    street = world.channel("Straße")
    assert world.hub.channels.find(typed) is street


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("work", "work"),
        ("#general", "#general"),
        ("", ""),
        ("general\x1b[2J", "general\ufffd[2J"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_no_such_channel(world: World, typed: str, shown: str) -> None:
    """What is no channel's name is refused, and shown harmlessly."""
    world.channel("general")
    with pytest.raises(NoSuchChannel) as refused:
        world.hub.channels.find(typed)
    assert str(refused.value) == f"{shown} does not exist."


def test_greeting(world: World) -> None:
    """A connection is first told where it is, and how many are there."""
    general = world.channel("general", capacity=1)
    world.login("alice", general)
    world.login("bob", general)
    at_channel, at_lobby = world.connect(general), world.connect()
    assert take(at_channel, at_lobby) == [
        [Greeted("chatd", GENERAL, 1, 1), ASK_NAME],
        [Greeted("chatd", None, 2, 0), ASK_NAME],
    ]


def test_new_name(world: World) -> None:
    """A name that is nobody's, and looks like nobody's, may be new."""
    world.account("alice")
    result_of(world.hub.check_new(read_name("bob")))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("Server", "Server is a reserved word, please choose another name."),
        ("paypaI", "paypaI is taken, or looks like paypal. Please choose another name."),
        ("rnike", "rnike is taken, or looks like mike. Please choose another name."),
        ("MIKE", "MIKE is taken, or looks like mike. Please choose another name."),
    ],
)
def test_no_new_name(world: World, typed: str, why: str) -> None:
    """A reserved word, an account's name and a name online are taken, and what looks like them."""
    world.account("paypal")
    result_of(world.connect().identify(read_name("mike"), None))
    with pytest.raises((BadName, NameTaken)) as refused:
        result_of(world.hub.check_new(read_name(typed)))
    assert str(refused.value) == why


def test_second_login_is_refused(world: World) -> None:
    """One session a name: a second login is refused, and the first one stays."""
    first, second = world.login("bob"), world.connect()
    with pytest.raises(AlreadyLoggedIn, match=r"^bob is already logged in\.$"):
        result_of(second.identify(read_name("bob"), None))
    assert (first.state, second.state) == (State.LOBBY, State.LOGIN)


def test_second_login_takes_over(world: World) -> None:
    """Where the configuration has it so, a second login ends the first one and has its place."""
    world.change(replace=True)
    general = world.channel("general", capacity=1)
    first = world.login("bob", general)
    take(first)
    second = world.login("bob", general)
    assert take(first, second) == [
        [Farewell("You have logged in from another place.", 0.0)],
        [Greeted("chatd", GENERAL, 1, 1), ASK_NAME, welcomed("bob"), joined("bob")],
    ]
    assert link_of(first).closed


def test_name_given_back_meanwhile(clock: Clock) -> None:
    """A name that is given back just while it is asked for is had at once."""

    class Hasty(MemoryRoster):
        """A roster whose holders are gone when one looks."""

        async def find(self, name: Name) -> Holder | None:
            """Release the name that is looked for."""
            holder = await super().find(name)
            if holder is not None:
                await self.release(holder)
            return None

    world = World(clock)
    world.hub.roster = Hasty()
    for _ in range(2):
        result_of(world.connect().identify(read_name("bob"), None))
    assert result_of(world.hub.roster.online()) == ["bob"]
    clock.advance(60)


def test_coming_in(world: World) -> None:
    """Who comes in is welcomed first, then sees the own coming; nothing from before."""
    general = world.channel()
    alice = world.login("alice", general)
    take(alice)
    world.account("bob")
    alice.receive("say before")
    bob = world.connect(general)
    take(bob)
    bob.receive("login bob|secret")
    alice.receive("say after")
    world.turn()
    assert take(alice, bob) == [
        [said("alice", "before", 1), joined("bob"), said("alice", "after", 2)],
        [welcomed("bob"), joined("bob"), said("alice", "after", 2)],
    ]


def test_leaving(world: World) -> None:
    """Who leaves hears what was before; those who stay hear the leaving and all that follows."""
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    take(alice, bob)
    alice.receive("say before")
    result_of(bob.leave())
    alice.receive("say after")
    world.turn()
    assert take(alice, bob) == [
        [said("alice", "before", 1), left("bob"), said("alice", "after", 2)],
        [said("alice", "before", 1)],
    ]


def test_queue_hears_nothing(world: World) -> None:
    """Who waits hears how many are ahead and nothing of the channel until there is a place."""
    general = world.channel(capacity=1)
    alice, bob = world.login("alice", general), world.login("bob", general)
    take(alice, bob)
    alice.receive("say secret")
    world.turn()
    assert take(alice, bob) == [[said("alice", "secret", 1)], []]
    result_of(alice.leave())
    world.turn()
    assert take(alice, bob) == [[], [welcomed("bob"), joined("bob")]]


def test_whisper(world: World) -> None:
    """A whisper reaches its target alone, in its place among the lines, and its author."""
    general = world.channel()
    alice, bob, carol = (world.login(name, general) for name in ("alice", "bob", "carol"))
    take(alice, bob, carol)
    alice.receive("say one")
    alice.receive("whisper BOB psst")
    alice.receive("say two")
    world.turn()
    one, two = said("alice", "one", 1), said("alice", "two", 2)
    assert take(alice, bob, carol) == [
        [one, WhisperSent(Name("bob"), Text("psst"), 0.0), two],
        [one, Whispered(Name("alice"), Text("psst"), 0.0), two],
        [one, two],
    ]


def test_whisper_to_somebody_elsewhere(world: World) -> None:
    """Nobody is whispered to who isn't in the channel: not who waits, nor who is in another."""
    general = world.channel(capacity=1)
    alice = world.login("alice", general)
    world.login("bob", general)
    world.login("carol")
    for name in ("bob", "carol", "nobody"):
        with pytest.raises(NotHere, match=rf"^{name} is not here\.$"):
            result_of(world.hub.whisper(alice, general, read_name(name), Text("psst")))


def test_list(world: World) -> None:
    """All channels are listed in the configuration's order, with who is in and who waits."""
    work, general = world.channel("work", capacity=1), world.channel()
    for name, home in (("alice", general), ("bob", work), ("carol", work), ("dave", None)):
        world.login(name, home)
    assert result_of(world.hub.channels.rows()) == (
        ChannelRow(ChannelName("work"), 1, 1, 1),
        ChannelRow(GENERAL, 1, 100, 0),
    )


def test_close(world: World) -> None:
    """When the server stops, everybody hears so and is cut off; nobody hears others leave."""
    general = world.channel(capacity=1)
    everybody = [world.login("alice", general), world.login("bob", general), world.connect()]
    take(*everybody)
    result_of(world.hub.close("The server is stopping."))
    world.turn()
    assert take(*everybody) == [[Farewell("The server is stopping.", 0.0)]] * 3
    assert all(link_of(session).closed for session in everybody)


def test_line_that_is_not_stored(world: World) -> None:
    """The author of a line that could not be stored is told so, if there is one."""
    link = FakeLink()
    line = Said(GENERAL, Name("alice"), Text("hi"), 0.0)
    world.hub.refuse([(line, None), (line, link)])
    text = "That could not be stored, and was not sent. Please try again later."
    assert link.take() == [Refused("not_stored", text, 0.0)]


def test_refused_once() -> None:
    """Whose message could not be stored is told so once, whatever he would have been answered."""
    world, link = World(Clock()), FakeLink()
    line = Said(inbox_room(Key("bob")), Name("alice"), Text("hi"), 0.0)
    sent = MessageSent(Name("bob"), Text("hi"), 0.0)
    world.hub.refuse([(line, link), (sent, link), (Told(("bob is offline.",), 0.0), link)])
    text = "That could not be stored, and was not sent. Please try again later."
    assert link.take() == [Refused("not_stored", text, 0.0)]


def test_room_that_is_no_more(world: World) -> None:
    """What is said to a room that is no more reaches nobody."""
    alice = world.login("alice", world.channel())
    take(alice)
    world.journal.append(Announced(RoomName("@gone"), "lost", 0.0))
    world.journal.append(Tuned(RoomName("@gone")), alice.link)
    world.turn()
    assert take(alice) == [[]]
    assert len(link_of(alice).audiences) == 2


def test_events_of_nobody_here(world: World) -> None:
    """What happens to people without a link here is heard by those who have one."""
    alice = world.login("alice", world.channel())
    take(alice)
    far = Name("far")
    muted = Muted(GENERAL, far, 30, 0.0)
    for event in (Joined(GENERAL, far, 0.0), muted, Left(GENERAL, far, 0.0)):
        world.journal.append(event)
    for private in (Told(("lost",), 0.0), Untuned(WATCHERS), Detached()):
        world.journal.append(private)
    world.turn()
    assert take(alice) == [[joined("far"), wire(muted), left("far")]]


def test_gone_while_a_channel_is_emptied(world: World) -> None:
    """Whoever goes by himself while a channel is being emptied holds nobody up."""

    class Hasty(MemoryRoster):
        """A roster in which somebody is gone when one looks."""

        async def here(self, channel: ChannelName) -> list[Name]:
            """Who is inside, and was."""
            return [Name("gone"), *await super().here(channel)]

    world.hub.roster = Hasty()
    general = world.channel()
    bob = world.login("bob", general)
    take(bob)
    result_of(world.hub.channels.empty(general, "Out."))
    world.turn()
    assert take(bob) == [[Farewell("Out.", 0.0)]]
    assert result_of(world.hub.channels.rows()) == (ChannelRow(GENERAL, 0, 100, 0),)


def test_held_are_let_go_in_turn(world: World) -> None:
    """When the journal has room again, who was held goes on in turn; who is gone is forgotten."""
    went: list[str] = []
    first, gone, last = (world.connect() for _ in range(3))
    world.hub.hold(first, lambda: went.append("first"))
    world.hub.hold(gone, lambda: went.append("gone"))
    world.hub.hold(last, lambda: went.append("last"))
    result_of(gone.lost())
    world.hub.drained()
    world.hub.drained()
    assert went == ["first", "last"]
