"""Groups: who may do what, who hears it, and what is kept."""

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NotStored
from chatd.domain.events import Mailed, Refused, Said, Told
from chatd.domain.names import GroupName, Key, Name, RoomName
from chatd.domain.records import StoredGroup
from chatd.domain.text import Text
from tests.conftest import LoggedErrors
from tests.fakes import World, link_of, told
from tests.stored import (
    TEAM,
    announced,
    direct,
    everybody_goes,
    heard,
    joined,
    left,
    line,
    no,
    now,
    quit_,
    slow_store,
    stored_world,
    take,
    team,
)

NOT_STORED = no(NotStored())


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose journal stores."""
    made = stored_world(clock)
    yield made
    everybody_goes(made)


def kept(world: World) -> list[StoredGroup]:
    """The groups as they are in the store."""
    return list(now(world.store.groups()))


def group(
    admin: str = "alice",
    members: tuple[str, ...] = ("alice", "bob"),
    requests: tuple[str, ...] = (),
    forbidden: tuple[str, ...] = (),
    last: int = 0,
) -> StoredGroup:
    """The group team, as it is stored."""
    names = [tuple(map(Name, those)) for those in (members, requests, forbidden)]
    return StoredGroup(GroupName("team"), Key(admin), names[0], names[1], names[2], last)


def notice(to: str, text: str, seq: int = 1) -> Said:
    """The server's words in an inbox."""
    return direct("Server", to, text, seq)


def test_create(world: World) -> None:
    """A new group has its maker as the admin, and those online hear of it."""
    alice, bob, carol = (world.login(name) for name in ("alice", "bob", "carol"))
    take(alice, bob, carol)
    alice.receive("create team BOB")
    world.turn()
    made = announced("alice has made the group team.")
    yours = Told(("You are its admin. Type /enter team to talk there.",), 0.0)
    assert take(alice, bob, carol) == [[made, yours], [made], []]
    assert kept(world) == [group()]
    assert world.hub.groups.rooms() == (TEAM,)


def test_create_refused(clock: Clock) -> None:
    """A name is a group's once, in any case; and nobody is the admin of more than so many."""
    world = stored_world(clock, groups_each=2)
    alice, _ = team(world, "alice", "bob")
    assert world.ask(alice, "create TEAM") == [Refused("group_exists", "team exists already.", 0.0)]
    world.ask(alice, "create second")
    many = "You are the admin of 2 groups; that is as many as may be."
    assert world.ask(alice, "create third") == [Refused("too_many", many, 0.0)]
    everybody_goes(world)


def test_no_evading_the_limit_by_transfer(clock: Clock) -> None:
    """Who has as many groups as may be isn't handed another; the same one he may have again."""
    world = stored_world(clock, groups_each=1)
    alice, bob = team(world, "alice", "bob")
    world.ask(bob, "create other")
    text = "bob is the admin of 1 groups; that is as many as may be."
    assert world.ask(alice, "transfer bob") == [Refused("too_many", text, 0.0)]
    text = "alice is the admin of the group team now."
    assert world.ask(alice, "transfer alice") == [announced(text)]
    everybody_goes(world)


def test_wherever_they_are(world: World) -> None:
    """Members hear a line in the lobby, in a channel and in its queue; others don't."""
    general = world.channel(capacity=1)
    alice = world.login("alice")
    bob, carol = world.login("bob", general), world.login("carol", general)
    dave = world.login("dave")
    world.ask(alice, "create team bob carol")
    take(alice, bob, carol, dave)
    alice.receive("group team hi")
    world.turn()
    assert take(alice, bob, carol, dave) == [heard(line("alice", "hi", 1))] * 3 + [[]]
    assert [row.here for row in now(world.hub.channels.rows())] == [1]


def test_talking(world: World) -> None:
    """Who has entered a group talks there until he goes to a channel, and isn't silent."""
    general = world.channel()
    alice, bob = team(world, "alice", "bob")
    assert world.ask(alice, "say one") == heard(line("alice", "one", 1))
    world.ask(alice, "switch general")
    assert world.ask(alice, "say two") == [
        f"{Said(general.name, Name('alice'), Text('two'), 0.0)}\n".encode()
    ]
    world.ask(alice, "enter team")
    take(alice, bob)
    world.clock.advance(60)
    assert world.ask(alice, "say three") == heard(line("alice", "three", 2, 60.0))
    world.clock.advance(60)
    assert alice.place is general
    text = "You are talking in the general channel again."
    assert world.ask(alice, "switch general") == told(text, at=120.0)


