"""The commands about groups, as admins, members, others and guests use them."""

import attrs
import pytest

from chatd.commands import TABLE
from chatd.domain.errors import (
    BadArguments,
    BadName,
    ChatError,
    Forbidden,
    GroupExists,
    NoSuchGroup,
    NotAdmin,
    NotAllowed,
    NotMember,
    NotNow,
    NotRequested,
    NotValidUser,
    TooMany,
)
from chatd.domain.events import Announced, Joined, Left, Said
from chatd.domain.names import SERVER, GroupName, Key, Name, group_room, inbox_room
from chatd.domain.session import Session
from chatd.domain.text import Text
from tests.fakes import RULES, World, link_of, refused, sent_to, told, wire

TEAM = group_room(GroupName("Team"))
ALICE, BOB, CAROL, DAVE = Name("alice"), Name("Bob"), Name("carol"), Name("Dave")
IN_QUEUE = NotNow("You are in the waiting queue; /list, /switch, /help and /quit work here.")
NOT_YET = NotNow("Please log in first.")
NO_ACCOUNT = NotAllowed("That needs an account. Type /register to open one.")
NO_GROUP = NotNow("You are in no group. Type /enter and a group's name first.")

ENTERED = {
    "members": "",
    "online": "",
    "admin": "",
    "requests": "",
    "leave": "",
    **dict.fromkeys(("approve", "reject", "add", "expel", "forbid", "allow", "transfer"), " NAME"),
}
"""The commands about the group that somebody has entered, with their arguments."""

FOR_ADMIN = ["requests", *(f"{name} carol" for name, usage in ENTERED.items() if usage)]

OTHERS = {
    "create": " GROUP [MEMBERS]",
    "enter": " [GROUP]",
    "group": " GROUP TEXT",
    "groups": "",
    "offline": "",
}


@attrs.frozen
class People:
    """Alice is the admin of Team and Bob a member, both talk there; carol is none, Dave offline."""

    alice: Session
    bob: Session
    carol: Session


@pytest.fixture
def people(world: World) -> People:
    """All in the lobby, with all they were told so far taken away."""
    world.account("Dave")
    everybody = People(world.login("alice"), world.login("Bob"), world.login("carol"))
    world.ask(everybody.alice, "create Team BOB")
    for session in (everybody.alice, everybody.bob):
        world.ask(session, "enter team")
    for session in (everybody.alice, everybody.bob, everybody.carol):
        link_of(session).take()
    return everybody


def announced(text: str) -> bytes:
    """How Team reads the server's words."""
    return wire(Announced(TEAM, text, 0.0))


def joined(name: Name) -> bytes:
    """How Team hears that somebody is a member now."""
    return wire(Joined(TEAM, name, 0.0))


def left(name: Name) -> bytes:
    """How Team hears that somebody is a member no longer."""
    return wire(Left(TEAM, name, 0.0))


def line(author: Name, text: str, seq: int = 1) -> bytes:
    """How Team reads what somebody says."""
    return wire(Said(TEAM, author, Text(text), 0.0, seq))


def note(to: str, text: str, seq: int = 1) -> Said:
    """What the server puts into somebody's inbox."""
    return Said(inbox_room(Key(to)), SERVER, Text(text), 0.0, seq)


EVERY = [*OTHERS, "create Work", "enter Team", "group Team hi", *ENTERED, *FOR_ADMIN]


@pytest.mark.parametrize("line", EVERY)
def test_groups_are_for_people_with_accounts(world: World, people: People, line: str) -> None:
    """A guest is told how to get the account that everything about groups needs."""
    world.change(guests=True)
    guest = world.connect()
    world.ask(guest, "introduce gus")
    assert world.ask(guest, line) == refused(NO_ACCOUNT)
    assert sent_to(people.alice) == []


@pytest.mark.parametrize("line", EVERY)
def test_groups_are_for_those_inside(world: World, people: People, line: str) -> None:
    """Before the login, and in a channel's queue, nothing about groups works."""
    assert world.ask(world.connect(), line)[0] == refused(NOT_YET)[0]
    full = world.channel("general", capacity=1, afk=0)
    world.login("eve", full)
    assert world.ask(world.login("frank", full), line) == refused(IN_QUEUE)
    assert sent_to(people.alice) == []


