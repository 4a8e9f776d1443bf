"""Files on their way: both halves, the writer's and the reader's."""

from collections.abc import Sequence

import attrs
import sqlalchemy as sa

from chatd.domain.names import Key
from chatd.domain.records import Offer, Transfer
from chatd.store.rooms import number_of
from chatd.store.tables import offer, transfer


def transfers(connection: sa.Connection) -> list[tuple[Transfer, tuple[Offer, ...]]]:
    """All transfers with their offers, the oldest first."""
    found: dict[int, list[Offer]] = {}
    for row in connection.execute(sa.select(offer).order_by(offer.c.key)).mappings():
        values = dict(row)
        found.setdefault(values.pop("transfer"), []).append(Offer(**values))
    rows = connection.execute(sa.select(transfer).order_by(transfer.c.id)).mappings()
    return [(Transfer(**row), tuple(found.get(row["id"], ()))) for row in rows]


def add(connection: sa.Connection, new: Transfer, offers: Sequence[Offer]) -> Transfer:
    """Store a new transfer with its offers; return it with its id."""
    values = attrs.asdict(new, filter=lambda field, _: field.name != "id")
    number = number_of(connection.execute(transfer.insert(), values))
    for one in offers:
        connection.execute(offer.insert(), {"transfer": number, **attrs.asdict(one)})
    return attrs.evolve(new, id=number)


def change(connection: sa.Connection, changed: Transfer) -> None:
    """Store what has changed of a transfer."""
    same = transfer.c.id == changed.id
    connection.execute(transfer.update().where(same).values(attrs.asdict(changed)))


def change_offer(connection: sa.Connection, number: int, changed: Offer) -> None:
    """Store what has changed of an offer."""
    same = (offer.c.transfer == number) & (offer.c.key == changed.key)
    connection.execute(offer.update().where(same).values(attrs.asdict(changed)))


def remove_offer(connection: sa.Connection, number: int, key: Key) -> None:
    """Forget an offer."""
    same = (offer.c.transfer == number) & (offer.c.key == key)
    connection.execute(offer.delete().where(same))


def remove(connection: sa.Connection, number: int) -> None:
    """Forget a transfer and its offers."""
    connection.execute(offer.delete().where(offer.c.transfer == number))
    connection.execute(transfer.delete().where(transfer.c.id == number))