@pytest.mark.parametrize(
    "what",
    ["approve carol", "reject carol", "add carol", "expel carol", "forbid carol", "allow carol"],
)
def test_only_the_admin(world: World, what: str) -> None:
    """What is the admin's to do is refused to everybody else, and changes nothing."""
    _, bob = team(world, "alice", "bob")
    world.account("carol")
    text = "Only the admin of team can do that."
    assert world.ask(bob, what) == [Refused("not_admin", text, 0.0)]
    assert kept(world) == [group()]


def test_strangers(world: World) -> None:
    """Who is no member neither says anything in a group nor leaves it."""
    team(world, "alice", "bob")
    carol = world.login("carol")
    text = Refused("not_member", "You are not a member of team.", 0.0)
    assert world.ask(carol, "group team hi") == [text]
    carol.talk_in(world.hub.groups.find("team"))
    assert [world.ask(carol, what) for what in ("leave", "transfer bob")] == [[text]] * 2


def test_request_and_approve(world: World) -> None:
    """Who asks waits for the admin; approved, he hears the group and talks there at once."""
    alice, bob = team(world, "alice", "bob")
    carol = world.login("carol")
    take(carol)
    carol.receive("enter team")
    world.turn()
    asked = announced("carol has requested to join the group team.")
    waits = "Your request to join the group team waits for its admin."
    assert take(alice, bob, carol) == [[asked], [asked], told(waits)]
    assert world.ask(carol, "enter team") == [Refused("not_requested", waits, 0.0)]
    assert kept(world) == [group(requests=("carol",))]
    alice.receive("approve carol")
    world.turn()
    word = notice("carol", "You are a member of the group team now.")
    assert take(alice, bob, carol) == [
        [joined("carol")],
        [joined("carol")],
        [joined("carol"), *told("You are talking in the group team now."), word],
    ]
    assert world.ask(carol, "say hi") == heard(line("carol", "hi", 1))
    assert kept(world) == [group(members=("alice", "bob", "carol"), last=1)]


def test_approved_in_a_channel(world: World) -> None:
    """Who has gone on to a channel meanwhile goes on talking there."""
    general = world.channel()
    (alice,) = team(world, "alice")
    bob = world.login("bob", general)
    world.ask(bob, "enter team")
    world.ask(alice, "approve bob")
    assert (bob.group, bob.place) == (None, general)


def test_reject(world: World) -> None:
    """Who is rejected hears so, and may ask again."""
    alice, _ = team(world, "alice", "bob")
    carol = world.login("carol")
    nobody = Refused("not_requested", "carol has not requested to join team.", 0.0)
    assert [world.ask(alice, f"{verb} carol") for verb in ("approve", "reject")] == [[nobody]] * 2
    world.ask(carol, "enter team")
    take(alice, carol)
    assert world.ask(alice, "reject CAROL") == told("You have rejected the request of carol.")
    rejected = "Your request to join the group team was rejected."
    assert take(carol) == [[notice("carol", rejected)]]
    assert kept(world) == [group()]


def test_add_and_expel(world: World) -> None:
    """Who is added needn't have asked; who is expelled is out at once, and hears so later."""
    alice, bob = team(world, "alice", "bob")
    world.account("carol")
    assert world.ask(alice, "add carol") == [joined("carol")]
    member = Refused("not_requested", "carol is a member of team already.", 0.0)
    assert world.ask(alice, "add carol") == [member]
    take(alice, bob)
    alice.receive("expel bob")
    bob.receive("group team hi")
    alice.receive("say secret")
    world.turn()
    assert take(alice, bob) == [
        [left("bob"), *heard(line("alice", "secret", 1))],
        [
            notice("bob", "You have been expelled from the group team."),
            Refused("not_member", "You are not a member of team.", 0.0),
        ],
    ]
    lost = "You are not in the group team any more; that line was not sent."
    assert not bob.bare
    assert world.ask(bob, "say quit") == [Refused("not_now", lost, 0.0)]
    assert bob.bare
    gone = Refused("not_member", "bob is not a member of team.", 0.0)
    assert world.ask(alice, "expel bob") == [gone]
    own = Refused("forbidden", "You can't do that to yourself.", 0.0)
    assert [world.ask(alice, f"{verb} alice") for verb in ("expel", "forbid")] == [[own]] * 2
    assert world.ask(alice, "expel carol") == [left("carol")]
    assert kept(world) == [group(members=("alice",), last=1)]


