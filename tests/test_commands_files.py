"""Commands: files, and what is to be said about them where something is wrong."""

import pytest

from chatd.domain.errors import NotAllowed, NotNow
from chatd.domain.events import TicketGiven
from chatd.domain.names import ChannelName, Key, RoomName
from chatd.domain.records import Mute, Offer
from chatd.domain.session import Session
from tests.fakes import World, link_of, refused, sent_to
from tests.sending import Words, asked, heard, send, words

ALICE = Key("alice")
USAGE = "Usage: /send TARGET FILE"
GENERAL = ChannelName(RoomName("general"))


@pytest.fixture
def alice(world: World) -> Session:
    """Somebody in the lobby; bob has an account."""
    world.account("Bob")
    return world.login("alice")


def recipients(world: World) -> dict[str, list[str]]:
    """To whom each file is offered."""
    return {
        transfer.name: [offer.key for offer in offers]
        for transfer, offers in world.store.transfers()
    }


def test_to_a_person(world: World, alice: Session) -> None:
    """A file goes to a person, here or not, in whatever case the name is typed."""
    assert send(world, alice, "bob a.txt").other == "Bob"
    bob = world.login("Bob")
    send(world, alice, "BOB b.txt")
    assert words(sent_to(bob))[-1] == "alice is about to send you b.txt."
    assert world.store.offers[1] == {Key("bob"): Offer(Key("bob"), bob.name)}
    assert recipients(world) == {"a.txt": ["bob"], "b.txt": ["bob"]}


def test_other_name_of_send(world: World, alice: Session) -> None:
    """The command has the name that it had in one of the programs before this one."""
    (given,) = asked(world, alice, "FILETRANSFER bob a.txt")
    assert isinstance(given, TicketGiven)


def test_to_a_group(world: World, alice: Session) -> None:
    """A file goes to all the other members of a group, with or without its sign."""
    for name in ("carol", "dave"):
        world.account(name)
    world.ask(alice, "create Team bob carol")
    assert send(world, alice, "@team a.txt").other == "the group Team"
    assert send(world, alice, "TEAM b.txt").other == "the group Team"
    assert recipients(world) == {"a.txt": ["bob", "carol"], "b.txt": ["bob", "carol"]}
    rooms = {transfer.room for transfer, _ in world.store.transfers()}
    assert rooms == {"@Team"}


def test_to_a_channel(world: World, alice: Session) -> None:
    """A file goes to everybody else who is in one's own channel just now, and has an account."""
    general = world.channel("general")
    world.change(guests=True)
    inside = [world.login(name, general) for name in ("alyx", "carol", "Bob")]
    world.ask(world.connect(general), "introduce gus")
    sender = inside[0]
    for session in inside:
        link_of(session).take()
    assert send(world, sender, "General a.txt").other == "everybody in general"
    assert recipients(world) == {"a.txt": ["bob", "carol"]}
    text = "alyx is about to send you a.txt."
    assert heard(*inside[1:], alice) == [[text], [text], []]
    # Who comes later gets nothing, and who has left can still fetch it.
    world.ask(inside[1], "switch")
    world.login("dave", general)
    assert recipients(world) == {"a.txt": ["bob", "carol"]}


def test_people_come_first(world: World, alice: Session) -> None:
    """Where a person, a group and a channel have one name the person is meant, then the group."""
    world.channel("general")
    world.account("team")
    world.ask(alice, "create crew bob")
    world.ask(alice, "create team bob")
    send(world, alice, "team a.txt")
    send(world, alice, "@team b.txt")
    send(world, alice, "crew c.txt")
    assert recipients(world) == {"a.txt": ["team"], "b.txt": ["bob"], "c.txt": ["bob"]}


