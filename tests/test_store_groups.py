"""One contract for every store: groups, inboxes, how far they are read, and blocks."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from chatd.domain.events import Said
from chatd.domain.names import GroupName, Key, Name, RoomName, inbox_room
from chatd.domain.records import (
    AdminSet,
    Blocks,
    BlockSet,
    GroupEnded,
    GroupMade,
    ReadUpTo,
    Record,
    Standing,
    StandingSet,
    StoredGroup,
)
from tests.conftest import LoggedErrors
from tests.stores import GENERAL, STORES, AnyStore, line, person, store_of
from tests.threads import Threads

TEAM, CREW = RoomName("@Team"), RoomName("@crew")
ALICE, BOB, CYD = Key("alice"), Key("bob"), Key("cyd")
INBOX = inbox_room(BOB)
ANY = 100

NOBODY = StoredGroup(GroupName("Team"), ALICE, (), (), (), 0)


@attrs.define(eq=False)
class Desk:
    """A store, and what the tests do with it."""

    store: AnyStore
    threads: Threads

    def append(self, *records: Record) -> None:
        """Store records, all of them."""
        assert self.threads.wait(self.store.append(records)) == []

    def refused(self, *records: Record) -> list[int]:
        """Store records; the places of those that can't be."""
        failed = self.threads.wait(self.store.append(records))
        return [place for place, one in enumerate(records) if any(one is bad for bad in failed)]

    def read(self, *read: ReadUpTo) -> None:
        """Note how far people have read."""
        self.threads.wait(self.store.save_read(read))

    def unread(
        self, key: Key = BOB, after: Mapping[RoomName, int] | None = None, lines: int = ANY
    ) -> list[Said]:
        """What somebody has not read."""
        found = self.threads.wait(self.store.unread(key, after or {}, lines))
        return list(found)

    def history(self, room: RoomName) -> list[Said]:
        """What was said in a room."""
        found = self.threads.wait(self.store.history(room, ANY))
        return list(found)

    def groups(self) -> list[StoredGroup]:
        """All groups."""
        found = self.threads.wait(self.store.groups())
        return list(found)

    def mailbox(self, key: Key = BOB) -> tuple[int, int]:
        """The state of an inbox."""
        return self.threads.wait(self.store.mailbox(key))

    def blocks(self, key: Key) -> Blocks:
        """Who blocks whom."""
        return self.threads.wait(self.store.blocks(key))


@pytest.fixture(params=STORES)
def desk(request: pytest.FixtureRequest, threads: Threads, tmp_path: Path) -> Iterator[Desk]:
    """Each store in turn, with three accounts."""
    with store_of(request.param, threads, tmp_path) as store:
        for name in ("Cyd", "Bob", "Alice"):
            threads.wait(store.add_account(person(name)))
        yield Desk(store, threads)


@pytest.fixture
def team(desk: Desk) -> Desk:
    """A store with an empty group, "Team", made by alice."""
    desk.append(GroupMade(TEAM, ALICE))
    return desk


def member(key: Key, room: RoomName = TEAM) -> StandingSet:
    """Somebody becomes a member."""
    return StandingSet(room, key, Standing.MEMBER)


def test_group_comes_back_as_it_was_stored(desk: Desk) -> None:
    """A group has its name as written, its admin, its people by name and its last line."""
    desk.append(
        GroupMade(TEAM, ALICE),
        member(CYD),
        member(ALICE),
        StandingSet(TEAM, BOB, Standing.REQUESTED),
        line(1, room=TEAM),
        line(2, room=TEAM),
        GroupMade(CREW, BOB),
        StandingSet(CREW, CYD, Standing.FORBIDDEN),
    )

    assert desk.groups() == [
        StoredGroup(GroupName("crew"), BOB, (), (), (Name("Cyd"),), 0),
        StoredGroup(GroupName("Team"), ALICE, (Name("Alice"), Name("Cyd")), (Name("Bob"),), (), 2),
    ]


def test_no_groups(desk: Desk) -> None:
    """Channels and inboxes are no groups."""
    desk.append(line(1), line(1, room=INBOX))
    assert desk.groups() == []


def test_standing_changes(team: Desk) -> None:
    """Somebody is one thing to a group at a time, and in the end nothing."""
    seen: list[StoredGroup] = []
    for standing in (Standing.REQUESTED, Standing.MEMBER, Standing.FORBIDDEN, Standing.NONE):
        team.append(StandingSet(TEAM, BOB, standing))
        seen += team.groups()

    bob = (Name("Bob"),)
    assert seen == [
        attrs.evolve(NOBODY, requests=bob),
        attrs.evolve(NOBODY, members=bob),
        attrs.evolve(NOBODY, forbidden=bob),
        NOBODY,
    ]