def test_forbid_and_allow(world: World) -> None:
    """Who is forbidden is out and can't ask until he is allowed to."""
    alice, bob = team(world, "alice", "bob")
    carol = world.login("carol")
    world.ask(carol, "enter team")
    take(alice)
    assert world.ask(alice, "forbid carol") == told("carol can't join the group team any more.")
    assert world.ask(alice, "forbid bob") == [left("bob")]
    assert kept(world) == [group(members=("alice",), forbidden=("bob", "carol"))]
    refusal = Refused("forbidden", "You can't join the group team.", 0.0)
    assert [world.ask(session, "enter team") for session in (bob, carol)] == [[refusal]] * 2
    again = told("carol may ask to join the group team again.")
    assert world.ask(alice, "allow carol") == again
    wasnt = Refused("not_requested", "carol is not forbidden to join team.", 0.0)
    assert world.ask(alice, "allow carol") == [wasnt]
    world.ask(carol, "enter team")
    assert kept(world) == [group(members=("alice",), requests=("carol",), forbidden=("bob",))]


def test_transfer_and_leave(world: World) -> None:
    """An admin hands over before he leaves; the last who leaves ends the group."""
    alice, bob = team(world, "alice", "bob")
    first = "Hand the group over first: /transfer and a member's name."
    assert world.ask(alice, "leave") == [Refused("forbidden", first, 0.0)]
    nobody = Refused("not_member", "dave is not a member of team.", 0.0)
    assert world.ask(alice, "transfer dave") == [nobody]
    text = announced("bob is the admin of the group team now.")
    take(bob)
    assert world.ask(alice, "transfer bob") == [text]
    assert kept(world) == [group("bob")]
    assert take(bob) == [[text]]
    assert world.ask(alice, "leave") == told("You have left the group team.")
    assert take(bob) == [[left("alice")]]
    assert world.ask(bob, "leave") == told("You were the last: the group team is no more.")
    assert (kept(world), world.hub.groups.room(TEAM)) == ([], None)
    assert world.hub.groups.of(Key("bob")) == {}
    assert world.ask(bob, "enter team") == [Refused("no_such_group", "team does not exist.", 0.0)]


@pytest.mark.parametrize("again", ["team", "Team"])
def test_end_and_make_again_at_once(world: World, again: str) -> None:
    """A group that is made again while its end is being stored is a new one, and none is kept."""
    (alice,) = team(world, "alice")
    before = link_of(alice).audiences
    alice.receive("leave")
    for _ in range(3):
        alice.receive(f"create {again}")
        world.hub.groups.leave(alice, world.hub.groups.find(again))
    alice.receive(f"create {again}")
    world.turn()
    assert len(link_of(alice).audiences) == len(before)
    room = RoomName(f"@{again}")
    take(alice)
    seq = 1
    said = Said(room, Name("alice"), Text("hi"), 0.0, seq)
    assert world.ask(alice, f"group {again} hi") == heard(said)
    world.hub.groups.leave(alice, world.hub.groups.find(again))
    world.turn()
    assert (world.hub.groups.room(room), world.hub.groups.room(TEAM)) == (None, None)


def test_no_group(world: World) -> None:
    """What is no group's name is refused, and shown harmlessly."""
    alice = world.login("alice")
    text = "a\ufffdb does not exist."
    assert world.ask(alice, "enter a\x1bb") == [Refused("no_such_group", text, 0.0)]


