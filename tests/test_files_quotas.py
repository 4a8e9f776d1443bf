"""Quotas: how much one file, one person and all may have on the way, before and while it comes."""

from collections.abc import Iterator

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NoSpace, TooLarge
from chatd.domain.events import Way
from tests.fakes import FILE_RULES, World, result_of, sent_to
from tests.sending import (
    asked,
    begin,
    bring,
    claim,
    complete,
    fetch,
    file_store,
    files_world,
    heard,
    offered,
    put,
    send,
    stop,
    ticket_in,
    words,
)
from tests.stored import everybody_goes, take

MIB = 1024**2

FILE = "A file has at most 1000 bytes here."
USER = "Your files may have 2.0 KiB together."
TOTAL = "The server has no room for that file now."


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """A world with small quotas: 1000 bytes a file, 2 KiB a person, 3 KiB in all."""
    made = files_world(clock)
    made.hub.files.rules = attrs.evolve(
        FILE_RULES, file_bytes=1000, user_bytes=2048, total_bytes=3072, user_files=3, spare_bytes=0
    )
    yield made
    everybody_goes(made)


def test_before_it_comes(world: World) -> None:
    """A file that is too large by what its sender says is refused before a byte of it comes."""
    alice, carol = world.login("alice"), world.login("carol")
    world.account("bob")
    assert asked(world, alice, "send bob a 1001") == [FILE]
    send(world, alice, "bob a 1000")
    send(world, alice, "bob b 1000")
    assert asked(world, alice, "send bob c 49") == [USER]
    send(world, carol, "bob c 1000")
    assert asked(world, carol, "send bob d 73") == [TOTAL]
    send(world, carol, "bob d 72")
    assert len(world.store.transfers()) == 4


def test_number_of_files(world: World) -> None:
    """Nobody has more than so many files on the way, until one of them is gone."""
    alice = world.login("alice")
    world.account("bob")
    for name in "abc":
        send(world, alice, f"bob {name}")
    assert asked(world, alice, "send bob d") == ["You have 3 files on the way; /cancel one first."]
    world.ask(alice, "cancel 2")
    send(world, alice, "bob d")


@pytest.mark.parametrize("announced", ["", " 900"])
def test_while_it_comes(world: World, announced: str) -> None:
    """A file that turns out to be too large is stopped there, and what is here stays."""
    alice, _ = world.login("alice"), world.account("bob")
    given = send(world, alice, f"bob a{announced}")
    made = begin(world, given.ticket)
    bring(world, made, 900)
    for _ in range(2):
        with pytest.raises(TooLarge):
            bring(world, made, 101)
    stop(world, made)
    assert ticket_in(asked(world, alice, "get 1")).done == 900


def test_said_at_the_files_port(world: World) -> None:
    """A size that is told only with the upload is checked there, too."""
    alice, _ = world.login("alice"), world.account("bob")
    made = claim(world, send(world, alice, "bob a").ticket, Way.PUT)
    with pytest.raises(TooLarge, match=FILE):
        world.hub.files.begin(made, 0, 1001)
    world.hub.files.begin(made, 0, 1000)
    result_of(world.hub.files.release(made, 0))


def test_many_at_once(world: World) -> None:
    """Several uploads of one person together have no more than one after the other."""
    alice, _ = world.login("alice"), world.account("bob")
    made = [begin(world, send(world, alice, f"bob {name}").ticket) for name in "abc"]
    for one in made:
        bring(world, one, 600)
    bring(world, made[0], 248)
    for one in made:
        with pytest.raises(TooLarge, match=USER):
            bring(world, one, 1)
    world.ask(alice, "cancel 3")
    bring(world, made[0], 152)
    for one in made:
        stop(world, one)


def test_everybody_together(world: World) -> None:
    """Where everybody's files have all that there is, nobody's goes on."""
    sessions = [world.login(name) for name in ("alice", "carol", "dave", "erin")]
    world.account("bob")
    made = [begin(world, send(world, one, "bob a").ticket) for one in sessions]
    for one in made:
        bring(world, one, 768)
    for one in made:
        with pytest.raises(NoSpace):
            bring(world, one, 1)
    stop(world, made[0])
    world.ask(sessions[0], "cancel 1")
    bring(world, made[1], 1)
    for one in made:
        stop(world, one)


def test_given_back(world: World) -> None:
    """What is fetched, cancelled, refused or begun again takes nothing of the quotas any more."""
    alice, bob = world.login("alice"), world.login("bob")
    for _ in range(5):
        fetch(world, offered(world, alice, bob, "bob a"))
    put(world, send(world, alice, "bob a 900"), 900)
    world.ask(alice, "cancel 6")
    given = send(world, alice, "bob a")
    for _ in range(9):
        made = begin(world, given.ticket)
        bring(world, made, 1000)
        stop(world, made)
    assert world.hub.files._taken == {"alice": 1000}
    world.ask(alice, "cancel 7")
    assert not world.hub.files._taken