def test_standing_of_nobody_known(team: Desk) -> None:
    """Whoever was nothing to a group may be made nothing, and who has no account has no name."""
    team.append(StandingSet(TEAM, BOB, Standing.NONE), member(Key("nobody")))
    assert team.groups() == [NOBODY]


def test_another_admin(team: Desk) -> None:
    """A group has the admin who was set last."""
    team.append(AdminSet(TEAM, CYD), AdminSet(TEAM, BOB))
    assert team.groups() == [attrs.evolve(NOBODY, admin=BOB)]


def test_group_in_another_case(team: Desk, logged_errors: LoggedErrors) -> None:
    """A group is the same in any case: it can't be made twice, and keeps its first writing."""
    shouted = RoomName("@TEAM")
    assert team.refused(member(BOB, shouted), GroupMade(shouted, BOB)) == [1]
    team.append(line(1, room=shouted))

    found = attrs.evolve(NOBODY, members=(Name("Bob"),), last=1)
    assert team.groups() == [found]
    assert team.unread() == [line(1, room=TEAM)]
    logged_errors.flush()


def test_room_that_is_not_there(desk: Desk, logged_errors: LoggedErrors) -> None:
    """What is for a group that isn't there is given back; its neighbours are stored."""
    records: list[Record] = [
        line(1),
        line(1, room=TEAM),
        member(BOB),
        AdminSet(TEAM, BOB),
        GroupEnded(TEAM),
        line(2),
        line(1, room=INBOX),
    ]

    assert desk.refused(*records) == [1, 2, 3, 4]

    assert desk.groups() == []
    assert desk.history(TEAM) == []
    assert desk.history(GENERAL) == [line(1), line(2)]
    assert desk.history(INBOX) == [line(1, room=INBOX)]
    logged_errors.flush()


def test_ended_group_leaves_nothing(team: Desk, logged_errors: LoggedErrors) -> None:
    """A group that has ended is gone with its lines and members; other rooms are as before."""
    team.append(member(BOB), line(1, room=TEAM), line(1, room=INBOX), line(1))
    team.append(GroupEnded(TEAM))

    assert team.refused(line(2, room=TEAM)) == [0]
    assert team.groups() == []
    assert team.history(TEAM) == []
    assert team.unread() == [line(1, room=INBOX)]
    assert team.history(GENERAL) == [line(1)]
    logged_errors.flush()


def test_new_group_of_an_old_name(team: Desk) -> None:
    """A group that is made again has nothing of the one before, and no other room is mixed up."""
    team.append(member(BOB), line(1, "old", TEAM))
    team.append(GroupEnded(TEAM), GroupMade(CREW, BOB), GroupMade(RoomName("@team"), CYD))
    new = RoomName("@team")
    team.append(line(1, "crew's", CREW), line(1, "new", new), line(2, "as before", TEAM))

    assert team.unread() == []
    assert team.history(new) == [line(1, "new", new), line(2, "as before", new)]
    assert team.history(CREW) == [line(1, "crew's", CREW)]
    assert [(group.name, group.admin, group.members) for group in team.groups()] == [
        ("crew", BOB, ()),
        ("team", CYD, ()),
    ]


def test_lines_and_changes_in_one_batch(team: Desk) -> None:
    """A new member has yet to read what was said after he came, even within one batch."""
    before, after = line(1, "before", TEAM), line(2, "after", TEAM)
    team.append(before, member(BOB), after, line(1))

    assert team.unread() == [after]
    assert team.history(TEAM) == [before, after]


@pytest.mark.parametrize(
    ("standing", "left"),
    [(Standing.MEMBER, 3), (Standing.NONE, 0), (Standing.REQUESTED, 0), (Standing.FORBIDDEN, 0)],
)
def test_only_members_have_something_to_read(team: Desk, standing: Standing, left: int) -> None:
    """Who is no member any more has nothing to read; who is made one again keeps his place."""
    team.append(member(BOB), *(line(seq, room=TEAM) for seq in (1, 2, 3)))
    team.append(StandingSet(TEAM, BOB, standing))
    assert len(team.unread()) == left


def test_member_who_comes_back(team: Desk) -> None:
    """Who left and is let in again reads on from there, not from where he left."""
    team.append(member(BOB), line(1, room=TEAM), StandingSet(TEAM, BOB, Standing.NONE))
    team.append(line(2, room=TEAM), member(BOB), line(3, room=TEAM))
    assert team.unread() == [line(3, room=TEAM)]


