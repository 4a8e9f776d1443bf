"""One contract for every store: bans, mutes, roles, the list of accounts, and their removal."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from chatd.domain.names import Key, Name, RoomName, inbox_room
from chatd.domain.records import (
    AccountRemoved,
    AdminSet,
    Ban,
    Blocks,
    BlockSet,
    GroupMade,
    Mute,
    ReadUpTo,
    Record,
    Role,
    Standing,
    StandingSet,
    Tries,
)
from tests.stores import GENERAL, STORES, WORK, AnyStore, line, person, store_of
from tests.threads import Threads

ALICE, BOB, CYD = Key("alice"), Key("bob"), Key("cyd")
TEAM, INBOX = RoomName("@team"), inbox_room(BOB)
EVERYTHING = 1000

SPAM = Ban("bob", 1060.5, "spam \N{SNOWMAN}", "Olga", 1000.25)
FOR_EVER = Ban("10.0.0.0/8", 0.0, "", "Olga", 1001.0)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, threads: Threads, tmp_path: Path) -> Iterator[AnyStore]:
    """Each store in turn, empty, with two rooms."""
    with store_of(request.param, threads, tmp_path) as made:
        yield made


def test_bans_come_back(threads: Threads, store: AnyStore) -> None:
    """Bans come back as they were stored, in the order in which they were made."""
    assert store.sanctions() == ([], [])
    threads.wait(store.save_ban(FOR_EVER))
    threads.wait(store.save_ban(SPAM))
    assert store.sanctions() == ([SPAM, FOR_EVER], [])


def test_another_ban(threads: Threads, store: AnyStore) -> None:
    """A ban takes the place of an earlier one of the same target, and of no other."""
    for ban in (SPAM, FOR_EVER):
        threads.wait(store.save_ban(ban))
    again = Ban("bob", 0.0, "", "Dana", 2000.0)
    threads.wait(store.save_ban(again))
    assert store.sanctions() == ([FOR_EVER, again], [])


def test_mutes_come_back(threads: Threads, store: AnyStore) -> None:
    """A mute is one person's in one channel, and takes the place of an earlier one."""
    mutes = [Mute(GENERAL, BOB, 30.5), Mute(WORK, BOB, 40.0), Mute(GENERAL, ALICE, 50.0)]
    for mute in mutes:
        threads.wait(store.save_mute(mute))
    threads.wait(store.save_mute(Mute(GENERAL, BOB, 20.0)))
    bans, found = store.sanctions()
    assert bans == []
    assert sorted(found, key=repr) == sorted([Mute(GENERAL, BOB, 20.0), *mutes[1:]], key=repr)


def test_forgotten(threads: Threads, store: AnyStore) -> None:
    """What is forgotten is gone, nothing else is, and what isn't there hurts nobody."""
    for ban in (SPAM, FOR_EVER):
        threads.wait(store.save_ban(ban))
    for mute in (Mute(GENERAL, BOB, 30.0), Mute(WORK, BOB, 30.0)):
        threads.wait(store.save_mute(mute))
    threads.wait(store.forget_sanctions([], []))
    threads.wait(store.forget_sanctions(["bob", "eve"], [(GENERAL, BOB), (GENERAL, CYD)]))
    assert store.sanctions() == ([FOR_EVER], [Mute(WORK, BOB, 30.0)])


def test_role(threads: Threads, store: AnyStore) -> None:
    """A role changes for that account alone."""
    alice = threads.wait(store.add_account(person("alice")))
    bob = threads.wait(store.add_account(person("bob")))
    threads.wait(store.set_role(alice, Role.OPERATOR))
    assert threads.wait(store.account(ALICE)) == attrs.evolve(alice, role=Role.OPERATOR)
    assert threads.wait(store.account(BOB)) == bob
    threads.wait(store.set_role(alice, Role.USER))
    assert threads.wait(store.account(ALICE)) == alice


@pytest.mark.parametrize(
    ("containing", "names"),
    [
        ("", ["a.b", "a_b", "ab", "Ünal"]),
        ("a", ["a.b", "a_b", "ab", "Ünal"]),
        ("a_", ["a_b"]),
        ("a.", ["a.b"]),
        ("_", ["a_b"]),
        ("%", []),
        ("/", []),
        ("\\", []),
        ("ün", ["Ünal"]),
        ("b", ["a.b", "a_b", "ab"]),
        ("zz", []),
    ],
)
def test_accounts_like(
    threads: Threads, store: AnyStore, containing: str, names: list[str]
) -> None:
    """Accounts are found by any part of their name, and no character stands for others."""
    for name in ("ab", "Ünal", "a_b", "a.b"):
        threads.wait(store.add_account(person(name)))
    found, count = threads.wait(store.accounts_like(containing, EVERYTHING))
    assert ([account.name for account in found], count) == (names, len(names))
    assert all(type(account.role) is Role for account in found)


