"""Every command, as people in a channel, in its queue and in the lobby use it."""

import attrs
import pytest

from chatd.domain.errors import (
    BadArguments,
    CannotSwitch,
    NoSuchChannel,
    NoSuchUser,
    NotHere,
    NotNow,
)
from chatd.domain.events import (
    ChannelRow,
    ChannelsListed,
    Event,
    Farewell,
    Joined,
    Left,
    Queued,
    Said,
    Welcomed,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import ChannelName, Name
from chatd.domain.rooms import Channel
from chatd.domain.session import Session, State
from chatd.domain.text import Text
from tests.fakes import World, link_of, refused, told, wire

GENERAL, WORK = ChannelName("general"), ChannelName("work")
ALICE, BOB, CAROL, DAVE = Name("alice"), Name("bob"), Name("carol"), Name("dave")
HOUR = 3600.0


@attrs.frozen
class People:
    """Alice and bob in a channel for two, carol in its queue, dave in the lobby."""

    alice: Session
    bob: Session
    carol: Session
    dave: Session

    def __getitem__(self, name: str) -> Session:
        found: Session = getattr(self, name)
        return found


@pytest.fixture
def work(world: World) -> Channel:
    """A channel that nobody is in; it comes second in lists."""
    world.channel("general", capacity=2, afk=0)
    return world.channel("work", capacity=5, afk=0)


@pytest.fixture
def people(world: World, work: Channel) -> People:
    """Everybody, with all they were told at their login taken away."""
    general = world.hub.channels.find("general")
    alice, bob = world.login("alice", general), world.login("bob", general)
    everybody = People(alice, bob, world.login("carol", general), world.login("dave"))
    for name in ("alice", "bob", "carol", "dave"):
        link_of(everybody[name]).take()
    return everybody


def rows(general: str, work: str) -> list[bytes | Event]:
    """The answer to /list, with each channel's numbers as ``here/capacity/waiting``."""
    numbers = [(GENERAL, general), (WORK, work)]
    return [ChannelsListed(tuple(ChannelRow(name, *map(int, n.split("/"))) for name, n in numbers))]


IN_LOBBY = NotNow("You are in no channel. Type /switch and a channel's name to enter one.")
IN_QUEUE = NotNow("You are in the waiting queue; /list, /switch, /help and /quit work here.")
NOT_YET = NotNow("Please log in first.")
ALREADY = NotNow("You are logged in already.")


@pytest.mark.parametrize("line", ["whisper bob hi", "w bob hi", "who", "history", "history 3"])
def test_what_needs_a_channel(world: World, people: People, line: str) -> None:
    """Only somebody in a channel can whisper there and see who is there."""
    assert world.ask(people.carol, line) == refused(IN_QUEUE)
    assert world.ask(people.dave, line) == refused(IN_LOBBY)
    assert link_of(people.alice).take() == []


@pytest.mark.parametrize("line", ["whoelse", "wholasthr", "ping bob"])
def test_who_waits_asks_for_little(world: World, people: People, line: str) -> None:
    """Somebody in a queue can list, switch, get help and quit, and nothing else."""
    assert world.ask(people.carol, line) == refused(IN_QUEUE)


@pytest.mark.parametrize("line", ["introduce bob", "login bob|secret", "signup eve|secret"])
def test_nobody_logs_in_twice(world: World, people: People, line: str) -> None:
    """A session that is logged in has no use for the commands of a login."""
    assert world.ask(people.alice, line) == refused(ALREADY)
    assert world.ask(people.carol, line) == refused(IN_QUEUE)
    assert world.ask(people.dave, line) == refused(IN_LOBBY)


@pytest.mark.parametrize(
    "line",
    [
        *("say hi", "whisper bob hi", "who", "history", "list", "switch work", "help"),
        *("whoelse", "wholasthr", "ping bob", "register", "password", "account"),
    ],
)
def test_nothing_works_before_the_login(world: World, people: People, line: str) -> None:
    """Somebody who has not logged in learns nothing of the server, and does nothing in it."""
    stranger = world.connect()
    assert world.ask(stranger, line)[0] == refused(NOT_YET)[0]
    assert link_of(people.alice).take() == []


def test_say(world: World, people: People) -> None:
    """What is said in a channel reaches everyone in it, its author too, and nobody else."""
    line = wire(Said(GENERAL, ALICE, Text("hello \ufffd[2Jall"), 0.0, 1))
    assert world.ask(people.alice, "say hello \x1b[2Jall") == [line]
    assert link_of(people.bob).take() == [line]
    assert link_of(people.carol).take() == link_of(people.dave).take() == []


def test_say_to_nobody(world: World, people: People) -> None:
    """Who is in no channel and in no group has nobody to say anything to."""
    assert world.ask(people.carol, "say hi") == refused(IN_QUEUE)
    assert world.ask(people.dave, "say hi") == refused(
        NotNow("You are in no channel and in no group.")
    )
    assert link_of(people.alice).take() == []


def test_say_nothing(world: World, people: People) -> None:
    """Nobody can say an empty line."""
    assert world.ask(people.alice, "say  ") == refused(BadArguments("Usage: /say TEXT"))
    assert link_of(people.bob).take() == []


@pytest.mark.parametrize("line", ["whisper bob psst  psst", "w BOB psst  psst"])
def test_whisper(world: World, people: People, line: str) -> None:
    """A whisper reaches one person in the same channel, and is confirmed to its author."""
    text = Text("psst  psst")
    assert world.ask(people.alice, line) == [WhisperSent(BOB, text, 0.0)]
    assert link_of(people.bob).take() == [Whispered(ALICE, text, 0.0)]
    assert link_of(people.carol).take() == link_of(people.dave).take() == []


def test_whisper_to_oneself(world: World, people: People) -> None:
    """Whoever whispers to himself hears it."""
    assert world.ask(people.bob, "w bob hm") == [
        Whispered(BOB, Text("hm"), 0.0),
        WhisperSent(BOB, Text("hm"), 0.0),
    ]


@pytest.mark.parametrize("to", ["carol", "dave", "eve"])
def test_whisper_to_somebody_who_is_not_here(world: World, people: People, to: str) -> None:
    """Somebody in the queue, elsewhere or nowhere is not here, whichever of these it is."""
    assert world.ask(people.alice, f"whisper {to} hi") == refused(NotHere(to))
    assert link_of(people.carol).take() == link_of(people.dave).take() == []


@pytest.mark.parametrize("line", ["whisper", "whisper bob", "w bob "])
def test_whisper_needs_a_name_and_a_text(world: World, people: People, line: str) -> None:
    """A whisper to nobody, or of nothing, is refused with how it is typed."""
    assert world.ask(people.alice, line) == refused(BadArguments("Usage: /whisper TO TEXT"))


@pytest.mark.parametrize("name", ["alice", "carol", "dave"])
def test_list(world: World, people: People, name: str) -> None:
    """Everybody sees how full the channels are, wherever he is."""
    assert world.ask(people[name], "list") == rows("2/2/1", "0/5/0")


def test_list_takes_no_argument(world: World, people: People) -> None:
    """There is one list."""
    assert world.ask(people.alice, "list work") == refused(BadArguments("Usage: /list"))


def test_switch_to_another_channel(world: World, people: People) -> None:
    """Whoever switches leaves the one channel, enters the other, and the queue moves up."""
    assert world.ask(people.alice, "switch WORK") == [
        Welcomed(ALICE, WORK, "chatd", 0.0),
        wire(Joined(WORK, ALICE, 0.0)),
    ]
    left, joined = wire(Left(GENERAL, ALICE, 0.0)), wire(Joined(GENERAL, CAROL, 0.0))
    assert link_of(people.bob).take() == [left, joined]
    assert link_of(people.carol).take() == [Welcomed(CAROL, GENERAL, "chatd", 0.0), joined]
    assert world.ask(people.alice, "list") == rows("2/2/0", "1/5/0")


def test_switch_out_of_a_queue(world: World, people: People) -> None:
    """Whoever waits may go elsewhere, and nobody in the channel hears of it."""
    assert world.ask(people.carol, "switch work") == [
        Welcomed(CAROL, WORK, "chatd", 0.0),
        wire(Joined(WORK, CAROL, 0.0)),
    ]
    assert link_of(people.alice).take() == []
    assert world.ask(people.carol, "list") == rows("2/2/0", "1/5/0")


def test_switch_into_a_queue(world: World, people: People) -> None:
    """Whoever switches to a full channel waits in its queue."""
    assert world.ask(people.dave, "switch general") == [Queued(1, 0.0)]
    assert link_of(people.alice).take() == []
    assert world.ask(people.dave, "list") == rows("2/2/2", "0/5/0")


@pytest.mark.parametrize("name", ["alice", "carol"])
def test_switch_to_where_one_is(world: World, people: People, name: str) -> None:
    """Nobody can switch to the channel that he is in, or waits for; he keeps his place."""
    assert world.ask(people[name], "switch General") == refused(CannotSwitch("general"))
    assert world.ask(people[name], "list") == rows("2/2/1", "0/5/0")


@pytest.mark.parametrize("name", ["alice", "carol", "dave"])
@pytest.mark.parametrize(("typed", "shown"), [("Play", "Play"), ("\x1b[2J", "\ufffd[2J")])
def test_switch_to_nowhere(world: World, people: People, name: str, typed: str, shown: str) -> None:
    """A channel that doesn't exist is refused by its name, and whoever asked stays put."""
    assert world.ask(people[name], f"switch {typed}") == refused(NoSuchChannel(shown))
    assert world.ask(people[name], "list") == rows("2/2/1", "0/5/0")


@pytest.mark.parametrize("line", ["switch", "switch work now"])
def test_switch_needs_one_channel(world: World, people: People, line: str) -> None:
    """A switch to no channel, or to two, is refused with how it is typed."""
    assert world.ask(people.alice, line) == refused(BadArguments("Usage: /switch CHANNEL"))


def test_who(world: World, people: People) -> None:
    """Everybody in the channel is listed in the order they came; who waits is not in it."""
    assert world.ask(people.bob, "who") == told("2 here: alice, bob.")


def test_whoelse(world: World, people: People) -> None:
    """Everybody online is listed, in whatever channel, queue or lobby."""
    assert world.ask(people.bob, "whoelse") == told("4 online: alice, bob (you), carol, dave.")
    assert world.ask(people.dave, "whoelse") == told("4 online: alice, bob, carol, dave (you).")


@pytest.mark.parametrize("name", ["who", "whoelse", "wholasthr"])
def test_lists_of_people_take_no_argument(world: World, people: People, name: str) -> None:
    """There is one list of each kind."""
    assert world.ask(people.alice, f"{name} bob") == refused(BadArguments(f"Usage: /{name}"))


def test_wholasthr(world: World, people: People) -> None:
    """Who logged in within the last hour is listed, whether still online or not."""
    world.account("eve")
    assert world.ask(people.alice, "quit") == [Farewell("Goodbye, alice.", 0.0)]
    assert world.ask(people.dave, "wholasthr") == told(
        "4 people in the last hour: bob, carol, dave, alice.",
    )
    world.clock.advance(HOUR)
    world.login("frank")
    assert world.ask(people.dave, "wholasthr") == told(
        "5 people in the last hour: bob, carol, dave, frank, alice.", at=HOUR
    )
    world.clock.advance(1)
    assert world.ask(people.dave, "wholasthr") == told(
        "1 person in the last hour: frank.", at=HOUR + 1
    )
    world.clock.advance(HOUR)
    assert world.ask(people.dave, "wholasthr") == told(
        "Nobody logged in within the last hour.", at=2 * HOUR + 1
    )


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("ping bob", told("bob is online.")),
        ("ping CAROL", told("carol is online.")),
        ("ping dave", told("dave is online.")),
        ("ping EVE", told("eve is offline.")),
        ("ping frank", refused(NoSuchUser("frank"))),
        ("ping", refused(BadArguments("Usage: /ping NAME"))),
        ("ping bob dave", refused(BadArguments("Usage: /ping NAME"))),
    ],
)
@pytest.mark.parametrize("name", ["alice", "dave"])
def test_ping(
    world: World, people: People, name: str, line: str, answer: list[bytes | Event]
) -> None:
    """Somebody is online in whatever place, offline if there is such an account, or unknown."""
    world.account("eve")
    assert world.ask(people[name], line) == answer


