"""What only the real store does: reopening, pruning, bad rows and full disks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from twisted.internet.task import Clock

from chatd.domain.errors import NotStored
from chatd.domain.events import Joined, Refused, Said, Welcomed
from chatd.domain.names import ChannelName, Key, Name, RoomName, inbox_room
from chatd.domain.records import BlockSet, GroupMade, ReadUpTo, Record, Standing, StandingSet, Tries
from chatd.domain.text import Text
from chatd.journal import StoreJournal
from chatd.store.files import StoreError, open_database
from chatd.store.rooms import Rooms
from chatd.store.sql import SqlStore
from tests.conftest import LoggedErrors
from tests.fakes import World, link_of, spawn, wire
from tests.stores import GENERAL, WORK, line, person
from tests.threads import Threads, sql_store

TEAM, INBOX, OTHER = RoomName("@team"), RoomName("~bob"), RoomName("~cyd")
BOB_JOINS = StandingSet(TEAM, Key("bob"), Standing.MEMBER)

BIG = Text("x" * 20_000)
"""More than fits into the pages that a small database has."""


@pytest.fixture
def store(threads: Threads, tmp_path: Path) -> Iterator[SqlStore]:
    """A store with two rooms."""
    with sql_store(threads, tmp_path, GENERAL, WORK) as made:
        yield made


def fill_disk(store: SqlStore) -> None:
    """Let the database grow no more, as on a full disk."""
    _limit_pages(store, 1)  # SQLite takes what the file has already as the least


def free_disk(store: SqlStore) -> None:
    """Let the database grow again."""
    _limit_pages(store, 1_000_000)


def _limit_pages(store: SqlStore, pages: int) -> None:
    with store._database.writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def seqs(threads: Threads, store: SqlStore, room: RoomName = GENERAL) -> list[int]:
    """The numbers of the lines that a room has."""
    return [said.seq for said in threads.wait(store.history(room, 10_000))]


def append(threads: Threads, store: SqlStore, records: Sequence[Record]) -> None:
    """Store lines and other records."""
    assert threads.wait(store.append(records)) == []


def test_no_room_on_the_disk_at_the_start(threads: Threads, store: SqlStore) -> None:
    """A database that can't take a new channel stops the start with a sentence."""
    fill_disk(store)
    rooms = [ChannelName(RoomName(f"room{number}")) for number in range(1000)]
    with pytest.raises(StoreError, match=r"chatd.db: database or disk is full$"):
        store.open_rooms(rooms)


def test_more_channels(threads: Threads, store: SqlStore) -> None:
    """A channel that is opened later counts on from what was to be stored in it before."""
    new = ChannelName(RoomName("new"))
    assert threads.wait(store.open_more_rooms([new])) == {"new": 0}
    store.append([line(1, room=new), line(2, room=new)])
    assert threads.wait(store.open_more_rooms([GENERAL, new])) == {"general": 0, "new": 2}