@pytest.mark.parametrize("line", [name + (usage and " bob") for name, usage in ENTERED.items()])
def test_a_group_is_entered_first(world: World, people: People, line: str) -> None:
    """What is done in a group needs one, for somebody in the lobby and in a channel alike."""
    assert world.ask(people.carol, line) == refused(NO_GROUP)
    eve = world.login("eve", world.channel("general", afk=0))
    assert world.ask(eve, line) == refused(NO_GROUP)


@pytest.mark.parametrize("line", FOR_ADMIN)
def test_only_the_admin_decides(world: World, people: People, line: str) -> None:
    """A member who isn't the admin changes nothing, and nobody else hears of it."""
    assert world.ask(people.bob, line) == refused(NotAdmin("Team"))
    assert sent_to(people.alice) == sent_to(people.carol) == []


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        *((f"{name} a b", f"/{name}{usage}") for name, usage in ENTERED.items()),
        *((name, f"/{name}{usage}") for name, usage in ENTERED.items() if usage),
        ("create", "/create GROUP [MEMBERS]"),
        ("create group", "/create GROUP [MEMBERS]"),
        ("enter Team now", "/enter [GROUP]"),
        ("group", "/group GROUP TEXT"),
        ("group Team ", "/group GROUP TEXT"),
        ("message group", "/group GROUP TEXT"),
        ("message group Team", "/group GROUP TEXT"),
        ("groups Team", "/groups"),
        ("offline now", "/offline"),
    ],
)
def test_arguments(world: World, people: People, line: str, usage: str) -> None:
    """Too few or too many arguments are answered by how the command is typed."""
    assert world.ask(people.alice, line) == refused(BadArguments(f"Usage: {usage}"))
    assert sent_to(people.bob) == []


@pytest.mark.parametrize("line", [f"{name} 1x" for name, usage in ENTERED.items() if usage])
def test_nobody_can_have_that_name(world: World, people: People, line: str) -> None:
    """A name that nobody can have is refused for what is wrong with it."""
    assert world.ask(people.alice, line) == refused(BadName("A name begins with a letter."))


def test_create(world: World, people: People) -> None:
    """Whoever makes a group is its admin and only member, and is told how to talk there."""
    work = group_room(GroupName("Work"))
    assert world.ask(people.carol, "create Work") == [
        wire(Announced(work, "carol has made the group Work.", 0.0)),
        *told("You are its admin. Type /enter Work to talk there."),
    ]
    assert world.ask(people.carol, "groups") == told("Work: carol (admin).")
    assert sent_to(people.alice) == sent_to(people.bob) == []


def test_create_with_members(world: World, people: People) -> None:
    """The members named are in at once, however they were written; those online hear of it."""
    work = group_room(GroupName("Work"))
    world.ask(people.carol, "create Work DAVE  bob Carol dave")
    assert sent_to(people.bob) == [wire(Announced(work, "carol has made the group Work.", 0.0))]
    assert world.ask(people.carol, "groups") == told("Work: carol (admin), Dave, Bob.")
    assert world.ask(people.bob, "groups") == told(
        "Team: alice (admin), Bob.", "Work: carol (admin), Dave, Bob."
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("create team", GroupExists("Team")),
        ("create GENERAL", GroupExists("general")),
        ("create Work eve", NotValidUser("eve")),
        ("create Work bob 1x", NotValidUser("1x")),
        ("create Work bob @Team", NotValidUser("@Team")),
        (
            "create a:b",
            BadName("A group's name is made of letters, digits, '_', '-' and '.' only."),
        ),
        ("create " + "x" * 33, BadName("A group's name has 1 to 32 characters.")),
    ],
)
def test_create_refused(world: World, people: People, line: str, error: ChatError) -> None:
    """A name that is taken or can't be, or a member without an account, and there is no group."""
    world.channel("general")
    assert world.ask(people.carol, line) == refused(error)
    assert world.ask(people.carol, "groups") == told("You are in no group.")
    assert sent_to(people.alice) == sent_to(people.bob) == []