def test_whom_one_does_not_hear(world: World, alice: Session) -> None:
    """Nobody is sent a file by somebody he has blocked, or who has blocked him."""
    bob, carol = world.login("Bob"), world.login("carol")
    world.account("dave")
    world.ask(alice, "create team bob carol dave")
    world.ask(bob, "block alice")
    world.ask(alice, "block carol")
    assert asked(world, alice, "send bob a.txt") == ["Bob has blocked you."]
    assert asked(world, alice, "send carol a.txt") == [
        "You have blocked carol; /unblock comes first."
    ]
    send(world, alice, "@team a.txt")
    assert recipients(world) == {"a.txt": ["dave"]}
    world.ask(alice, "block dave")
    assert asked(world, alice, "send @team b.txt") == ["There is nobody else."]
    assert heard(carol)[0][-1:] != ["alice is about to send you a.txt."]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("send nobody a.txt", "nobody is not here."),
        ("send bo%b a.txt", "bo%b is not here."),
        ("send @nowhere a.txt", "nowhere does not exist."),
        ("send @bob a.txt", "bob does not exist."),
        ("send @ a.txt", " does not exist."),
        ("send alice a.txt", "You can't send a file to yourself."),
        ("send ALICE a.txt", "You can't send a file to yourself."),
        ("send gus a.txt", "gus is a guest, and files go to accounts only."),
        ("send general a.txt", "You are not in general."),
        ("send @club a.txt", "You are not a member of club."),
        ("send club a.txt", "You are not a member of club."),
        ("send @mine a.txt", "There is nobody else."),
        ("send bob ..", ".. is not a file name."),
        ("send bob ../..", "../.. is not a file name."),
        ('send bob ""', "Nothing is not a file name."),
        ("send bob \x1b", "\N{REPLACEMENT CHARACTER} is not a file name."),
        ("send bob a.txt -1", "-1 is not a size in bytes."),
        ("send bob a.txt 1000000000000000000", "1000000000000000000 is not a size in bytes."),
        ("send bob a.txt " + "9" * 999, "9" * 999 + " is not a size in bytes."),
        ("send bob a.txt \u0665", "\u0665 is not a size in bytes."),
        ('send bob "a.txt" 10MB', "10MB is not a size in bytes."),
        ("send bob 'a.txt' -1", "-1 is not a size in bytes."),
        ("send bob 'a.txt' 1 2", "Usage: /send TARGET NAME [SIZE]"),
        ("send bob 'a.txt", "There is no closing quotation mark."),
        ('send bob "a.txt', "There is no closing quotation mark."),
        ("send bob a.txt 4294967297", "A file has at most 4.0 GiB here."),
        ("send", USAGE),
        ("send bob", USAGE),
        ("send bob  \u3000", USAGE),
        ("get", "Usage: /get FILE"),
        ("get x", "x is not a whole number."),
        ("get -1", "-1 is not a whole number."),
        ("get 1 2", "Usage: /get FILE"),
        ("get 1", "There is no file 1 for you or from you; /files lists them."),
        ("cancel 1", "There is no file 1 for you or from you; /files lists them."),
        ("cancel", "Usage: /cancel FILE"),
        ("files 1", "Usage: /files"),
    ],
)
def test_refused(world: World, alice: Session, line: str, text: str) -> None:
    """What can't be done is refused in one sentence, and nothing is begun."""
    world.channel("general")
    world.change(guests=True)
    world.ask(world.connect(), "introduce gus")
    world.ask(world.login("carol"), "create club bob")
    world.ask(alice, "create mine")
    assert asked(world, alice, line) == [text]
    assert world.store.transfers() == []


@pytest.mark.parametrize("name", ["..", '"."', "-", "/ 5"])
def test_both_are_wrong(world: World, alice: Session, name: str) -> None:
    """Where nobody of that name is here and the file has no name either, both are told."""
    shown = name.removesuffix(" 5").strip('"')
    assert asked(world, alice, f"send nobody {name}") == [
        "nobody is not here.",
        f"{shown} is not a file name.",
    ]
    assert asked(world, alice, f"send alice {name}") == [
        "You can't send a file to yourself.",
        f"{shown} is not a file name.",
    ]


