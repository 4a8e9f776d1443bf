"""The commands between two people, and to everybody: messages, answers, broadcasts, blocks."""

import attrs
import pytest

from chatd.domain.errors import (
    BadArguments,
    Blocked,
    ChatError,
    MailboxFull,
    NoSuchUser,
    NotAllowed,
    NotHere,
    NotNow,
)
from chatd.domain.events import (
    Broadcasted,
    Event,
    Mailed,
    Messaged,
    MessageSent,
    Said,
    Whispered,
    WhisperSent,
)
from chatd.domain.names import EVERYONE, ChannelName, GroupName, Key, Name, group_room, inbox_room
from chatd.domain.records import Role, Standing
from chatd.domain.session import Session
from chatd.domain.text import Text
from tests.fakes import World, link_of, refused, sent_to, told, wire
from tests.memory import Team

ALICE, BOB, GUS = Name("alice"), Name("Bob"), Name("Gus")
HI = Text("hi  there")
IN_QUEUE = NotNow("You are in the waiting queue; /list, /switch, /help and /quit work here.")
NOT_YET = NotNow("Please log in first.")
NO_ACCOUNT = NotAllowed("That needs an account. Type /register to open one.")


@attrs.frozen
class People:
    """Alice in a channel, Bob in the lobby, the guest Gus there too; Dave is offline."""

    alice: Session
    bob: Session
    gus: Session

    def __getitem__(self, name: str) -> Session:
        found: Session = getattr(self, name)
        return found

    def hush(self) -> None:
        """Take away all that they were told so far."""
        for session in (self.alice, self.bob, self.gus):
            link_of(session).take()


@pytest.fixture
def people(world: World) -> People:
    """Everybody, with all they were told at their login taken away."""
    world.change(guests=True)
    world.account("Dave")
    alice = world.login("alice", world.channel("general", afk=0))
    bob, gus = world.login("Bob"), world.connect()
    world.ask(gus, "introduce Gus")
    everybody = People(alice, bob, gus)
    everybody.hush()
    return everybody


def got(to: str, author: Name, seq: int = 1) -> list[bytes | Event]:
    """What somebody with an account is sent when he is sent HI."""
    return [Said(inbox_room(Key(to)), author, HI, 0.0, seq)]


ALL = [
    *("message bob hi", "m bob hi", "r hi", "broadcast hi", "ping bob", "message", "r"),
    *("block bob", "unblock bob", "blocked", "offline"),
]


@pytest.mark.parametrize("line", ALL)
def test_who_is_not_in_says_nothing(world: World, people: People, line: str) -> None:
    """Before the login, and in a channel's queue, nobody can be reached."""
    assert world.ask(world.connect(), line)[0] == refused(NOT_YET)[0]
    full = world.channel("full", capacity=1, afk=0)
    world.login("eve", full)
    assert world.ask(world.login("frank", full), line) == refused(IN_QUEUE)
    assert sent_to(people.bob) == []


@pytest.mark.parametrize("line", ["block bob", "block", "unblock bob", "blocked", "offline"])
def test_what_lasts_needs_an_account(world: World, people: People, line: str) -> None:
    """A guest has no inbox and no list of people he has blocked."""
    assert world.ask(people.gus, line) == refused(NO_ACCOUNT)


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("message", "/message TO TEXT"),
        ("message bob", "/message TO TEXT"),
        ("m bob ", "/message TO TEXT"),
        ("r", "/r TEXT"),
        ("broadcast  ", "/broadcast TEXT"),
        ("block", "/block NAME"),
        ("block bob gus", "/block NAME"),
        ("unblock", "/unblock NAME"),
        ("unblock bob gus", "/unblock NAME"),
        ("blocked bob", "/blocked"),
    ],
)
def test_arguments(world: World, people: People, line: str, usage: str) -> None:
    """Too few or too many arguments are answered by how the command is typed."""
    assert world.ask(people.alice, line) == refused(BadArguments(f"Usage: {usage}"))
    assert sent_to(people.bob) == []