def test_create_too_many(world: World) -> None:
    """Nobody can be the admin of more groups than the configuration lets him."""
    alice = world.login("alice")
    for number in range(RULES.groups_each):
        world.ask(alice, f"create team{number}")
    error = TooMany("You are the admin of 20 groups; that is as many as may be.")
    assert world.ask(alice, "create team20") == refused(error)


def test_enter(world: World, people: People) -> None:
    """A member talks in a group from then on, and only its members read it."""
    people.bob.talk_in(None)
    assert world.ask(people.bob, "enter TEAM") == told("You are talking in the group Team now.")
    assert world.ask(people.bob, "say hi") == [line(BOB, "hi")]
    assert sent_to(people.alice) == [line(BOB, "hi")]
    assert sent_to(people.carol) == []


def test_enter_as_somebody_else(world: World, people: People) -> None:
    """Who is no member asks to join; the members hear of it, and asking again changes nothing."""
    waits = "Your request to join the group Team waits for its admin."
    assert world.ask(people.carol, "enter team") == told(waits)
    asks = [announced("carol has requested to join the group Team.")]
    assert sent_to(people.alice) == sent_to(people.bob) == asks
    assert world.ask(people.carol, "enter team") == refused(NotRequested(waits))
    assert sent_to(people.alice) == []
    assert world.ask(people.alice, "requests") == told("Waiting to join Team: carol.")


@pytest.mark.parametrize("verb", ["enter", "group"])
@pytest.mark.parametrize(("typed", "shown"), [("Play", "Play"), ("\x1b[2J", "\ufffd[2J")])
def test_no_such_group(world: World, people: People, verb: str, typed: str, shown: str) -> None:
    """A group that doesn't exist is refused by its name."""
    text = " hi" if verb == "group" else ""
    assert world.ask(people.alice, f"{verb} {typed}{text}") == refused(NoSuchGroup(shown))


@pytest.mark.parametrize("typed", ["group TEAM hi  there", "message group team hi  there"])
def test_group(world: World, people: People, typed: str) -> None:
    """A member can say something in a group without entering it, and stays where he is."""
    people.bob.talk_in(None)
    assert world.ask(people.bob, typed) == [line(BOB, "hi  there")]
    assert sent_to(people.alice) == [line(BOB, "hi  there")]
    assert world.ask(people.bob, "members") == refused(NO_GROUP)


def test_group_as_somebody_else(world: World, people: People) -> None:
    """Who is no member says nothing in a group, even while his request waits."""
    assert world.ask(people.carol, "group Team hi") == refused(NotMember("Team"))
    world.ask(people.carol, "enter Team")
    for session in (people.alice, people.bob):
        link_of(session).take()
    assert world.ask(people.carol, "group Team hi") == refused(NotMember("Team"))
    assert sent_to(people.alice) == sent_to(people.bob) == []


def test_lists(world: World, people: People) -> None:
    """Every member can see who is in the group, who of them is online, and who its admin is."""
    world.ask(people.alice, "add dave")
    link_of(people.bob).take()
    for session in (people.alice, people.bob):
        assert world.ask(session, "members") == told("Team: alice (admin), Bob, Dave.")
        assert world.ask(session, "online") == told("Online in Team: alice, Bob.")
        assert world.ask(session, "admin") == told("alice is the admin of the group Team.")


def test_no_requests(world: World, people: People) -> None:
    """Where nobody has asked, that is the answer."""
    assert world.ask(people.alice, "requests") == told("Waiting to join Team: nobody.")


def test_approve(world: World, people: People) -> None:
    """Who is approved is in at once, talks there if he waited for it, and all hear of it."""
    world.ask(people.carol, "enter team")
    link_of(people.bob).take()
    assert world.ask(people.alice, "approve CAROL") == [joined(CAROL)]
    assert sent_to(people.bob) == [joined(CAROL)]
    you = note("carol", "You are a member of the group Team now.")
    talking = told("You are talking in the group Team now.")
    assert sent_to(people.carol)[-3:] == [joined(CAROL), *talking, you]
    assert world.ask(people.carol, "say hi") == [line(CAROL, "hi")]
    assert world.ask(people.alice, "requests") == told("Waiting to join Team: nobody.")


