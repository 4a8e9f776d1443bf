"""What goes with an account: its inbox, what it was to groups, blocks, wrong passwords.

The rule: whoever takes the name later finds nothing of this. Bans and mutes stay, or a new account
would undo them; lines that were said stay in their rooms.
"""

import sqlalchemy as sa

from chatd.domain.names import Key, inbox_room
from chatd.store.rooms import Rooms, close_room
from chatd.store.tables import account, block, standing, tries


def remove_account(connection: sa.Connection, rooms: Rooms, key: Key) -> None:
    """Forget an account and all that is its own."""
    remove_inbox(connection, rooms, key)
    connection.execute(standing.delete().where(standing.c.account == key))
    connection.execute(block.delete().where((block.c.blocker == key) | (block.c.blocked == key)))
    connection.execute(tries.delete().where(tries.c.account == key))
    connection.execute(account.delete().where(account.c.key == key))


def remove_inbox(connection: sa.Connection, rooms: Rooms, key: Key) -> None:
    """Forget the messages that were sent to a name."""
    number = rooms.find(connection, inbox_room(key))
    if number is not None:
        close_room(connection, rooms, number)
