"""Which row a room is, and the lines in it: the writer's half.

The rule: the number of a room's row is known only in the writer's thread, and only as long as the
transaction that gave it isn't undone. Readers find a room by its name.
"""

from collections.abc import Iterable
from typing import Any, Final

import attrs
import sqlalchemy as sa
from twisted.logger import Logger

from chatd.domain.events import Said
from chatd.domain.names import GROUP, INBOX, ChannelName, GroupName, RoomName, key_of
from chatd.domain.records import ReadUpTo, Standing
from chatd.store.tables import line, room, standing

_log = Logger()

CHANNEL_KIND: Final = "channel"
GROUP_KIND: Final = "group"
INBOX_KIND: Final = "inbox"

_INSERT: Final = "INSERT INTO line (room, seq, author, at, text) VALUES (?, ?, ?, ?, ?)"
_PRUNED_AT_ONCE: Final = 1000  # lines in one job, so that a long clean-up holds nobody up


class NoRoom(Exception):
    """There is no such room."""


BAD: Final = (
    sa.exc.IntegrityError,
    sa.exc.DataError,
    sa.exc.InterfaceError,
    UnicodeError,
    NoRoom,
)
"""What says that a row is bad. On any other error the whole transaction goes: on a full disk SQLite
has ended it already, and to go back to a savepoint would only hide the cause."""

Row = tuple[int | None, int, str, float, str]


@attrs.define(eq=False)
class Rooms:
    """Knows the rows of rooms that were used of late; for the writer's thread alone."""

    _most: int = 10_000
    _known: dict[RoomName, int] = attrs.field(factory=dict)

    def find(self, connection: sa.Connection, name: RoomName) -> int | None:
        """The number of a room's row, or None where it has none."""
        number = self._known.get(name)
        if number is None:
            number = connection.execute(sa.select(room.c.id).where(is_room(name))).scalar()
            if number is not None:
                if len(self._known) >= self._most:
                    self._known.clear()
                self._known[name] = number
        return number

    def place(self, connection: sa.Connection, name: RoomName) -> int | None:
        """The same, but an inbox is made where there is none."""
        number = self.find(connection, name)
        if number is None and name.startswith(INBOX):
            number = open_room(connection, name)
        return number

    def forget(self) -> None:
        """Look everything up again: rows are gone, or were never there."""
        self._known.clear()


def kind_and_key(name: RoomName) -> tuple[str, str]:
    """Under what a room is stored."""
    if name.startswith(GROUP):
        return GROUP_KIND, key_of(GroupName(name.removeprefix(GROUP)))
    if name.startswith(INBOX):
        return INBOX_KIND, name.removeprefix(INBOX)
    return CHANNEL_KIND, key_of(ChannelName(name))


def is_room(name: RoomName) -> sa.ColumnElement[bool]:
    """Whether a row of the rooms is that of this one."""
    kind, key = kind_and_key(name)
    return (room.c.kind == kind) & (room.c.name == key)


def open_room(connection: sa.Connection, name: RoomName, **more: str) -> int:
    """Add a room's row; return its number."""
    kind, key = kind_and_key(name)
    added = connection.execute(room.insert(), {"kind": kind, "name": key, **more})
    return number_of(added)


def close_room(connection: sa.Connection, rooms: Rooms, number: int) -> None:
    """Forget a room, its lines, and what everybody was to it."""
    rooms.forget()  # SQLite may give the next room the same number
    connection.execute(line.delete().where(line.c.room == number))
    connection.execute(standing.delete().where(standing.c.room == number))
    connection.execute(room.delete().where(room.c.id == number))


def number_of(inserted: sa.CursorResult[Any]) -> int:
    """The number that the database gave a new row."""
    key = inserted.inserted_primary_key
    assert key is not None
    number: int = key[0]
    return number


def last_number(connection: sa.Connection, number: int) -> int:
    """The number of a room's last line; 0 where it has none."""
    highest = sa.select(sa.func.max(line.c.seq)).where(line.c.room == number)
    last: int = connection.execute(highest).scalar() or 0
    return last


def read_upto(connection: sa.Connection, number: int, account: str) -> int | None:
    """How far a member has read a room; None for whoever is none."""
    query = sa.select(standing.c.read_upto).where(_is_member(number, account))
    return connection.execute(query).scalar()


def insert_lines(connection: sa.Connection, rooms: Rooms, lines: list[Said]) -> list[Said]:
    """Store lines; return those that can't be. One in a room that isn't there is one of them."""
    numbers = {name: rooms.place(connection, name) for name in {said.room for said in lines}}
    rows: list[Row] = [
        (numbers[said.room], said.seq, said.author, said.at, said.text) for said in lines
    ]
    return [lines[place] for place in _insert(connection, rows)] if rows else []


def _insert(connection: sa.Connection, rows: list[Row]) -> list[int]:
    """Insert rows, one by one where together they fail; return the places of those that can't be.

    The driver's own executemany: Core's costs 3-4 us a row more (LIBRARIES.md 3).
    """
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(_INSERT, rows)
    except BAD:
        savepoint.rollback()
        if len(rows) == 1:
            _log.failure("a line can't be stored")
            return [0]
        return [place for place, row in enumerate(rows) if _insert(connection, [row])]
    savepoint.commit()
    return []


def save_read(connection: sa.Connection, rooms: Rooms, read: Iterable[ReadUpTo]) -> None:
    """Move the places of members, never backwards; the owner of an inbox always is one."""
    for one in read:
        number = rooms.place(connection, one.room)
        if number is None:
            continue
        before = read_upto(connection, number, one.key)
        if before is None and one.room.startswith(INBOX):
            row = {
                "room": number,
                "account": one.key,
                "standing": Standing.MEMBER.value,
                "read_upto": one.seq,
            }
            connection.execute(standing.insert(), row)
        elif before is not None and before < one.seq:
            moved = standing.update().where(_is_member(number, one.key))
            connection.execute(moved.values(read_upto=one.seq))


def prune(connection: sa.Connection, rooms: Rooms, name: RoomName, before: float, keep: int) -> int:
    """Forget some old lines of a room; return how many. See :meth:`SqlStore.prune`."""
    number = rooms.find(connection, name)
    if number is None:
        return 0
    t = line.c
    last = last_number(connection, number)
    surplus = last - keep if keep else 0
    if name.startswith(INBOX):
        owner = name.removeprefix(INBOX)
        surplus = min(surplus, read_upto(connection, number, owner) or 0)
    oldest = sa.select(t.seq, t.at).where(t.room == number).order_by(t.seq).limit(_PRUNED_AT_ONCE)
    old = [
        row.seq
        for row in connection.execute(oldest)
        if row.seq < last and (row.at < before or row.seq <= surplus)
    ]
    if old:
        # Each by its number: where the clock was set back, the old ones need not be the first.
        connection.execute(line.delete().where(t.room == number, t.seq.in_(old)))
    return len(old)


def _is_member(number: int, account: str) -> sa.ColumnElement[bool]:
    t = standing.c
    member = t.standing == Standing.MEMBER.value
    return (t.room == number) & (t.account == account) & member