def test_no_more_than_is_there(world: World) -> None:
    """What counts after a break is what is really on the disk."""
    alice, _ = world.login("alice"), world.account("bob")
    made = begin(world, send(world, alice, "bob a").ticket)
    bring(world, made, 900)
    world.spool.files[made.transfer.spool] = 300
    stop(world, made)
    assert heard(alice) == [["a stopped at 300 bytes; /get 1 tells how to go on."]]
    assert world.hub.files._taken == {"alice": 300}


def test_promised_meanwhile(world: World) -> None:
    """Two who ask at one moment are not both promised the room that is left for one."""
    names = ("alice", "carol", "dave", "erin")
    sessions = [world.login(name) for name in names]
    world.account("bob")
    file_store(world).slow = frozenset({"add_transfer"})
    answers = [asked(world, one, "send bob a 1000") for one in sessions]
    assert answers == [[], [], [], [TOTAL]]
    file_store(world).proceed()
    world.turn()
    assert [ticket_in(told).size for told in heard(*sessions[:3])] == [1000] * 3
    assert world.hub.files._taken == dict.fromkeys(names[:3], 1000)


def test_not_stored(world: World) -> None:
    """Where a file can't be noted down there is none, and its room is free."""
    alice, bob = world.login("alice"), world.login("bob")
    take(bob)
    file_store(world).full = True
    told = asked(world, alice, "send bob a 1000")
    assert told == ["That could not be stored, and was not sent. Please try again later."]
    assert heard(bob) == [[]]
    assert not world.hub.files._taken
    file_store(world).full = False


def test_no_limits(world: World) -> None:
    """A limit of 0 is none."""
    world.hub.files.rules = attrs.evolve(
        FILE_RULES, file_bytes=0, user_bytes=0, total_bytes=0, user_files=0
    )
    alice, _ = world.login("alice"), world.account("bob")
    for number in range(30):
        send(world, alice, f"bob {number}.iso 10000000000")
    assert world.hub.files._taken == {"alice": 300_000_000_000}


def test_lower_limits(world: World) -> None:
    """Lower limits hold at once, and take nothing away that is here."""
    alice, bob = world.login("alice"), world.login("bob")
    fetching = offered(world, alice, bob, "bob a 100")
    made = begin(world, send(world, alice, "bob b 100").ticket)
    world.hub.files.rules = attrs.evolve(world.hub.files.rules, user_bytes=150)
    with pytest.raises(TooLarge):
        bring(world, made, 50)
    stop(world, made)
    fetch(world, fetching)
    put(world, ticket_in(asked(world, alice, "get 2")))
    assert ticket_in(words(sent_to(bob))).size == 100


# The disk.


@pytest.fixture
def disk(world: World) -> World:
    """The same without quotas, but with a disk of 100 MiB, of which 20 are to stay free."""
    world.hub.files.rules = attrs.evolve(
        FILE_RULES, file_bytes=0, user_bytes=0, total_bytes=0, spare_bytes=20 * MIB
    )
    world.spool.room = 100 * MIB
    return world


def test_room_on_the_disk(disk: World) -> None:
    """A file for which the disk has no room is refused before it comes."""
    alice, _ = disk.login("alice"), disk.account("bob")
    assert asked(disk, alice, f"send bob a {80 * MIB + 1}") == [TOTAL]
    given = send(disk, alice, f"bob a {80 * MIB}")
    disk.spool.room = 50 * MIB
    made = claim(disk, given.ticket, Way.PUT)
    with pytest.raises(NoSpace):
        disk.hub.files.begin(made, 0, None)
    result_of(disk.hub.files.release(made, 0))
    disk.spool.room = 19 * MIB
    assert asked(disk, alice, "send bob b") == [TOTAL]


def test_disk_that_fills_up(disk: World) -> None:
    """A disk on which the room gets short meanwhile stops an upload; what is here goes on later."""
    alice, bob = disk.login("alice"), disk.login("bob")
    given = send(disk, alice, "bob a")
    made = begin(disk, given.ticket)
    for _ in range(16):
        bring(disk, made, MIB)
    disk.spool.room = 20 * MIB
    with pytest.raises(NoSpace):
        bring(disk, made, MIB)
    stop(disk, made)
    with pytest.raises(NoSpace):
        bring(disk, begin(disk, given.ticket, 16 * MIB), 20 * MIB)
    disk.spool.room = 100 * MIB
    stop(disk, next(iter(disk.hub.files._parcels[1].busy.values())))
    made = begin(disk, given.ticket, 16 * MIB)
    bring(disk, made, 20 * MIB)
    complete(disk, made)
    assert ticket_in(words(sent_to(bob))).size == 36 * MIB


def test_room_for_the_rest(disk: World) -> None:
    """To go on with a file takes room for its rest only."""
    alice, _ = disk.login("alice"), disk.account("bob")
    given = send(disk, alice, f"bob a {60 * MIB}")
    made = begin(disk, given.ticket)
    for _ in range(50):
        bring(disk, made, MIB)
    stop(disk, made)
    disk.spool.room = 30 * MIB
    stop(disk, begin(disk, given.ticket, 50 * MIB))
    disk.spool.room = 30 * MIB - 1
    with pytest.raises(NoSpace):
        begin(disk, given.ticket, 50 * MIB)
    stop(disk, next(iter(disk.hub.files._parcels[1].busy.values())))