@pytest.mark.parametrize(
    ("typed", "path", "name", "size"),
    [
        ("a.txt", "a.txt", "a.txt", None),
        ("a.txt 0", "a.txt", "a.txt", 0),
        ("a.txt  100", "a.txt", "a.txt", 100),
        ("a.txt 007", "a.txt", "a.txt", 7),
        ("my notes of today.pdf", "my notes of today.pdf", "my notes of today.pdf", None),
        ("my notes.pdf 100", "my notes.pdf", "my notes.pdf", 100),
        ("report 2024", "report", "report", 2024),
        ('"report 2024"', "report 2024", "report 2024", None),
        ("'report 2024' 100", "report 2024", "report 2024", 100),
        ('"it\'s.txt"', "it's.txt", "it's.txt", None),
        ("it's.txt", "it's.txt", "it's.txt", None),
        ("2024", "2024", "2024", None),
        ("a.txt 10MB", "a.txt 10MB", "a.txt 10MB", None),
        ("a.txt 1.5", "a.txt 1.5", "a.txt 1.5", None),
        ("a.txt -x", "a.txt -x", "a.txt -x", None),
        ("../../etc/passwd", "../../etc/passwd", "passwd", None),
        ("~/a b.txt", "~/a b.txt", "a b.txt", None),
        ("CON", "CON", "_CON", None),
        ("a\x1b[2Jb.txt", "a\N{REPLACEMENT CHARACTER}[2Jb.txt", "a[2Jb.txt", None),
    ],
)
def test_name_and_size(
    world: World, alice: Session, typed: str, path: str, name: str, size: int | None
) -> None:
    """A file is named as one would type it, with its size as the last word, if it is told."""
    given = send(world, alice, f"bob {typed}")
    assert (given.path, given.name, given.size) == (path, name, size)


def test_muted(world: World) -> None:
    """Who is muted can't talk by the names of files either, but send one to a person."""
    general = world.channel("general")
    alice, _ = world.login("alice", general), world.login("bob", general)
    world.hub.sanctions.mute(Mute(GENERAL, ALICE, 30.0))
    assert asked(world, alice, "send general I-will-talk.txt") == [
        "You are still muted for 30 seconds."
    ]
    send(world, alice, "bob a.txt")


def test_nobody_else_in_the_channel(world: World) -> None:
    """Where nobody else has an account there is nobody to send a file to."""
    general = world.channel("general")
    alice = world.login("alice", general)
    world.change(guests=True)
    world.ask(world.connect(general), "introduce gus")
    assert asked(world, alice, "send general a.txt") == ["There is nobody else with an account."]


EVERY = ["send bob a.txt", "files", "get 1", "cancel 1"]


@pytest.mark.parametrize("line", EVERY)
def test_for_people_with_accounts(world: World, alice: Session, line: str) -> None:
    """A guest is told how to get the account that files need."""
    world.change(guests=True)
    guest = world.connect()
    world.ask(guest, "introduce gus")
    no = NotAllowed("That needs an account. Type /register to open one.")
    assert world.ask(guest, line) == refused(no)


@pytest.mark.parametrize("line", EVERY)
def test_for_those_inside(world: World, alice: Session, line: str) -> None:
    """Before the login, and in a channel's queue, nothing about files works."""
    assert world.ask(world.connect(), line)[0] == refused(NotNow("Please log in first."))[0]
    full = world.channel("general", capacity=1, afk=0)
    world.login("carol", full)
    waiting = world.login("dave", full)
    text = "You are in the waiting queue; /list, /switch, /help and /quit work here."
    assert world.ask(waiting, line) == refused(NotNow(text))


def test_over_and_over(world: World, alice: Session) -> None:
    """Who sends and cancels without end can be blocked, and is not heard any more."""
    bob = world.login("Bob")

    def told() -> Words:
        asked(world, alice, "send bob spam.txt")
        number = world.store.last_file
        asked(world, alice, f"cancel {number}")
        return words(sent_to(bob))

    link_of(bob).take()
    assert told() == ["alice is about to send you spam.txt.", "alice has cancelled spam.txt."]
    asked(world, bob, "block alice")
    assert told() == []