@pytest.mark.parametrize("verb", ["message", "m", "MESSAGE"])
@pytest.mark.parametrize("name", ["alice", "gus"])
def test_message(world: World, people: People, name: str, verb: str) -> None:
    """A message reaches one person wherever he is, and is confirmed to its author."""
    sender = people[name]
    assert world.ask(sender, f"{verb} BOB {HI}") == [MessageSent(BOB, HI, 0.0)]
    assert sent_to(people.bob) == got("bob", sender.name)
    others = {"alice", "gus"} - {name}
    assert [sent_to(people[other]) for other in others] == [[]]


def test_message_to_a_guest(world: World, people: People) -> None:
    """A guest who is online can be reached too."""
    assert world.ask(people.alice, f"message gus {HI}") == [MessageSent(GUS, HI, 0.0)]
    assert sent_to(people.gus) == [Messaged(ALICE, HI, 0.0)]


def test_message_to_oneself(world: World, people: People) -> None:
    """Whoever sends himself a message gets it."""
    assert world.ask(people.bob, f"message bob {HI}") == [
        *got("bob", BOB),
        MessageSent(BOB, HI, 0.0),
    ]


def test_message_to_somebody_offline(world: World, people: People) -> None:
    """Whoever writes to somebody who is away is told that it waits for him."""
    assert world.ask(people.alice, f"message dave {HI}") == [
        MessageSent(Name("Dave"), HI, 0.0),
        *told("Dave is offline; the message will be delivered when Dave is back."),
    ]


@pytest.mark.parametrize("to", ["eve", "group", "Server"])
def test_message_to_nobody(world: World, people: People, to: str) -> None:
    """A message to a name that nobody has is refused."""
    assert world.ask(people.alice, f"m {to} hi") == refused(NoSuchUser(to))


def test_message_to_a_full_mailbox(world: World, people: People) -> None:
    """Whoever writes to somebody with too much unread mail is told so, and it isn't sent."""
    inbox = inbox_room(Key("dave"))
    most = world.rules.mailbox_lines
    world.store.lines[inbox] = [Said(inbox, BOB, HI, 0.0, seq) for seq in range(1, most + 1)]
    assert world.ask(people.alice, "message dave hi") == refused(MailboxFull("Dave"))


def test_reply_to_nobody(world: World, people: People) -> None:
    """Whoever was sent nothing has nobody to answer."""
    error = NotNow("Nobody has whispered or sent a message to you yet.")
    assert world.ask(people.alice, "r hi") == refused(error)


@pytest.mark.parametrize("name", ["alice", "gus"])
def test_reply_to_a_message(world: World, people: People, name: str) -> None:
    """An answer to a message is a message, whether its reader has an account or not."""
    world.ask(people.bob, f"message {name} hello")
    people.hush()
    assert world.ask(people[name], f"r {HI}") == [MessageSent(BOB, HI, 0.0)]
    assert sent_to(people.bob) == got("bob", people[name].name)


def test_reply_to_a_whisper(world: World, people: People) -> None:
    """An answer to a whisper is a whisper, for as long as both are in the same channel."""
    eve = world.login("eve", people.alice.home)
    world.ask(eve, "whisper alice hello")
    link_of(eve).take()
    assert world.ask(people.alice, f"r {HI}") == [WhisperSent(Name("eve"), HI, 0.0)]
    assert sent_to(eve) == [Whispered(ALICE, HI, 0.0)]
    world.channel("work", afk=0)
    world.ask(eve, "switch work")
    link_of(people.alice).take()
    assert world.ask(people.alice, "r hi") == refused(NotHere("eve"))
    link_of(eve).take()
    assert world.ask(eve, f"r {HI}") == refused(NotHere("alice"))