@pytest.mark.parametrize("line", ["quit", "logout", "disconnect", "Quit"])
@pytest.mark.parametrize("name", ["alice", "carol", "dave"])
def test_quit(world: World, people: People, name: str, line: str) -> None:
    """Everybody can leave from everywhere, and the connection closes after a farewell."""
    assert world.ask(people[name], line) == [Farewell(f"Goodbye, {name}.", 0.0)]
    assert link_of(people[name]).closed
    assert people[name].state is State.CLOSING
    hears = [wire(Left(GENERAL, ALICE, 0.0)), wire(Joined(GENERAL, CAROL, 0.0))]
    assert link_of(people.bob).take() == (hears if name == "alice" else [])


@pytest.mark.parametrize("line", ["quit", "logout"])
def test_quit_before_the_login(world: World, line: str) -> None:
    """Whoever thinks better of logging in can leave too."""
    stranger = world.connect()
    assert world.ask(stranger, line) == [Farewell("Goodbye.", 0.0)]
    assert link_of(stranger).closed


@pytest.mark.parametrize("name", ["alice", "carol", "dave"])
def test_help_works_everywhere(world: World, people: People, name: str) -> None:
    """Help is there in a channel, in its queue and in the lobby."""
    assert world.ask(people[name], "help w") == told(
        "/whisper TO TEXT (also /w): Say something to one person in this channel only."
    )


