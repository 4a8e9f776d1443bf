"""Blocks: who hears nothing of whom, and for how long."""

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NotStored
from chatd.domain.events import Broadcasted, Joined, Refused, Said
from chatd.domain.names import EVERYONE, ChannelName, Key, Name
from chatd.domain.records import Blocks, Role
from chatd.domain.text import Text
from tests.conftest import LoggedErrors
from tests.fakes import World, link_of, told, wire
from tests.stored import (
    direct,
    everybody_goes,
    heard,
    line,
    no,
    now,
    quit_,
    slow_store,
    stored_world,
    take,
    team,
)

GENERAL = ChannelName("general")


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world whose journal stores, and in which everybody may broadcast."""
    made = stored_world(clock)
    made.change(broadcast=Role.USER)
    yield made
    everybody_goes(made)


def spoken(name: str, text: str) -> bytes:
    """How the channel general reads a line."""
    return wire(Said(GENERAL, Name(name), Text(text), 0.0))


def broadcasted(name: str) -> bytes:
    """How everybody reads a broadcast."""
    return wire(Broadcasted(EVERYONE, Name(name), Text("news"), 0.0))


def test_room_lines_and_broadcasts(world: World) -> None:
    """Two people of whom one blocks the other hear nothing of each other, and a third hears all."""
    general = world.channel()
    alice, bob, carol = (world.login(name, general) for name in ("alice", "bob", "carol"))
    assert world.ask(alice, "block bob") == told("You have blocked bob.")
    take(alice, bob, carol)
    alice.receive("say from alice")
    bob.receive("say from bob")
    alice.receive("broadcast news")
    bob.receive("broadcast news")
    world.turn()
    of_alice = [spoken("alice", "from alice"), broadcasted("alice")]
    of_bob = [spoken("bob", "from bob"), broadcasted("bob")]
    everything = [*zip(of_alice, of_bob, strict=True)]
    assert take(alice, bob) == [of_alice, of_bob]
    assert sorted(map(repr, take(carol)[0])) == sorted(repr(x) for pair in everything for x in pair)
    world.ask(alice, "unblock bob")
    take(alice, bob)
    assert world.ask(bob, "say again") == [spoken("bob", "again")]
    assert take(alice) == [[spoken("bob", "again")]]


def test_others_are_written_to_once(world: World) -> None:
    """Who blocks nobody gets a batch in one write, however much others block."""
    general = world.channel()
    alice, bob, carol = (world.login(name, general) for name in ("alice", "bob", "carol"))
    world.ask(alice, "block bob")
    before = [link_of(session).writes for session in (alice, bob, carol)]
    carol.receive("say one")
    carol.receive("say two")
    world.turn()
    after = [link_of(session).writes for session in (alice, bob, carol)]
    assert [later - first for first, later in zip(before, after, strict=True)] == [1, 1, 1]


@pytest.mark.parametrize("what", ["whisper {} psst", "message {} psst"])
def test_whispers_and_messages(world: World, what: str) -> None:
    """Whispers and messages are refused both ways, online and offline."""
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    world.ask(alice, "block bob")
    by = Refused("blocked", "alice has blocked you.", 0.0)
    own = Refused("blocked", "You have blocked bob; /unblock comes first.", 0.0)
    assert world.ask(bob, what.format("alice")) == [by]
    assert world.ask(alice, what.format("bob")) == [own]
    quit_(world, alice)
    assert world.ask(bob, "message alice psst") == [by]
    assert world.store.lines == {}


def test_group_lines(world: World) -> None:
    """In a group too they hear nothing of each other, then or when they come back."""
    alice, bob = team(world, "alice", "bob")
    world.ask(alice, "block bob")
    assert world.ask(bob, "say hi") == heard(line("bob", "hi", 1))
    assert take(alice) == [[]]
    quit_(world, alice)
    world.ask(bob, "say secret")
    alice = world.login("alice")
    assert [event for event in take(alice)[0] if "secret" in str(event)] == []


def test_while_mail_is_read(world: World) -> None:
    """A block made while the mail is being told counts for what is held back, too."""
    alice, bob = team(world, "alice", "bob")
    quit_(world, alice)
    slow_store(world).slow = frozenset({"unread"})
    alice = world.login("alice")
    world.ask(bob, "block alice")
    take(alice)
    world.ask(bob, "say secret")
    slow_store(world).proceed()
    assert take(alice) == [[]]


def test_message_on_its_way(world: World) -> None:
    """A message that is being stored while its author is blocked isn't told."""
    alice, bob = world.login("alice"), world.login("bob")
    slow_store(world).slow = frozenset({"append"})
    bob.receive("message alice hi")
    world.turn()
    alice.receive("block bob")
    take(alice)
    slow_store(world).proceed()
    world.turn()
    assert take(alice) == [told("You have blocked bob.")]
    assert direct("bob", "alice", "hi", 1) in world.store.lines[direct("", "alice", "", 1).room]


