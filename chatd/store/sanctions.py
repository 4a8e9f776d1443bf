"""Bans and mutes: both halves, the writer's and the readers'."""

from collections.abc import Sequence

import attrs
import sqlalchemy as sa

from chatd.domain.names import ChannelName, Key
from chatd.domain.records import Ban, Mute
from chatd.store.tables import ban, mute


def bans(connection: sa.Connection) -> list[Ban]:
    """All bans, the oldest first."""
    t = ban.c
    query = sa.select(t.target, t.until, t.reason, t.by, t.at).order_by(t.at, t.target)
    return [Ban(*row) for row in connection.execute(query)]


def mutes(connection: sa.Connection) -> list[Mute]:
    """All mutes."""
    t = mute.c
    return [Mute(*row) for row in connection.execute(sa.select(t.channel, t.account, t.until))]


def save_ban(connection: sa.Connection, new: Ban) -> None:
    """Store a ban over the one of the same target."""
    connection.execute(ban.delete().where(ban.c.target == new.target))
    connection.execute(ban.insert(), attrs.asdict(new))


def save_mute(connection: sa.Connection, new: Mute) -> None:
    """Store a mute over the one of the same person in the same channel."""
    _unmute(connection, new.room, new.key)
    row = {"channel": new.room, "account": new.key, "until": new.until}
    connection.execute(mute.insert(), row)


def forget(
    connection: sa.Connection, targets: Sequence[str], muted: Sequence[tuple[ChannelName, Key]]
) -> None:
    """Forget the bans of these targets, and these mutes."""
    for target in targets:
        connection.execute(ban.delete().where(ban.c.target == target))
    for channel, key in muted:
        _unmute(connection, channel, key)


def _unmute(connection: sa.Connection, channel: ChannelName, key: Key) -> None:
    t = mute.c
    connection.execute(mute.delete().where((t.channel == channel) & (t.account == key)))