def test_reply_goes_to_the_last_one(world: World, people: People) -> None:
    """An answer goes to whoever has written last, by whatever way."""
    eve = world.login("eve", people.alice.home)
    world.ask(eve, "whisper alice hello")
    world.ask(people.bob, "message alice hello")
    people.hush()
    assert world.ask(people.alice, f"r {HI}") == [MessageSent(BOB, HI, 0.0)]
    world.ask(people.gus, "message alice hello")
    people.hush()
    assert world.ask(people.alice, f"r {HI}") == [MessageSent(GUS, HI, 0.0)]


@pytest.mark.parametrize("name", ["alice", "bob", "gus"])
def test_broadcast_is_for_operators(world: World, people: People, name: str) -> None:
    """Where the configuration doesn't say otherwise, only operators speak to everybody."""
    error = NotAllowed("Only operators may broadcast here.")
    assert world.ask(people[name], "broadcast hi") == refused(error)


@pytest.mark.parametrize(("name", "lowest"), [("gus", Role.GUEST), ("bob", Role.OPERATOR)])
def test_broadcast(world: World, people: People, name: str, lowest: Role) -> None:
    """A broadcast reaches everybody who is logged in, in a queue too, and nobody else."""
    world.change(operators=frozenset({Key("bob")}), broadcast=lowest)
    full = world.channel("full", capacity=1, afk=0)
    inside, waits, stranger = world.login("eve", full), world.login("frank", full), world.connect()
    for session in (inside, waits, stranger):
        link_of(session).take()
    hears = [wire(Broadcasted(EVERYONE, people[name].name, HI, 0.0))]
    assert world.ask(people[name], f"broadcast {HI}") == hears
    others = [people[other] for other in ("alice", "bob", "gus") if other != name]
    assert [sent_to(other) for other in (*others, inside, waits)] == [hears] * 4
    assert sent_to(stranger) == []


def test_block(world: World, people: People) -> None:
    """A block stops what the one says to the other, by every way, until it is taken back."""
    world.change(broadcast=Role.GUEST)
    world.ask(people.bob, "switch general")
    people.hush()
    assert world.ask(people.alice, "block BOB") == told("You have blocked Bob.")
    assert world.ask(people.alice, "blocked") == told("You have blocked: bob.")
    for verb in ("say", "broadcast"):
        for speaker, hearer in ((people.bob, people.alice), (people.alice, people.bob)):
            people.hush()
            assert len(world.ask(speaker, f"{verb} hi")) == 1
            assert sent_to(hearer) == []
    theirs, mine = Blocked("alice has blocked you."), "; /unblock comes first."
    for verb in ("whisper", "message"):
        assert world.ask(people.bob, f"{verb} alice hi") == refused(theirs)
        assert world.ask(people.alice, f"{verb} Bob hi") == refused(
            Blocked(f"You have blocked Bob{mine}")
        )
    assert world.ask(people.alice, "unblock BOB") == told("You no longer block Bob.")
    assert world.ask(people.alice, "blocked") == told("You have blocked: nobody.")
    assert sent_to(people.bob) == []
    assert world.ask(people.bob, f"message alice {HI}") == [MessageSent(ALICE, HI, 0.0)]
    assert sent_to(people.alice) == got("alice", BOB)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("block alice", Blocked("You can't block yourself.")),
        ("block ALICE", Blocked("You can't block yourself.")),
        ("block eve", NoSuchUser("eve")),
        ("block bob", Blocked("You have blocked Bob already.")),
        ("unblock dave", Blocked("You have not blocked Dave.")),
        ("unblock eve", Blocked("You have not blocked eve.")),
    ],
)
def test_block_refused(world: World, people: People, line: str, error: ChatError) -> None:
    """Oneself, nobody, or somebody who is blocked already can't be blocked."""
    world.ask(people.alice, "block bob")
    assert world.ask(people.alice, line) == refused(error)
    assert world.ask(people.alice, "blocked") == told("You have blocked: bob.")


