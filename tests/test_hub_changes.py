"""What a new configuration changes in the hub: channels, rules, and people's places."""

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NoSuchChannel
from chatd.domain.events import ChannelRow, Farewell, Queued, Seen, Watched, Welcomed
from chatd.domain.names import WATCHERS, Name, key_of, read_group_name
from chatd.domain.rooms import Channel
from chatd.domain.session import State
from tests.fakes import World, result_of, said, sent_to, told, wire
from tests.test_hub import joined

CLOSED = told("The channel general is closed.")


def change(world: World, channel: Channel, capacity: int = 100, afk: int = 100) -> None:
    """Let a channel have other numbers."""
    result_of(world.hub.channels.change(channel, capacity, afk))
    world.turn()


def close(world: World, channel: Channel) -> int:
    """Close a channel; how many people were in it or waited."""
    return result_of(world.hub.channels.close(channel))


def test_more_places(world: World) -> None:
    """Who waits is let into the new places of a channel, and is welcome as always."""
    general = world.channel(capacity=1)
    world.login("alice", general)
    bob, carol = world.login("bob", general), world.login("carol", general)
    for session in (bob, carol):
        sent_to(session)
    change(world, general, capacity=2)
    assert sent_to(bob) == [Welcomed(Name("bob"), general.name, "chatd", 0.0), joined("bob")]
    assert sent_to(carol) == [Queued(0, 0.0)]
    assert result_of(world.hub.channels.rows()) == (ChannelRow(general.name, 2, 2, 1),)


def test_fewer_places(world: World) -> None:
    """Nobody is put out of a channel that has fewer places now."""
    general = world.channel(capacity=2)
    alice, bob = world.login("alice", general), world.login("bob", general)
    change(world, general, capacity=1)
    assert [alice.state, bob.state] == [State.IN_ROOM, State.IN_ROOM]
    carol = world.login("carol", general)
    result_of(bob.leave())
    assert carol.state is State.WAITING


def test_less_silence(world: World, clock: Clock) -> None:
    """Silence that is too long now is counted from the change, so that it puts nobody out."""
    general, other = world.channel(afk=100), world.channel("other", afk=100)
    alice, bob = world.login("alice", general), world.login("bob", other)
    clock.advance(90)
    change(world, general, afk=10)
    clock.advance(9)
    assert [alice.state, bob.state] == [State.IN_ROOM, State.IN_ROOM]
    clock.advance(1)
    assert [alice.state, bob.state] == [State.CLOSING, State.CLOSING]
    assert Farewell("You were silent for 10 seconds. Goodbye.", 100.0) in sent_to(alice)


@pytest.mark.parametrize(("before", "after"), [(0, 50), (10, 50)])
def test_more_silence(world: World, clock: Clock, before: int, after: int) -> None:
    """A bound on silence that is new, or longer, holds for those who are inside."""
    general = world.channel(afk=before)
    alice = world.login("alice", general)
    clock.advance(9)
    change(world, general, afk=after)
    clock.advance(49)
    assert [alice.state] == [State.IN_ROOM]
    clock.advance(1)
    assert [alice.state] == [State.CLOSING]


def test_any_silence(world: World, clock: Clock) -> None:
    """Where there is no bound any more, nobody is put out."""
    general = world.channel(afk=10)
    alice = world.login("alice", general)
    change(world, general, afk=0)
    clock.advance(1000)
    assert alice.state is State.IN_ROOM


def test_closed_channel(world: World, clock: Clock) -> None:
    """Who is in a channel that is closed, or waits for it, is in the lobby, and is told."""
    general = world.channel(capacity=1)
    alice, bob = world.login("alice", general), world.login("bob", general)
    other = world.login("carol")
    for session in (alice, bob, other):
        sent_to(session)
    assert close(world, general) == 2
    world.turn()
    assert [sent_to(session) for session in (alice, bob, other)] == [CLOSED, CLOSED, []]
    assert [alice.state, bob.state] == [State.LOBBY, State.LOBBY]
    assert alice.place is bob.place is None
    assert len(general.audience) == 0
    with pytest.raises(NoSuchChannel):
        world.hub.channels.find("general")
    clock.advance(1000)  # nobody is too silent in a lobby


def test_last_words_in_a_closed_channel(world: World) -> None:
    """What was said before a channel was closed is heard by all, and nothing after it."""
    general = world.channel()
    alice, bob = world.login("alice", general), world.login("bob", general)
    for session in (alice, bob):
        sent_to(session)
    alice.receive("say hello")
    close(world, general)
    assert world.hub.channels.is_ending(general.name)
    world.turn()
    assert not world.hub.channels.is_ending(general.name)
    assert sent_to(alice) == sent_to(bob) == [said("alice", "hello", 1), *CLOSED]


def test_at_a_closed_door(world: World) -> None:
    """Who is about to log in at a closed channel's door comes into the lobby."""
    general, other = world.channel(), world.channel("other")
    alice, bob = world.connect(general), world.connect(other)
    world.account("alice")
    assert close(world, general) == 0
    assert (alice.home, bob.home) == (None, other)
    alice.receive("login alice|secret")
    world.turn()
    assert alice.state is State.LOBBY


def test_watched(world: World) -> None:
    """Operators who watch see who leaves a channel because it is closed; who waits leaves none."""
    general = world.channel(capacity=1)
    world.login("alice", general)
    world.login("bob", general)
    watching = world.login("carol")
    world.hub.watch.let(watching.link, on=True)
    world.turn()
    sent_to(watching)
    close(world, general)
    world.turn()
    assert sent_to(watching) == [wire(Watched(WATCHERS, Seen.LEAVE, "alice", "general", 0.0))]


def test_channel_that_comes_back(world: World) -> None:
    """A channel of the same name as a closed one begins without its people."""
    general = world.channel()
    alice = world.login("alice", general)
    close(world, general)
    world.turn()
    again = world.channel()
    bob = world.login("bob", again)
    sent_to(alice)
    bob.receive("say hello")
    world.turn()
    assert sent_to(alice) == []
    assert world.hub.channels.find("general") is again


def test_order(world: World) -> None:
    """Channels are listed as they are configured."""
    general, other = world.channel(), world.channel("other")
    world.hub.channels.order([other, general])
    assert world.hub.channels.all() == (other, general)
    assert [row.name for row in result_of(world.hub.channels.rows())] == ["other", "general"]


def test_rules(world: World) -> None:
    """Every limit of people and rooms is that of the new rules."""
    rules = attrs.evolve(world.rules, mailbox_lines=1, groups_each=2, server="other")
    world.hub.go_by(rules)
    assert world.hub.rules is rules
    assert (world.hub.mail.most, world.hub.groups.most) == (1, 2)


def test_no_members_any_more(world: World) -> None:
    """A server that was closed lets everybody in; the groups of its file go on as their own."""
    alice = world.account("alice")
    team = read_group_name("team")
    everybody = frozenset({alice.key})
    result_of(world.hub.keep_members(everybody, {key_of(team): (alice.name,)}))
    world.hub.forget_members()
    assert world.hub.members is None
    result_of(world.hub.keep_members(everybody, {}))
    assert str(world.hub.groups.find("team").name) == "team"