def test_expelled_while_he_reads_his_mail(world: World) -> None:
    """Who is expelled while his mail is being told hears nothing of the group after that."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, bob)
    slow_store(world).slow = frozenset({"unread"})
    bob = world.login("bob")
    world.ask(alice, "say before")
    world.ask(alice, "expel bob")
    world.ask(alice, "say secret")
    take(bob)
    slow_store(world).proceed()
    world.ask(alice, "say more")
    lines = heard(line("alice", "before", 1))
    word = notice("bob", "You have been expelled from the group team.")
    sent = [event for event in take(bob)[0] if isinstance(event, bytes)]
    assert sent == lines
    assert word in world.store.lines[word.room]


def test_added_while_he_reads_his_mail(world: World) -> None:
    """Who is added while his mail is being told hears each line once."""
    (alice,) = team(world, "alice")
    world.account("bob")
    slow_store(world).slow = frozenset({"unread"})
    bob = world.login("bob")
    take(bob)
    world.ask(alice, "add bob")
    world.ask(alice, "say hi")
    slow_store(world).proceed()
    hi = line("alice", "hi", 1)
    sent = [event for event in take(bob)[0] if isinstance(event, bytes)]
    assert sent == [joined("bob"), *heard(hi)]


def test_forget(world: World) -> None:
    """Somebody whose account is gone is in no group; the next by name is admin after him."""
    alice, bob = team(world, "alice", "bob")
    dave = world.login("dave")
    world.ask(dave, "create alone")
    world.ask(dave, "enter team")
    take(alice, bob)
    for name in ("dave", "alice", "nobody"):
        world.hub.groups.forget(Key(name))
    world.turn()
    now_admin = announced("bob is the admin of the group team now.")
    assert take(alice, bob) == [[now_admin], [now_admin, left("alice")]]
    assert kept(world) == [group("bob", ("bob",))]


def test_only_members(world: World) -> None:
    """Who is no member of a closed server any more is out of everything."""
    alice, bob = team(world, "alice", "bob")
    now(world.hub.only_members(frozenset({Key("alice")})))
    world.turn()
    assert (kept(world), bob.name in now(world.hub.roster.online())) == (
        [group(members=("alice",))],
        False,
    )
    assert alice.group is not None


def test_sync(world: World) -> None:
    """A group has the members that are written down, the first as admin where there is none."""
    alice = world.login("alice")
    name = GroupName("team")
    for written, stored in [
        ([], []),
        (["alice", "bob"], [group()]),
        (["bob", "alice"], [group()]),
        (["carol", "bob"], [group("carol", ("bob", "carol"))]),
        (["dave"], [group("dave", ("dave",))]),
        ([], []),
    ]:
        for person in written:
            if Key(person) not in world.store.accounts:
                world.account(person)
        world.hub.groups.sync(name, map(Name, written))
        world.turn()
        assert kept(world) == stored
    assert world.hub.groups.of(Key("alice")) == {}
    assert alice.bare


def test_restart(world: World) -> None:
    """Everything is there after a restart, and members hear the group again."""
    alice, _ = team(world, "alice", "bob")
    world.ask(alice, "say one")
    later = stored_world(world.clock, world.store)
    alice = later.login("alice")
    assert later.ask(alice, "group team two") == heard(line("alice", "two", 2))
    everybody_goes(later)


CHANGES = {
    "create other": "alice",
    "approve carol": "alice",
    "reject carol": "alice",
    "add dave": "alice",
    "expel bob": "alice",
    "forbid bob": "alice",
    "forbid dave": "alice",
    "transfer bob": "alice",
    "leave": "bob",
    "enter team": "dave",
}


@pytest.mark.parametrize("change", CHANGES)
def test_not_stored(world: World, logged_errors: LoggedErrors, change: str) -> None:
    """Who changes what can't be stored hears so once or more; nothing is different."""
    alice, bob = team(world, "alice", "bob")
    carol, dave = world.login("carol"), world.login("dave")
    world.ask(carol, "enter team")
    before = kept(world)
    people = {"alice": alice, "bob": bob, "dave": dave}
    take(alice, bob)
    world.store.broken = True
    heard_of_it = world.ask(people[CHANGES[change]], change)
    assert set(map(repr, heard_of_it)) == {repr(NOT_STORED)}
    world.store.broken = False
    logged_errors.flush()
    assert kept(world) == before
    take(alice, bob, dave)
    bob.receive("group team still here")
    world.turn()
    expected = heard(line("bob", "still here", 1))
    assert take(alice, bob, carol, dave)[:2] == [expected, expected]
    assert take(dave) == [[]]
    assert [person.name for person in people.values() if world.hub.groups.of(Key(person.name))] == [
        "alice",
        "bob",
    ]


def test_end_not_stored(world: World, logged_errors: LoggedErrors) -> None:
    """A group whose end can't be stored is there still, and can be found."""
    (alice,) = team(world, "alice")
    world.store.broken = True
    assert NOT_STORED in world.ask(alice, "leave")
    world.store.broken = False
    logged_errors.flush()
    assert world.ask(alice, "group TEAM hi") == heard(line("alice", "hi", 1))


