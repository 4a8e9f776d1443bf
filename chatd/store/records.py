"""Storing what the journal hands over: lines, and what changes groups and blocks.

The rule: all of it in one job and in its order, since a new member reads on from the line before;
a record that can't be stored is given back, and hurts no other.
"""

from collections.abc import Sequence
from typing import assert_never

import sqlalchemy as sa
from twisted.logger import Logger

from chatd.domain.events import Said
from chatd.domain.names import GROUP, Key, RoomName
from chatd.domain.records import (
    AccountRemoved,
    AdminSet,
    BlockSet,
    GroupEnded,
    GroupMade,
    Record,
    Standing,
    StandingSet,
)
from chatd.store.removal import remove_account
from chatd.store.rooms import BAD, NoRoom, Rooms, close_room, insert_lines, last_number, open_room
from chatd.store.tables import block, room, standing

_log = Logger()

Change = StandingSet | GroupMade | AdminSet | GroupEnded | BlockSet | AccountRemoved


def store(connection: sa.Connection, rooms: Rooms, records: Sequence[Record]) -> list[Record]:
    """Store records in their order, lines that follow each other together; return the bad ones."""
    failed: list[Record] = []
    lines: list[Said] = []
    for record in records:
        if isinstance(record, Said):
            lines.append(record)
            continue
        failed += insert_lines(connection, rooms, lines)
        lines = []
        if not _stored(connection, rooms, record):
            failed.append(record)
    failed += insert_lines(connection, rooms, lines)
    return failed


def _stored(connection: sa.Connection, rooms: Rooms, change: Change) -> bool:
    savepoint = connection.begin_nested()
    try:
        _change(connection, rooms, change)
    except BAD:
        savepoint.rollback()
        _log.failure("this can't be stored: {change}", change=change)
        return False
    savepoint.commit()
    return True


def _change(connection: sa.Connection, rooms: Rooms, change: Change) -> None:
    match change:
        case StandingSet(name, key, what):
            _set_standing(connection, _number(connection, rooms, name), key, what)
        case GroupMade(name, admin):
            open_room(connection, name, shown=name.removeprefix(GROUP), admin=admin)
        case AdminSet(name, admin):
            number = _number(connection, rooms, name)
            connection.execute(room.update().where(room.c.id == number).values(admin=admin))
        case GroupEnded(name):
            close_room(connection, rooms, _number(connection, rooms, name))
        case AccountRemoved(key):
            remove_account(connection, rooms, key)
        case BlockSet(blocker, blocked, on):
            t = block.c
            connection.execute(block.delete().where(t.blocker == blocker, t.blocked == blocked))
            if on:
                connection.execute(block.insert(), {"blocker": blocker, "blocked": blocked})
        case _:
            assert_never(change)


def _number(connection: sa.Connection, rooms: Rooms, name: RoomName) -> int:
    number = rooms.find(connection, name)
    if number is None:
        raise NoRoom(name)
    return number


def _set_standing(connection: sa.Connection, number: int, key: Key, what: Standing) -> None:
    """Let somebody be something to a group; who is it already has read as far as before."""
    t = standing.c
    theirs = (t.room == number) & (t.account == key)
    if connection.execute(sa.select(t.standing).where(theirs)).scalar() == what.value:
        return
    connection.execute(standing.delete().where(theirs))
    if what is not Standing.NONE:
        row = {
            "room": number,
            "account": key,
            "standing": what.value,
            "read_upto": last_number(connection, number),
        }
        connection.execute(standing.insert(), row)