def test_kept(world: World) -> None:
    """A block is there after the next login and after a restart, on both sides."""
    alice, bob = world.login("alice"), world.login("bob")
    world.ask(alice, "block bob")
    quit_(world, alice)
    quit_(world, bob)
    both = [
        Blocks(frozenset({Key("bob")}), frozenset()),
        Blocks(frozenset(), frozenset({Key("alice")})),
    ]
    assert [world.login(name).blocks for name in ("alice", "bob")] == both
    later = stored_world(world.clock, world.store)
    assert [later.login(name).blocks for name in ("alice", "bob")] == both
    everybody_goes(later)


@pytest.mark.parametrize("undone", ["", "unblock bob"])
def test_login_before_it_is_stored(world: World, undone: str) -> None:
    """A block that is still being stored counts for who logs in meanwhile."""
    alice = world.login("alice")
    world.account("bob")
    world.account("carol")
    if undone:
        world.ask(alice, "block bob")
    slow_store(world).slow = frozenset({"append"})
    alice.receive(undone or "block bob")
    world.turn()
    bob, carol = world.login("bob"), world.login("carol")
    by = frozenset() if undone else frozenset({Key("alice")})
    assert (bob.blocks.blocked_by, carol.blocks.blocked_by) == (by, frozenset())
    slow_store(world).proceed()
    world.turn()


def test_not_stored(world: World, logged_errors: LoggedErrors) -> None:
    """A block that can't be stored is refused, and they hear each other as before."""
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    world.store.broken = True
    assert world.ask(alice, "block bob") == [no(NotStored())]
    logged_errors.flush()
    world.store.broken = False
    assert world.ask(bob, "say hi") == [spoken("bob", "hi")]
    assert take(alice) == [[spoken("bob", "hi")]]
    assert link_of(alice).deaf_to == frozenset()


def test_coming_and_going_is_heard(world: World) -> None:
    """What only happens to somebody is heard by all, as it is no word of his."""
    general = world.channel()
    alice = world.login("alice", general)
    world.account("bob")
    world.ask(alice, "block bob")
    take(alice)
    world.login("bob", general)
    assert take(alice) == [[wire(Joined(GENERAL, Name("bob"), 0.0))]]


def test_blocks_of_nobody_else(world: World) -> None:
    """A change of two people's is no change of a third's."""
    blocks = Blocks(frozenset({Key("x")}), frozenset())
    assert world.hub.blocking.with_changes(Key("carol"), blocks) == blocks
    assert now(world.store.blocks(Key("carol"))) == Blocks(frozenset(), frozenset())


def test_as_many_as_may_be(world: World) -> None:
    """Nobody blocks more people than a list may have."""
    alice = world.login("alice")
    world.account("bob")
    alice.block(Blocks(frozenset(Key(f"x{n}") for n in range(1000)), frozenset()))
    many = "You have blocked 1000 people; that is as many as may be."
    assert world.ask(alice, "block bob") == [Refused("too_many", many, 0.0)]