def test_help_lists_every_command(world: World, people: People) -> None:
    """What can be typed is listed, each with what it is for, and its other names."""
    assert world.ask(people.alice, "help") == told(
        "/whisper TO TEXT (also /w): Say something to one person in this channel only.",
        "/message TO TEXT (also /m): Say something to one person, wherever he is, now or at his "
        "next login.",
        "/r TEXT: Answer the last whisper or message.",
        "/broadcast TEXT: Say something to everybody online.",
        "/list: List the channels: how many are in each, how many may be, how many wait.",
        "/switch CHANNEL: Leave this channel, or its queue, for another one.",
        "/who: List who is in this channel.",
        "/history [LINES]: Show the last lines that were said in this channel.",
        "/create GROUP [MEMBERS] (also /create group): Make a group, with you as its admin and "
        "these people as members.",
        "/enter [GROUP]: Let your plain lines go to a group, or ask to join it; "
        "without a name, to no group.",
        "/group GROUP TEXT (also /message group): Say something in a group without entering it.",
        "/groups (also /grouplist): List the groups you are a member of, each with its members.",
        "/members (also /allMembers): List the members of this group.",
        "/online (also /onlineMembers): List the members of this group who are online.",
        "/admin (also /whoAdmin): Tell who the admin of this group is.",
        "/requests (also /viewRequests): List who has asked to join this group.",
        "/approve NAME (also /approveRequest): Let somebody in who has asked to join this group.",
        "/reject NAME: Refuse somebody who has asked to join this group.",
        "/add NAME: Make somebody a member of this group who need not have asked.",
        "/expel NAME (also /kickMember): Put a member out of this group.",
        "/forbid NAME: Put somebody out of this group and let him not even ask to join it.",
        "/allow NAME: Let somebody ask again to join this group.",
        "/transfer NAME (also /changeAdmin): Make another member the admin of this group.",
        "/leave: Be a member of this group no longer.",
        "/offline: Show the messages that you have not read yet.",
        '/send TARGET FILE (also /fileTransfer): Send a file, as "NAME [SIZE]", to a person, to '
        "@GROUP or a group, or to your channel.",
        "/files: List the files that you are offered, and those that you send.",
        "/get FILE: Get a fresh ticket: to fetch a file, or to go on sending one; as /files "
        "numbers them.",
        "/cancel FILE: Take a file back that you send, or decline one that you are offered.",
        "/whoelse: List everybody online, in every channel.",
        "/wholasthr: List who logged in within the last hour, online or not.",
        "/ping NAME: Tell whether somebody is online, offline, or has blocked you.",
        "/block NAME: Hear nothing of somebody any more, and let him hear nothing of you.",
        "/unblock NAME: Hear somebody again.",
        "/blocked: List whom you have blocked.",
        "/password: Change your password.",
        '/account [WHAT] [ADDRESS]: Show your account; "mail ADDRESS" sets its mail address, '
        '"mail none" removes it.',
        "/help [COMMAND]: List the commands, or explain one.",
        "/quit (also /logout, /disconnect): Leave the server.",
    )
