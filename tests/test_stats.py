"""What operators can see of a running server: every number, and that it is the right one."""

from twisted.internet.task import Clock

from chatd.domain.limits import Gate
from chatd.domain.names import Key
from chatd.domain.records import Ban, Role
from chatd.journal import StoreJournal
from chatd.stats import Stats, stats_of
from tests.fakes import Notes, World, result_of
from tests.stored import everybody_goes, stored_world


def stats(world: World, gate: Gate, since: float = 0.0) -> Stats:
    """Everything that is counted."""
    journal = world.hub.journal
    assert isinstance(journal, StoreJournal)
    return result_of(stats_of(world.hub, journal, gate, since))


def test_a_new_server(clock: Clock) -> None:
    """Of a server that has just begun everything is 0, and every number has its name."""
    world = stored_world(clock)
    world.channel("general")
    found = stats(world, Gate(0, 0))
    assert set(found.values()) == {0}
    assert list(found) == [
        *("uptime", "open_connections", "online", "groups", "bans"),
        *("connections", "turned_away", "logins", "refusals", "drops", "incidents", "acts"),
        *("batches", "events", "told_bytes"),
        *("journal_waiting_events", "journal_waiting_bytes"),
        *("journal_commits", "journal_records", "journal_not_stored"),
        *("journal_commit_seconds", "journal_longest_commit"),
        *("channel_general_here", "channel_general_waiting"),
    ]


def test_a_busy_server(clock: Clock) -> None:
    """People, places, acts, refusals and lines are counted as they are."""
    world = stored_world(clock)
    general, gate = world.channel("general", capacity=2), Gate(0, 0)
    world.hub.journal.keep(general.name, 0)
    world.account("olga", role=Role.OPERATOR)
    clock.advance(5)
    olga, bob, _ = (world.login(name, general) for name in ("olga", "bob", "carol"))
    world.connect()
    gate.enter("10.0.0.1")
    for line in ("create team", "say hello", "whisper nobody hi", "bans", "kick nobody"):
        world.ask(olga, line)
    world.ask(bob, "say hi")
    world.hub.sanctions.ban(Ban(Key("eve"), 0.0, "", "olga", 0.0))
    found = stats(world, gate, since=2.0)
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert found["told_bytes"] > 0
    everybody_goes(world)


EXPECTED = {
    "uptime": 3.0,
    "open_connections": 1,
    "online": 3,
    "groups": 1,
    "bans": 1,
    "connections": 4,
    "logins": 3,
    "refusals": 2,
    "drops": 0,
    "incidents": 0,
    "acts": 2,
    "journal_waiting_events": 0,
    "journal_commits": 3,
    "journal_records": 4,
    "channel_general_here": 2,
    "channel_general_waiting": 1,
}


def test_incidents(world: World, notes: Notes) -> None:
    """The server's own mistakes are counted."""
    bob = world.login("bob")
    world.ask(bob, "crash")
    assert (world.hub.counts.incidents, world.incidents) == (1, [1])