def test_the_first_accounts(threads: Threads, store: AnyStore) -> None:
    """Of many accounts the first by name are returned, and all are counted."""
    for name in ("cyd", "bob", "alice"):
        threads.wait(store.add_account(person(name)))
    found, count = threads.wait(store.accounts_like("", 2))
    assert ([account.name for account in found], count) == (["alice", "bob"], 3)


def test_removed(threads: Threads, store: AnyStore) -> None:
    """Who is removed isn't found any more, and the others are; what he said stays."""
    alice, bob = (
        threads.wait(store.add_account(person(name, mail=f"{name}@example.org", last_login=5.0)))
        for name in ("alice", "bob")
    )
    said = attrs.evolve(line(1), author=Name("bob"))
    assert threads.wait(store.append([said])) == []
    assert threads.wait(store.append([AccountRemoved(BOB)])) == []
    assert threads.wait(store.account(BOB)) is None
    assert threads.wait(store.account_by_mail("bob@example.org")) is None
    assert threads.wait(store.looks_like(bob.skeleton)) is None
    assert threads.wait(store.logins_since(0.0)) == ["alice"]
    assert threads.wait(store.account(ALICE)) == alice
    assert threads.wait(store.history(GENERAL, 9)) == [said]


def test_nothing_is_left_to_the_next_owner(threads: Threads, store: AnyStore) -> None:
    """Who has the name next has no messages, no groups, no blocks and no wrong passwords."""
    for name in ("alice", "bob", "cyd"):
        threads.wait(store.add_account(person(name, mail=f"{name}@example.org")))
    bob = threads.wait(store.account(BOB))
    assert bob is not None
    records: list[Record] = [
        GroupMade(TEAM, ALICE),
        *(StandingSet(TEAM, key, Standing.MEMBER) for key in (ALICE, BOB, CYD)),
        BlockSet(BOB, ALICE, True),
        BlockSet(CYD, BOB, True),
        BlockSet(CYD, ALICE, True),
        line(1, "psst", INBOX),
        line(2, "psst", INBOX),
        line(1, "to cyd", inbox_room(CYD)),
        line(1, "hi", TEAM),
    ]
    assert threads.wait(store.append(records)) == []
    threads.wait(store.save_read([ReadUpTo(BOB, INBOX, 1), ReadUpTo(BOB, TEAM, 1)]))
    tries = [Tries("bob", "10.0.0.1", 2, 0.0), Tries("bob", "", 2, 9.0), Tries("cyd", "", 1, 0.0)]
    threads.wait(store.save_tries(tries))
    threads.wait(store.save_ban(SPAM))
    threads.wait(store.save_mute(Mute(GENERAL, BOB, 30.0)))

    assert threads.wait(store.append([AccountRemoved(BOB)])) == []
    threads.wait(store.add_account(person("Bob", mail="bob@example.org")))

    assert threads.wait(store.mailbox(BOB)) == (0, 0)
    assert threads.wait(store.unread(BOB, {}, 9)) == []
    assert threads.wait(store.blocks(BOB)) == Blocks(frozenset(), frozenset())
    assert store.tries() == tries[2:]
    (team,) = threads.wait(store.groups())
    assert team.members == ("alice", "cyd")
    # The others keep theirs, and what he was forbidden he still is.
    assert threads.wait(store.blocks(CYD)) == Blocks(frozenset({ALICE}), frozenset())
    assert threads.wait(store.mailbox(CYD)) == (1, 1)
    assert store.sanctions() == ([SPAM], [Mute(GENERAL, BOB, 30.0)])


def test_what_came_too_late(threads: Threads, store: AnyStore) -> None:
    """What was sent to somebody in the moment of his removal isn't the next one's either."""
    threads.wait(store.add_account(person("bob")))
    assert threads.wait(store.append([AccountRemoved(BOB)])) == []
    assert threads.wait(store.append([line(1, "too late", INBOX)])) == []
    threads.wait(store.save_read([ReadUpTo(BOB, INBOX, 7)]))
    threads.wait(store.add_account(person("bob")))
    assert threads.wait(store.mailbox(BOB)) == (0, 0)
    assert threads.wait(store.append([line(1, "in time", INBOX)])) == []
    assert threads.wait(store.unread(BOB, {}, 9)) == [line(1, "in time", INBOX)]


def test_rooms_after_a_removal(threads: Threads, store: AnyStore) -> None:
    """An inbox that is gone lends its place to no other room: lines go where they belong."""
    threads.wait(store.add_account(person("bob")))
    assert threads.wait(store.append([line(1, "psst", INBOX)])) == []
    assert threads.wait(store.append([AccountRemoved(BOB)])) == []
    made: list[Record] = [GroupMade(TEAM, ALICE), AdminSet(TEAM, CYD), line(1, "hi", TEAM)]
    assert threads.wait(store.append([*made, line(1, "new", INBOX)])) == []
    assert threads.wait(store.history(TEAM, 9)) == [line(1, "hi", TEAM)]
    assert threads.wait(store.history(INBOX, 9)) == [line(1, "new", INBOX)]
