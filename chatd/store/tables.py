"""The schema. A change here is a new migration in ``migrations/versions`` and a new :data:`HEAD`.

A message is one row wherever it is read: its place is (room, seq), and each room counts its own.
The primary key *is* the table (``WITHOUT ROWID``), so a line costs one B-tree, not two. Mail is no
second copy of a line: it is the lines past ``standing.read_upto``.
"""

from typing import Final

import sqlalchemy as sa

HEAD: Final = "0004"
"""The migration that makes this schema; a test compares it with the scripts."""

metadata: Final = sa.MetaData()

account: Final = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("skeleton", sa.String, nullable=False, unique=True),
    sa.Column("mail", sa.String, unique=True),
    sa.Column("password", sa.String, nullable=False),
    sa.Column("role", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("last_login", sa.Float, index=True),
)

room: Final = sa.Table(
    "room",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("shown", sa.String),
    sa.Column("admin", sa.String),
    sa.UniqueConstraint("kind", "name"),
)
"""``kind`` is channel, group or inbox, ``name`` the key. Only a group has ``shown``, its name as
written by its maker, and ``admin``, an account's key."""

line: Final = sa.Table(
    "line",
    metadata,
    sa.Column("room", sa.Integer, sa.ForeignKey("room.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("text", sa.String, nullable=False),
    sqlite_with_rowid=False,
)

standing: Final = sa.Table(
    "standing",
    metadata,
    sa.Column("room", sa.Integer, sa.ForeignKey("room.id"), primary_key=True),
    sa.Column("account", sa.String, primary_key=True, index=True),
    sa.Column("standing", sa.Integer, nullable=False),
    sa.Column("read_upto", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""What an account (its key) is to a group, and the owner to his inbox: a member."""

block: Final = sa.Table(
    "block",
    metadata,
    sa.Column("blocker", sa.String, primary_key=True),
    sa.Column("blocked", sa.String, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

ban: Final = sa.Table(
    "ban",
    metadata,
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
"""``target`` is a name's key or a network; ``until`` 0 is for ever."""

mute: Final = sa.Table(
    "mute",
    metadata,
    sa.Column("channel", sa.String, primary_key=True),
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("until", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
"""``channel`` is its name as configured, ``account`` the key of an account or a guest."""

transfer: Final = sa.Table(
    "transfer",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("spool", sa.String, nullable=False),
    sa.Column("sender", sa.String, nullable=False),
    sa.Column("sender_name", sa.String, nullable=False),
    sa.Column("to", sa.String, nullable=False),
    sa.Column("room", sa.String),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("size", sa.Integer),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
    sa.Column("ticket", sa.String, nullable=False),
    sa.Column("ticket_expires", sa.Float, nullable=False),
    sqlite_autoincrement=True,
)
"""A file on its way. A number is never given twice: people type it."""

offer: Final = sa.Table(
    "offer",
    metadata,
    sa.Column("transfer", sa.Integer, sa.ForeignKey("transfer.id"), primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("ticket", sa.String, nullable=False),
    sa.Column("ticket_expires", sa.Float, nullable=False),
    sa.Column("upto", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

tries: Final = sa.Table(
    "tries",
    metadata,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("address", sa.String, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
