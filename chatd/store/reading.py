"""What is read of rooms and people: history, mail, groups, blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from chatd.domain.events import Said
from chatd.domain.names import GroupName, Key, Name, RoomName, group_room, inbox_room
from chatd.domain.records import Blocks, Standing, StoredGroup
from chatd.domain.text import Text
from chatd.store.rooms import GROUP_KIND, is_room, last_number, read_upto
from chatd.store.tables import account, block, line, room, standing


def history(connection: sa.Connection, name: RoomName, lines: int) -> Sequence[Said]:
    """The last lines of a room, oldest first."""
    number = sa.select(room.c.id).where(is_room(name)).scalar_subquery()
    t = line.c
    last = (
        sa.select(t.author, t.text, t.at, t.seq)
        .where(t.room == number)
        .order_by(t.seq.desc())
        .limit(lines)
    )
    return [_said(name, row) for row in reversed(connection.execute(last).all())]


def mailbox(connection: sa.Connection, key: Key) -> tuple[int, int]:
    """The last number in an inbox, and how many of its lines are not read."""
    inbox = _inbox(connection, key)
    if inbox is None:
        return 0, 0
    number, read = inbox
    waiting = sa.select(sa.func.count()).where(line.c.room == number, line.c.seq > read)
    return last_number(connection, number), connection.execute(waiting).scalar() or 0


def unread(
    connection: sa.Connection, key: Key, after: Mapping[RoomName, int], lines: int
) -> Sequence[Said]:
    """Lines not read yet, of the inbox and of every group of a member, the oldest first.

    One query a room, each along the primary key: there are few rooms, and a row is its lines.
    """
    t = line.c
    found: list[Said] = []
    for name, (number, read) in _places(connection, key).items():
        waiting = (
            sa.select(t.author, t.text, t.at, t.seq)
            .where(t.room == number, t.seq > max(read, after.get(name, 0)))
            .order_by(t.at, t.seq)
            .limit(lines)
        )
        found += [_said(name, row) for row in connection.execute(waiting)]
    found.sort(key=lambda said: (said.at, said.room, said.seq))
    return found[:lines]


def groups(connection: sa.Connection) -> Sequence[StoredGroup]:
    """All groups, each with its people in the order of their names."""
    t = standing.c
    query = (
        sa.select(t.room, t.standing, account.c.name)
        .join(account, account.c.key == t.account)
        .order_by(account.c.key)
    )
    people: dict[tuple[int, Standing], list[Name]] = {}
    for number, what, person in connection.execute(query):
        people.setdefault((number, Standing(what)), []).append(person)
    last = sa.select(sa.func.max(line.c.seq)).where(line.c.room == room.c.id).scalar_subquery()
    made = sa.select(room.c.id, room.c.shown, room.c.admin, last.label("last"))
    return [
        StoredGroup(
            GroupName(row.shown),
            Key(row.admin),
            tuple(people.get((row.id, Standing.MEMBER), ())),
            tuple(people.get((row.id, Standing.REQUESTED), ())),
            tuple(people.get((row.id, Standing.FORBIDDEN), ())),
            row.last or 0,
        )
        for row in connection.execute(made.where(room.c.kind == GROUP_KIND).order_by(room.c.name))
    ]


def blocks(connection: sa.Connection, key: Key) -> Blocks:
    """Whom somebody blocks, and by whom he is blocked."""
    t = block.c
    blocked = connection.execute(sa.select(t.blocked).where(t.blocker == key)).scalars()
    blocked_by = connection.execute(sa.select(t.blocker).where(t.blocked == key)).scalars()
    return Blocks(frozenset(map(Key, blocked)), frozenset(map(Key, blocked_by)))


def _places(connection: sa.Connection, key: Key) -> dict[RoomName, tuple[int, int]]:
    """The rooms that somebody reads, each with its number and how far it is read."""
    t = standing.c
    member = (t.account == key) & (t.standing == Standing.MEMBER.value)
    query = (
        sa.select(room.c.shown, room.c.id, t.read_upto)
        .join(standing, t.room == room.c.id)
        .where(member, room.c.kind == GROUP_KIND)
    )
    places = {
        group_room(GroupName(shown)): (number, read)
        for shown, number, read in connection.execute(query)
    }
    inbox = _inbox(connection, key)
    if inbox is not None:
        places[inbox_room(key)] = inbox
    return places


def _inbox(connection: sa.Connection, key: Key) -> tuple[int, int] | None:
    """The number of somebody's inbox and how far it is read; None where it never had a line."""
    query = sa.select(room.c.id).where(is_room(inbox_room(key)))
    number = connection.execute(query).scalar()
    return None if number is None else (number, read_upto(connection, number, key) or 0)


def _said(name: RoomName, row: sa.Row[*tuple[Any, ...]]) -> Said:
    return Said(name, Name(row.author), Text(row.text), row.at, row.seq)