def test_mailbox(desk: Desk) -> None:
    """An inbox has its last number and a count of what is not read, which is all at first."""
    assert desk.mailbox() == (0, 0)
    desk.append(*(line(seq, room=INBOX) for seq in (1, 2, 3)), line(1, room=inbox_room(CYD)))
    assert desk.mailbox() == (3, 3)

    desk.read(ReadUpTo(BOB, INBOX, 2))
    assert desk.mailbox() == (3, 1)
    assert desk.mailbox(CYD) == (1, 1)
    assert desk.mailbox(ALICE) == (0, 0)


def test_unread_is_in_order(desk: Desk) -> None:
    """Mail of all rooms is one list, oldest first: by time, then room, then number."""
    mine = [
        line(1, room=CREW, at=10.0),
        line(2, room=INBOX, at=11.0),
        line(1, room=TEAM, at=20.0),
        line(2, room=TEAM, at=20.0),
        line(2, room=CREW, at=20.0),
        line(1, room=INBOX, at=20.0),  # the clock was set back after this one
        line(3, room=INBOX, at=20.0),
    ]
    desk.append(
        GroupMade(CREW, ALICE), GroupMade(TEAM, ALICE), member(BOB), member(BOB, CREW), *mine
    )
    desk.append(line(1, room=inbox_room(CYD)), line(1))

    assert desk.unread() == mine
    assert desk.unread(lines=3) == mine[:3]
    assert desk.unread(lines=0) == []
    assert desk.unread(ALICE) == []


def test_unread_after_what_was_told(team: Desk) -> None:
    """What was told already is left out, though it isn't noted as read; nothing is read twice."""
    team.append(member(BOB), member(CYD))
    team.append(*(line(seq, room=room) for seq in (1, 2, 3) for room in (INBOX, TEAM)))
    team.read(ReadUpTo(BOB, TEAM, 2))

    assert team.unread(after={INBOX: 2, TEAM: 1}) == [line(3, room=TEAM), line(3, room=INBOX)]
    assert team.unread(after={INBOX: 9, TEAM: 9}) == []
    assert len(team.unread(CYD)) == 3


@pytest.mark.parametrize("room", [INBOX, TEAM])
def test_reading_goes_on_and_never_back(team: Desk, room: RoomName) -> None:
    """How far somebody has read only grows, whatever comes late."""
    team.append(member(BOB), *(line(seq, room=room) for seq in (1, 2, 3, 4)))

    left: list[list[int]] = []
    for seq in (2, 1, 2, 4, 3):
        team.read(ReadUpTo(BOB, room, seq))
        left.append([said.seq for said in team.unread()])

    assert left == [[3, 4], [3, 4], [3, 4], [], []]


def test_reading_of_no_member(team: Desk) -> None:
    """Who is no member of a group does not become one by reading; a group that is gone is none."""
    team.append(StandingSet(TEAM, CYD, Standing.REQUESTED), line(1, room=TEAM))
    team.read(ReadUpTo(BOB, TEAM, 1), ReadUpTo(CYD, TEAM, 1), ReadUpTo(BOB, CREW, 1))
    assert team.groups() == [attrs.evolve(NOBODY, requests=(Name("Cyd"),), last=1)]

    team.append(member(BOB), line(2, room=TEAM))
    assert team.unread() == [line(2, room=TEAM)]


def test_several_read_at_once(team: Desk) -> None:
    """What many have read is noted together, an inbox that is still empty as well."""
    team.append(member(BOB), member(CYD), line(1, room=TEAM), line(1, room=INBOX))
    theirs = inbox_room(CYD)
    team.read(ReadUpTo(BOB, TEAM, 1), ReadUpTo(BOB, INBOX, 1), ReadUpTo(CYD, theirs, 1))
    team.append(line(1, room=theirs), line(2, room=theirs))

    assert team.unread() == []
    assert team.unread(CYD) == [line(1, room=TEAM), line(2, room=theirs)]


def test_blocks(desk: Desk) -> None:
    """Who blocks whom is known from both sides; twice is once, and what is taken back is gone."""
    desk.append(BlockSet(ALICE, BOB, True), BlockSet(ALICE, CYD, True), BlockSet(BOB, ALICE, True))
    desk.append(BlockSet(ALICE, BOB, True))
    assert desk.blocks(ALICE) == Blocks(frozenset({BOB, CYD}), frozenset({BOB}))
    assert desk.blocks(CYD) == Blocks(frozenset(), frozenset({ALICE}))

    desk.append(BlockSet(ALICE, BOB, False), BlockSet(CYD, BOB, False))
    assert desk.blocks(ALICE) == Blocks(frozenset({CYD}), frozenset({BOB}))
    assert desk.blocks(BOB) == Blocks(frozenset({ALICE}), frozenset())