def test_reject(world: World, people: People) -> None:
    """Who is rejected hears of it and may ask again; the members don't."""
    world.ask(people.carol, "enter team")
    for session in (people.bob, people.carol):
        link_of(session).take()
    assert world.ask(people.alice, "reject Carol") == told(
        "You have rejected the request of carol."
    )
    rejected = note("carol", "Your request to join the group Team was rejected.")
    assert sent_to(people.carol) == [rejected]
    assert sent_to(people.bob) == []
    assert world.ask(people.carol, "enter team") == told(
        "Your request to join the group Team waits for its admin."
    )


def test_add(world: World, people: People) -> None:
    """Somebody can be made a member without asking, and may decide for himself to talk there."""
    assert world.ask(people.alice, "add CAROL") == [joined(CAROL)]
    you = note("carol", "You are a member of the group Team now.")
    assert sent_to(people.carol) == [joined(CAROL), you]
    assert sent_to(people.bob) == [joined(CAROL)]
    assert world.ask(people.carol, "members") == refused(NO_GROUP)


def test_expel(world: World, people: People) -> None:
    """Who is expelled is out at once, hears and says nothing there, and may ask to come back."""
    assert world.ask(people.alice, "expel bob") == [left(BOB)]
    assert sent_to(people.bob)[-1] == note("bob", "You have been expelled from the group Team.")
    world.ask(people.alice, "say without him")
    assert sent_to(people.bob) == []
    assert world.ask(people.bob, "members") == refused(NO_GROUP)
    assert world.ask(people.bob, "group team hi") == refused(NotMember("Team"))
    assert world.ask(people.bob, "enter team") == told(
        "Your request to join the group Team waits for its admin."
    )


def test_forbid_and_allow(world: World, people: People) -> None:
    """Who is forbidden can't even ask, until he is allowed to."""
    assert world.ask(people.alice, "forbid CAROL") == told(
        "carol can't join the group Team any more."
    )
    no = Forbidden("You can't join the group Team.")
    assert world.ask(people.carol, "enter team") == refused(no)
    assert sent_to(people.bob) == []
    assert world.ask(people.alice, "allow carol") == told(
        "carol may ask to join the group Team again."
    )
    assert world.ask(people.carol, "enter team") == told(
        "Your request to join the group Team waits for its admin."
    )


def test_enter_again_while_it_waits(world: World, people: People) -> None:
    """Who asked in an earlier session and asks again talks there once he is approved."""
    world.ask(people.carol, "enter team")
    world.ask(people.carol, "quit")
    carol = world.login("carol")
    waits = NotRequested("Your request to join the group Team waits for its admin.")
    assert world.ask(carol, "enter team") == refused(waits)
    world.ask(people.alice, "approve carol")
    assert world.ask(carol, "say hi") == [line(CAROL, "hi")]


def test_enter_while_forbidden(world: World, people: People) -> None:
    """Who was refused talks nowhere by himself when he is made a member after all."""
    world.ask(people.alice, "forbid carol")
    world.ask(people.carol, "enter team")
    world.ask(people.alice, "add carol")
    assert world.ask(people.carol, "members") == refused(NO_GROUP)


def test_forbid_a_member(world: World, people: People) -> None:
    """A member who is forbidden is out at once."""
    assert world.ask(people.alice, "forbid bob") == [left(BOB)]
    assert sent_to(people.bob)[-1] == note("bob", "You have been expelled from the group Team.")
    no = Forbidden("You can't join the group Team.")
    assert world.ask(people.bob, "enter team") == refused(no)


def test_transfer(world: World, people: People) -> None:
    """The admin hands over to a member, and from then on that one decides."""
    text = "Bob is the admin of the group Team now."
    assert world.ask(people.alice, "transfer BOB") == [announced(text)]
    assert sent_to(people.bob) == [announced(text)]
    assert world.ask(people.alice, "requests") == refused(NotAdmin("Team"))
    assert world.ask(people.bob, "requests") == told("Waiting to join Team: nobody.")
    assert world.ask(people.bob, "admin") == told("Bob is the admin of the group Team.")