def test_no_room_on_the_disk_for_more_channels(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """A running server is refused new channels where the database can't take them."""
    fill_disk(store)
    rooms = [ChannelName(RoomName(f"room{number}")) for number in range(1000)]
    with pytest.raises(NotStored):
        threads.wait(store.open_more_rooms(rooms))
    assert len(logged_errors.flush()) == 1
    free_disk(store)
    assert threads.wait(store.open_more_rooms(rooms[:1])) == {"room0": 0}


def test_settled(threads: Threads, store: SqlStore) -> None:
    """What was to be written before is there once the store has settled."""
    store.save_tries([Tries("bob", "10.0.0.1", 2, 0.0)])
    threads.wait(store.settled())
    assert store.tries() == [Tries("bob", "10.0.0.1", 2, 0.0)]


def test_everything_is_there_after_a_reopen(threads: Threads, tmp_path: Path) -> None:
    """Accounts, lines, counts and the rooms' numbers are the same in the next run."""
    with sql_store(threads, tmp_path, GENERAL, WORK) as store:
        alice = threads.wait(store.add_account(person("alice")))
        append(threads, store, [line(1), line(2), line(1, "there", WORK)])
        threads.wait(store.save_tries([Tries("bob", "", 3, 1060.0)]))

    with sql_store(threads, tmp_path) as store:
        # another order, and a new one: a room is known by its name
        assert store.open_rooms([WORK, ChannelName(RoomName("New")), GENERAL]) == {
            "work": 1,
            "New": 0,
            "general": 2,
        }
        assert threads.wait(store.account(alice.key)) == alice
        assert threads.wait(store.history(GENERAL, 10)) == [line(1), line(2)]
        assert threads.wait(store.history(WORK, 10)) == [line(1, "there", WORK)]
        assert store.tries() == [Tries("bob", "", 3, 1060.0)]


def test_room_written_in_another_case(threads: Threads, tmp_path: Path) -> None:
    """A channel whose name changes only its case keeps its history."""
    with sql_store(threads, tmp_path, GENERAL) as store:
        append(threads, store, [line(7)])

    shouted = ChannelName(RoomName("General"))
    with sql_store(threads, tmp_path) as store:
        assert store.open_rooms([shouted]) == {"General": 7}
        assert threads.wait(store.history(shouted, 10)) == [line(7, room=shouted)]


def test_stop_stores_what_waits(threads: Threads, tmp_path: Path) -> None:
    """What was handed to the store before it stops is in the database."""
    with sql_store(threads, tmp_path, GENERAL) as store:
        for seq in range(1, 2001):
            store.append([line(seq)])

    with sql_store(threads, tmp_path) as store:
        assert store.open_rooms([GENERAL]) == {"general": 2000}
        assert len(seqs(threads, store)) == 2000


def test_groups_are_there_after_a_reopen(threads: Threads, tmp_path: Path) -> None:
    """Groups, inboxes, places and blocks are the same in the next run."""
    with sql_store(threads, tmp_path) as store:
        append(threads, store, [GroupMade(TEAM, Key("bob")), BOB_JOINS])
        append(threads, store, [line(1, room=TEAM), line(2, room=TEAM), line(1, room=INBOX)])
        append(threads, store, [BlockSet(Key("bob"), Key("cyd"), True)])
        threads.wait(store.save_read([ReadUpTo(Key("bob"), TEAM, 1)]))
        before = threads.wait(store.groups())

    with sql_store(threads, tmp_path) as store:
        assert store.load_groups() == threads.wait(store.groups()) == before
        lines = [line(1, room=INBOX), line(2, room=TEAM)]
        assert threads.wait(store.unread(Key("bob"), {}, 10)) == lines
        assert threads.wait(store.mailbox(Key("bob"))) == (1, 1)
        assert threads.wait(store.blocks(Key("bob"))).blocked == {"cyd"}
        append(threads, store, [line(2, room=INBOX), line(3, room=TEAM)])


def test_prune_by_age(threads: Threads, store: SqlStore) -> None:
    """Lines older than a time go, those of other rooms stay."""
    append(threads, store, [line(seq, at=float(seq)) for seq in range(1, 11)])
    append(threads, store, [line(1, room=WORK, at=1.0), line(2, room=WORK, at=2.0)])

    assert threads.wait(store.prune(GENERAL, 5.0, 0)) == 4
    assert seqs(threads, store) == [5, 6, 7, 8, 9, 10]
    assert seqs(threads, store, WORK) == [1, 2]
    assert threads.wait(store.prune(GENERAL, 5.0, 0)) == 0


def test_prune_by_count(threads: Threads, store: SqlStore) -> None:
    """All but the last lines go, however young they are."""
    append(threads, store, [line(seq) for seq in range(1, 11)])

    assert threads.wait(store.prune(GENERAL, 0.0, 3)) == 7
    assert seqs(threads, store) == [8, 9, 10]
    assert threads.wait(store.prune(GENERAL, 0.0, 3)) == 0


def test_prune_keeps_the_last_line(threads: Threads, tmp_path: Path) -> None:
    """The last line stays however old it is, so that the numbers go on from it."""
    with sql_store(threads, tmp_path, GENERAL, WORK) as store:
        append(threads, store, [line(seq) for seq in range(1, 4)])
        assert threads.wait(store.prune(GENERAL, 9e9, 1)) == 2
        assert threads.wait(store.prune(GENERAL, 9e9, 1)) == 0
        assert threads.wait(store.prune(WORK, 9e9, 1)) == 0

    with sql_store(threads, tmp_path) as store:
        assert store.open_rooms([GENERAL]) == {"general": 3}
        assert seqs(threads, store) == [3]


def test_prune_where_the_clock_was_set_back(threads: Threads, store: SqlStore) -> None:
    """A line that isn't old stays, even where it stands before one that is."""
    times = {1: 10.0, 2: 500.0, 3: 20.0, 4: 30.0}
    append(threads, store, [line(seq, at=at) for seq, at in times.items()])

    assert threads.wait(store.prune(GENERAL, 100.0, 0)) == 2
    assert seqs(threads, store) == [2, 4]


def test_prune_goes_on_a_little_at_a_time(threads: Threads, store: SqlStore) -> None:
    """A long clean-up is done in several steps, which end with one that finds nothing."""
    append(threads, store, [line(seq) for seq in range(1, 2502)])

    steps: list[int] = []
    while not steps or steps[-1]:
        steps.append(threads.wait(store.prune(GENERAL, 9e9, 0)))

    assert steps == [1000, 1000, 500, 0]
    assert seqs(threads, store) == [2501]


def test_prune_of_an_inbox(threads: Threads, store: SqlStore) -> None:
    """Of an inbox only what is read goes by count; by age everything goes but the last line."""
    append(threads, store, [line(seq, room=INBOX, at=float(seq)) for seq in range(1, 11)])
    assert threads.wait(store.prune(INBOX, 0.0, 3)) == 0

    threads.wait(store.save_read([ReadUpTo(Key("bob"), INBOX, 4)]))
    assert threads.wait(store.prune(INBOX, 0.0, 3)) == 4
    assert seqs(threads, store, INBOX) == [5, 6, 7, 8, 9, 10]

    threads.wait(store.save_read([ReadUpTo(Key("bob"), INBOX, 9)]))
    assert threads.wait(store.prune(INBOX, 0.0, 3)) == 3
    assert threads.wait(store.prune(INBOX, 0.0, 0)) == 0
    assert threads.wait(store.prune(INBOX, 9e9, 0)) == 2
    assert seqs(threads, store, INBOX) == [10]
    assert threads.wait(store.mailbox(Key("bob"))) == (10, 1)


def test_prune_of_a_group(threads: Threads, store: SqlStore) -> None:
    """A group's lines go by count, read or not; a room that isn't there has none."""
    append(threads, store, [GroupMade(TEAM, Key("bob")), BOB_JOINS])
    append(threads, store, [line(seq, room=TEAM) for seq in range(1, 6)])

    assert threads.wait(store.prune(TEAM, 0.0, 2)) == 3
    assert seqs(threads, store, TEAM) == [4, 5]
    assert threads.wait(store.prune(RoomName("@crew"), 9e9, 1)) == 0
    assert threads.wait(store.prune(RoomName("~nobody"), 9e9, 1)) == 0


def test_rooms_made_on_a_full_disk(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """What a failed batch had made is not there afterwards, and is made anew by the next one."""
    batch: list[Record] = [line(1, room=INBOX), GroupMade(TEAM, Key("bob")), BOB_JOINS]
    batch.append(line(1, BIG, TEAM))
    fill_disk(store)
    with pytest.raises(Exception, match="database or disk is full"):
        threads.wait(store.append(batch))
    free_disk(store)

    # these take the numbers that the inbox and the group had
    append(threads, store, [GroupMade(RoomName("@crew"), Key("cyd")), line(1, room=OTHER)])
    assert threads.wait(store.append([line(2, room=TEAM)])) == [line(2, room=TEAM)]
    append(threads, store, batch)

    assert threads.wait(store.history(INBOX, 10)) == [line(1, room=INBOX)]
    assert threads.wait(store.history(OTHER, 10)) == [line(1, room=OTHER)]
    assert threads.wait(store.history(RoomName("@crew"), 10)) == []
    lines = [line(1, BIG, TEAM), line(1, room=INBOX)]
    assert threads.wait(store.unread(Key("bob"), {}, 10)) == lines
    assert len(logged_errors.flush()) == 1


def test_bad_change_fails_alone(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """In a batch, only the change that can't be stored is given back."""
    bad = StandingSet(TEAM, Key("\ud800"), Standing.MEMBER)
    batch: list[Record] = [GroupMade(TEAM, Key("bob")), bad, BOB_JOINS, line(1, room=TEAM)]

    assert threads.wait(store.append(batch)) == [bad]

    assert threads.wait(store.unread(Key("bob"), {}, 10)) == [line(1, room=TEAM)]
    assert len(logged_errors.flush()) == 1


def test_more_rooms_than_are_remembered(tmp_path: Path) -> None:
    """However many rooms there are, each is found, and few are remembered."""
    database = open_database("sqlite:///chatd.db", tmp_path)
    rooms = Rooms(most=3)
    names = [RoomName(f"~{number}") for number in range(10)]
    with database.writer.begin() as connection:
        numbers = [rooms.place(connection, name) for name in names]
        assert [rooms.find(connection, name) for name in names * 2] == numbers * 2
    assert len(set(numbers)) == 10
    assert len(rooms._known) == 2
    database.close()


def test_bad_line_fails_alone(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """In a batch, only the line that can't be stored is given back; its neighbours are stored."""
    append(threads, store, [line(1)])
    bad = [line(1, "its place is taken"), attrs.evolve(line(3), text=Text("\ud800"))]
    batch = [bad[0], line(2), bad[1], line(4)]

    assert threads.wait(store.append(batch)) == bad

    assert seqs(threads, store) == [1, 2, 4]
    assert threads.wait(store.history(GENERAL, 10))[0] == line(1)
    assert len(logged_errors.flush()) == 2


def test_same_line_twice(threads: Threads, store: SqlStore, logged_errors: LoggedErrors) -> None:
    """Of two equal lines in a batch the first is stored, and only the second given back."""
    first, second = line(1), line(1)

    failed = threads.wait(store.append([first, second]))

    assert [said is second for said in failed] == [True]
    assert seqs(threads, store) == [1]
    logged_errors.flush()


def test_full_disk_refuses_a_batch_and_later_takes_one(threads: Threads, store: SqlStore) -> None:
    """On a full disk a batch fails as a whole; once there is room, the next one is stored."""
    fill_disk(store)
    with pytest.raises(Exception, match="database or disk is full"):
        threads.wait(store.append([line(1), line(2, BIG)]))
    assert seqs(threads, store) == []

    free_disk(store)
    append(threads, store, [line(1), line(2, BIG)])
    assert seqs(threads, store) == [1, 2]


def test_full_disk_refuses_an_account(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """On a full disk a new account or password is refused politely, and logged."""
    alice = threads.wait(store.add_account(person("alice")))
    fill_disk(store)

    with pytest.raises(NotStored):
        threads.wait(store.add_account(attrs.evolve(person("bob"), password=BIG)))
    with pytest.raises(NotStored):
        threads.wait(store.set_password(alice, BIG))

    assert len(logged_errors.flush()) == 2
    free_disk(store)
    assert threads.wait(store.account(alice.key)) == alice
    assert threads.wait(store.account(person("bob").key)) is None


def test_broken_store_keeps_nobody_out(
    threads: Threads, store: SqlStore, logged_errors: LoggedErrors
) -> None:
    """What is only noted (a login, a place) is logged where it can't be, and no error."""
    gone = attrs.evolve(person("alice"), id=1)
    with store._database.writer.begin() as connection:
        connection.exec_driver_sql("DROP TABLE account")
        connection.exec_driver_sql("DROP TABLE tries")
        connection.exec_driver_sql("DROP TABLE standing")

    threads.wait(store.logged_in(gone, 5.0))
    threads.wait(store.save_tries([Tries("bob", "", 1, 0.0)]))
    threads.wait(store.save_read([ReadUpTo(Key("bob"), INBOX, 1)]))

    assert [event["log_format"] for event in logged_errors.flush()] == [
        "the store could not write",
        "a login was not noted",
        "a lock was not stored",
        "it was not noted what is read",
    ]


def test_mistake_in_a_job_is_no_refusal(threads: Threads, store: SqlStore) -> None:
    """An error that is neither a duplicate nor the disk's comes out as it is."""
    with pytest.raises(UnicodeEncodeError):
        threads.wait(store.add_account(attrs.evolve(person("alice"), password="\ud800")))

    assert threads.wait(store.account(person("alice").key)) is None


def test_full_disk_in_a_running_channel(
    threads: Threads, store: SqlStore, clock: Clock, logged_errors: LoggedErrors
) -> None:
    """A line that can't be stored is refused, shown to nobody, and the chat goes on."""
    world = World(clock)
    channel = world.channel()
    world.hub.journal = StoreJournal(clock, world.hub, store, spawn, {GENERAL: 0})
    alice, bob = world.login("alice", channel), world.login("bob", channel)
    world.turn()
    joined = wire(Joined(GENERAL, Name("bob"), 0.0))
    assert link_of(alice).take()[-1:] == [joined]
    assert Welcomed(Name("bob"), GENERAL, "chatd", 0.0) in link_of(bob).take()

    def say(text: str) -> None:
        alice.receive(f"say {text}")
        world.turn()
        threads.turn()

    fill_disk(store)
    say(BIG)
    text = "That could not be stored, and was not sent. Please try again later."
    assert link_of(alice).take() == [Refused("not_stored", text, 0.0)]
    assert link_of(bob).take() == []
    assert len(logged_errors.flush()) == 1

    free_disk(store)
    say("again")
    said = Said(GENERAL, Name("alice"), Text("again"), 0.0, 2)
    assert link_of(alice).take() == link_of(bob).take() == [wire(said)]
    assert threads.wait(store.history(GENERAL, 10)) == [said]

    for session in (alice, bob):
        spawn(session.lost())
    world.turn()


def test_inboxes(threads: Threads, store: SqlStore) -> None:
    """The store knows every inbox in which there is something."""
    hello = Said(inbox_room(Key("bob")), Name("alice"), Text("hello"), 0.0, 1)
    append(threads, store, [hello])
    assert threads.wait(store.inboxes()) == [inbox_room(Key("bob"))]