def test_entered_before_it_failed(world: World, logged_errors: LoggedErrors) -> None:
    """Who has entered a group that could not be made is in the lobby again."""
    alice = world.login("alice")
    world.store.broken = True
    alice.receive("create team")
    alice.receive("enter team")
    world.turn()
    logged_errors.flush()
    assert (alice.group, alice.adrift) == (None, "team")
    assert world.hub.groups.room(TEAM) is None


def test_changes_around_a_failed_one(world: World, logged_errors: LoggedErrors) -> None:
    """What is changed while a failed change is found out is stored or refused, never in between."""
    alice, bob = team(world, "alice", "bob")
    world.account("carol")
    store = slow_store(world)
    store.slow, store.broken = frozenset({"append"}), True
    alice.receive("add carol")
    world.turn()
    store.broken = False
    alice.receive("expel bob")
    store.slow = frozenset({"groups"})
    store.waiting.pop().callback(None)
    logged_errors.flush()
    assert world.ask(alice, "add carol") == [NOT_STORED]
    with pytest.raises(NotStored):
        world.hub.groups.sync(GroupName("team"), [Name("carol")])
    with pytest.raises(NotStored):
        world.hub.groups.forget(Key("alice"))
    store.proceed()
    world.turn()
    assert kept(world) == [group(members=("alice",))]
    found = world.hub.groups.find("team")
    assert (list(found.members), bob.group) == (["alice"], None)
    assert world.ask(alice, "add carol") == [joined("carol")]


def test_groups_that_cannot_be_read(world: World, logged_errors: LoggedErrors) -> None:
    """A group that can't be read again is tried until it can; till then nothing changes in it."""
    alice, _ = team(world, "alice", "bob")
    world.store.broken = slow_store(world).unreadable = True
    world.ask(alice, "expel bob")
    world.store.broken = False
    assert world.ask(alice, "say hi") == [NOT_STORED]
    slow_store(world).unreadable = False
    world.clock.advance(1)
    logged_errors.flush()
    assert world.ask(alice, "say hi") == heard(line("alice", "hi", 1, 1.0))


def test_same_name_in_another_case_after_a_failed_end(
    world: World, logged_errors: LoggedErrors
) -> None:
    """A group whose end failed is the one that stays, whatever was made in its place."""
    (alice,) = team(world, "alice")
    world.store.broken = True
    world.hub.groups.leave(alice, world.hub.groups.find("team"))
    store = slow_store(world)
    store.slow = frozenset({"append"})
    world.turn()
    store.broken = False
    world.hub.groups.create(alice, GroupName("Team"), [])
    store.proceed()
    world.turn()
    logged_errors.flush()
    assert world.hub.groups.find("team").room == TEAM
    assert [one.room for one in world.hub.groups.of(Key("alice")).values()] == [TEAM]
    assert world.hub.groups.room(RoomName("@Team")) is None


def test_told_of_a_new_group_while_away(world: World) -> None:
    """Who is made a member of a new group while he is away hears of it at his next login."""
    alice = world.login("alice")
    world.account("dave")
    world.ask(alice, "create other dave")
    dave = world.login("dave")
    lines = [line for event in take(dave)[0] if isinstance(event, Mailed) for line in event.lines]
    assert [line.text for line in lines] == ["alice has made the group other, with you in it."]


def test_groups_made_and_ended_without_end(world: World) -> None:
    """The numbers of the last groups that have ended are kept, and those of older ones let go."""
    world.hub.groups._most_gone = 2
    alice = world.login("alice")

    def say_in(group: str) -> list[int]:
        world.ask(alice, f"create {group}")
        world.ask(alice, f"enter {group}")
        world.ask(alice, "say hi")
        numbers = [one.last for one in now(world.store.groups())]
        world.ask(alice, "leave")
        return numbers

    assert [say_in(group) for group in ("a", "b", "c")] == [[1], [1], [1]]
    assert say_in("c") == [2]
    assert say_in("a") == [1]


def test_group_that_was_made_again_keeps_its_numbers(world: World) -> None:
    """A group that there is goes on counting, however many others have ended since."""
    world.hub.groups._most_gone = 1
    alice = world.login("alice")
    for typed in ("create a", "enter a", "say one", "leave", "create a", "group a two"):
        world.ask(alice, typed)
    for typed in ("create b", "enter b", "leave"):
        world.ask(alice, typed)
    world.ask(alice, "group a three")
    assert [(one.name, one.last) for one in now(world.store.groups())] == [("a", 3)]