def test_transfer_to_somebody_offline(world: World, people: People) -> None:
    """A member who is away can be made the admin too."""
    world.ask(people.alice, "add dave")
    assert world.ask(people.alice, "transfer dave") == [
        announced("Dave is the admin of the group Team now.")
    ]
    assert world.ask(people.bob, "admin") == told("Dave is the admin of the group Team.")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("approve carol", NotRequested("carol has not requested to join Team.")),
        ("reject carol", NotRequested("carol has not requested to join Team.")),
        ("add Bob", NotRequested("Bob is a member of Team already.")),
        ("add eve", NotValidUser("eve")),
        ("expel carol", NotMember("Team", "carol")),
        ("expel alice", Forbidden("You can't do that to yourself.")),
        ("forbid alice", Forbidden("You can't do that to yourself.")),
        ("forbid eve", NotValidUser("eve")),
        ("allow carol", NotRequested("carol is not forbidden to join Team.")),
        ("transfer carol", NotMember("Team", "carol")),
        ("leave", Forbidden("Hand the group over first: /transfer and a member's name.")),
    ],
)
def test_what_an_admin_cannot_do(world: World, people: People, line: str, error: ChatError) -> None:
    """What can't be done is refused with the reason, and nothing has changed."""
    assert world.ask(people.alice, line) == refused(error)
    assert world.ask(people.alice, "members") == told("Team: alice (admin), Bob.")
    assert sent_to(people.bob) == sent_to(people.carol) == []


def test_leave(world: World, people: People) -> None:
    """Who leaves is a member no longer, and what he types goes there no more."""
    assert world.ask(people.bob, "leave") == told("You have left the group Team.")
    assert sent_to(people.alice) == [left(BOB)]
    assert world.ask(people.bob, "leave") == refused(NO_GROUP)
    assert world.ask(people.alice, "members") == told("Team: alice (admin).")


def test_the_last_one_leaves(world: World, people: People) -> None:
    """A group without members is no more, and its name is free."""
    world.ask(people.bob, "leave")
    link_of(people.alice).take()
    assert world.ask(people.alice, "leave") == told("You were the last: the group Team is no more.")
    assert world.ask(people.alice, "enter team") == refused(NoSuchGroup("team"))
    assert world.ask(people.carol, "create team")[1:] == told(
        "You are its admin. Type /enter team to talk there."
    )


def test_groups_of_nobody(world: World, people: People) -> None:
    """Who is in no group is told so."""
    assert world.ask(people.carol, "groups") == told("You are in no group.")


def test_everything_about_groups_is_tested_here() -> None:
    """No command of a group is left out of the tests of who may use it, and where."""
    of_groups = {c.name for c in TABLE.commands if c.handler.__module__.endswith(".groups")}
    assert of_groups == {*ENTERED, *OTHERS}


def test_the_line_after_an_expulsion(world: World, people: People) -> None:
    """What was meant for a group is not heard in the channel by one who is no longer in it."""
    world.ask(people.alice, "expel bob")
    gone = NotNow("You are not in the group Team any more; that line was not sent.")
    assert world.ask(people.bob, "say secret") == refused(gone)
    nowhere = NotNow("You are in no channel and in no group.")
    assert world.ask(people.bob, "say hello") == refused(nowhere)


def test_enter_no_group(world: World, people: People) -> None:
    """Without a name, /enter is the way back out of a group without leaving it."""
    assert world.ask(people.bob, "enter") == told("Your lines go to no group now.")
    assert (people.bob.group, people.bob.bare) == (None, True)
    assert world.ask(people.bob, "groups") == told("Team: alice (admin), Bob.")


def test_let_in_while_doing_something_else(world: World, people: People) -> None:
    """Who has gone on to something else after asking is a member, but talks there when he wants."""
    world.ask(people.carol, "enter team")
    world.ask(people.carol, "groups")
    world.ask(people.alice, "approve carol")
    assert (people.carol.group, people.carol.bare) == (None, True)


def test_groups_that_look_alike(world: World, people: People) -> None:
    """A group can't have a name that can be taken for another group's."""
    world.ask(people.alice, "create modem")
    assert world.ask(people.carol, "create modern") == refused(GroupExists("modem"))