def test_block_of_somebody_who_is_gone(world: World, people: People) -> None:
    """A guest can be blocked while he is there, and the block taken back when he has left."""
    assert world.ask(people.alice, "block gus") == told("You have blocked Gus.")
    world.ask(people.gus, "quit")
    error = Blocked("You have blocked gus already.")
    assert world.ask(people.alice, "block gus") == refused(error)
    assert world.ask(people.alice, "unblock GUS") == told("You no longer block GUS.")


def test_block_of_somebody_offline(world: World, people: People) -> None:
    """Somebody who is away can be blocked too."""
    assert world.ask(people.alice, "block dave") == told("You have blocked Dave.")
    world.ask(people.alice, "block bob")
    assert world.ask(people.alice, "blocked") == told("You have blocked: bob, dave.")


@pytest.mark.parametrize("line", ["ping alice", "ping ALICE"])
def test_ping_of_somebody_who_blocks(world: World, people: People, line: str) -> None:
    """Who is blocked learns that, and not whether the other one is online."""
    world.ask(people.alice, "block bob")
    assert world.ask(people.bob, line) == told("alice has blocked you.")
    assert world.ask(people.alice, "ping bob") == told("Bob is online.")
    world.ask(people.alice, "quit")
    assert world.ask(people.bob, line) == told("alice has blocked you.")
    assert world.ask(people.gus, line) == told("alice is offline.")


def test_offline_with_nothing_to_read(world: World, people: People) -> None:
    """Whoever has read everything is told so."""
    assert world.ask(people.bob, "offline") == told("You have read everything.")


def test_offline(world: World, people: People) -> None:
    """What was not read yet is shown, but never the lines of somebody whom one has blocked."""
    team, inbox = GroupName("team"), inbox_room(Key("bob"))
    room = group_room(team)
    world.store.teams[Key("team")] = Team(team, Key("bob"), {Key("bob"): Standing.MEMBER})
    from_dave = Said(inbox, Name("Dave"), HI, 0.0, 1)
    world.store.lines[inbox] = [from_dave]
    world.store.lines[room] = [Said(room, ALICE, HI, 0.0, 1)]
    assert world.ask(people.bob, "offline") == [
        Mailed((from_dave, *world.store.lines[room])[::-1], 0.0)
    ]
    world.ask(people.bob, "block alice")
    assert world.ask(people.bob, "offline") == [Mailed((from_dave,), 0.0)]
    world.ask(people.bob, "block dave")
    assert world.ask(people.bob, "offline") == told("You have read everything.")


def test_say_in_a_group_and_in_the_channel(world: World, people: People) -> None:
    """Who talks in a group goes on being in his channel, and talks there again by /switch."""
    work = world.channel("work", afk=0)
    room, general = group_room(GroupName("Team")), ChannelName("general")
    for line in ("create Team bob", "enter team"):
        world.ask(people.alice, line)
    people.hush()
    in_group = wire(Said(room, ALICE, HI, 0.0, 1))
    assert world.ask(people.alice, f"say {HI}") == [in_group]
    assert sent_to(people.bob) == [in_group]
    assert world.ask(people.alice, "who") == told("1 here: alice.")
    assert world.ask(people.alice, "switch GENERAL") == told(
        "You are talking in the general channel again."
    )
    assert world.ask(people.alice, f"say {HI}") == [wire(Said(general, ALICE, HI, 0.0, 1))]
    assert sent_to(people.bob) == []
    assert world.ask(people.alice, "members") == refused(
        NotNow("You are in no group. Type /enter and a group's name first.")
    )
    world.ask(people.alice, "enter team")
    world.ask(people.alice, "switch work")
    assert world.ask(people.alice, f"say {HI}") == [wire(Said(work.name, ALICE, HI, 0.0, 1))]
    assert sent_to(people.bob) == []
