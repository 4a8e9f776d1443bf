"""The store: accounts, rooms, lines and locks in a SQL database.

The rule: this is the only module that the rest of chatd calls, and every method says on which
thread its queries run: reads on a few with connections that can't write, writes on the one
:class:`~chatd.store.writer.Writer`. The queries on rooms are in their own modules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
import sqlalchemy as sa
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from chatd.domain.errors import BadMail, ChatError, NameTaken, NotStored
from chatd.domain.events import Said
from chatd.domain.names import ChannelName, Key, Name, RoomName, inbox_room
from chatd.domain.records import (
    Account,
    Ban,
    Blocks,
    Mute,
    Offer,
    ReadUpTo,
    Record,
    Role,
    StoredGroup,
    Transfer,
    Tries,
)
from chatd.store import reading, sanctions, tables, transfers
from chatd.store.files import Database, StoreError
from chatd.store.records import store
from chatd.store.removal import remove_inbox
from chatd.store.rooms import Rooms, last_number, number_of, open_room, prune, save_read
from chatd.store.writer import Writer

T = TypeVar("T")

_log = Logger()

_READERS: Final = 2


@attrs.define(eq=False)
class SqlStore:
    """Everything that lasts, in one database. Every method returns at once, with a Deferred."""

    _database: Database
    _reactor: IReactorFromThreads
    _writer: Writer
    _pool: ThreadPool
    _rooms: Rooms

    @classmethod
    def start(cls, database: Database, reactor: IReactorFromThreads) -> "SqlStore":
        """A store on an open database, with its threads running."""
        rooms = Rooms()
        writer = Writer(database.writer, reactor.callFromThread, rooms.forget)
        pool = ThreadPool(minthreads=0, maxthreads=_READERS, name="chatd-reader")
        writer.start()
        pool.start()
        return cls(database, reactor, writer, pool, rooms)

    def stop(self) -> None:
        """Write what waits, then close; blocks until that is done."""
        self._writer.stop()
        self._pool.stop()
        self._database.close()

    # Rooms and lines.

    def open_rooms(self, names: Sequence[ChannelName]) -> dict[RoomName, int]:
        """Make channels known, and say each one's last number; blocks, for use at the start.

        Raises:
            StoreError: the database can't be written to.
        """
        try:
            with self._database.writer.begin() as connection:
                return _open_rooms(connection, names)
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{self._database.writer.url.database}: {error.orig}") from None

    def open_more_rooms(self, names: Sequence[ChannelName]) -> Deferred[dict[RoomName, int]]:
        """The same while running; fires after what was to be stored before, or with NotStored."""
        return self._write(lambda connection: _open_rooms(connection, names))

    def append(self, records: Sequence[Record]) -> Deferred[Sequence[Record]]:
        """Store records in their order and in one transaction; fires with those that can't be.

        What is for a group that isn't there can't be. An inbox is made at its first line.
        """
        return self._writer.submit(lambda connection: store(connection, self._rooms, records))

    def history(self, room: RoomName, lines: int) -> Deferred[Sequence[Said]]:
        """The last lines of a room, oldest first."""
        return self._read(lambda connection: reading.history(connection, room, lines))

    def prune(self, room: RoomName, before: float, keep: int) -> Deferred[int]:
        """Forget some lines of a room that are older than ``before`` or not of its last ``keep``.

        Of an inbox, only what is read goes by count. The last line always stays, so that the room's
        numbers go on from it. Fires with how many went; as long as that isn't 0 there may be more.
        """
        return self._writer.submit(
            lambda connection: prune(connection, self._rooms, room, before, keep)
        )

    # Mail, groups, blocks.

    def mailbox(self, key: Key) -> Deferred[tuple[int, int]]:
        """The last number in somebody's inbox, and how many lines there are not read."""
        return self._read(lambda connection: reading.mailbox(connection, key))

    def unread(
        self, key: Key, after: Mapping[RoomName, int], lines: int
    ) -> Deferred[Sequence[Said]]:
        """Lines not read yet, of the inbox and of every group of a member, the oldest first.

        ``after`` has rooms in which more was told than is noted as read, by the groups' own names.
        """
        # A copy: the query runs in another thread, later.
        told = dict(after)
        return self._read(lambda connection: reading.unread(connection, key, told, lines))

    def save_read(self, read: Iterable[ReadUpTo]) -> Deferred[None]:
        """Note how far people have read; never backwards. A store that can't is logged."""
        places = list(read)
        done = self._writer.submit(lambda connection: save_read(connection, self._rooms, places))
        return done.addErrback(
            lambda failure: _log.failure("it was not noted what is read", failure)
        )

    def inboxes(self) -> Deferred[Sequence[RoomName]]:
        """The rooms of everybody's direct messages."""
        t = tables.room.c
        query = sa.select(t.name).where(t.kind == "inbox")
        return self._read(
            lambda connection: [inbox_room(Key(key)) for key in connection.execute(query).scalars()]
        )

    def load_groups(self) -> Sequence[StoredGroup]:
        """All groups; blocks, for use at the start."""
        with self._database.readers.connect() as connection:
            return reading.groups(connection)

    def groups(self) -> Deferred[Sequence[StoredGroup]]:
        """All groups."""
        return self._read(reading.groups)

    def blocks(self, key: Key) -> Deferred[Blocks]:
        """Whom somebody blocks, and by whom he is blocked."""
        return self._read(lambda connection: reading.blocks(connection, key))

    # Accounts.

    def account(self, key: Key) -> Deferred[Account | None]:
        """The account of that name."""
        return self._one_account(tables.account.c.key == key)

    def account_by_mail(self, mail: str) -> Deferred[Account | None]:
        """The account with that (casefolded) mail address."""
        return self._one_account(tables.account.c.mail == mail)

    def looks_like(self, skeleton: str) -> Deferred[Name | None]:
        """The name of an account with that skeleton."""
        t = tables.account.c
        query = sa.select(t.name).where(t.skeleton == skeleton)
        return self._read(lambda connection: connection.execute(query).scalar())

    def logins_since(self, at: float) -> Deferred[Sequence[Name]]:
        """Accounts that logged in at ``at`` or later, the latest first."""
        t = tables.account.c
        query = sa.select(t.name).where(t.last_login >= at).order_by(t.last_login.desc())
        return self._read(lambda connection: connection.execute(query).scalars().all())

    def add_account(self, account: Account) -> Deferred[Account]:
        """Store a new account; fires with it and its id, or fails with NameTaken."""
        row = attrs.asdict(account, filter=lambda a, _: a.name != "id")
        taken = NameTaken(f"{account.name} is taken. Please choose another name.")

        def job(connection: sa.Connection) -> Account:
            done = connection.execute(tables.account.insert(), row)
            # What was sent to an earlier owner of the name in the moment of his removal.
            remove_inbox(connection, self._rooms, account.key)
            return attrs.evolve(account, id=number_of(done))

        return self._write(job, taken)

    def logged_in(self, account: Account, at: float) -> Deferred[None]:
        """Note a login; a store that can't is logged, and nobody is kept out."""
        done = self._set(account, last_login=at)
        return done.addErrback(lambda failure: _log.failure("a login was not noted", failure))

    def set_role(self, account: Account, role: Role) -> Deferred[None]:
        """Store another role."""
        return self._set(account, role=role)

    def accounts_like(self, containing: str, most: int) -> Deferred[tuple[Sequence[Account], int]]:
        """Accounts by name, whose key has this in it: the first ones, and how many there are."""
        t = tables.account
        found = t.c.key.contains(containing, autoescape=True)
        query = sa.select(t).where(found).order_by(t.c.key).limit(most)
        count = sa.select(sa.func.count()).select_from(t).where(found)

        def read(connection: sa.Connection) -> tuple[Sequence[Account], int]:
            rows = connection.execute(query).mappings()
            return [_account(row) for row in rows], connection.execute(count).scalar() or 0

        return self._read(read)

    def set_password(self, account: Account, password: str) -> Deferred[None]:
        """Store another password hash; fails with NotStored where somebody else has just done so.

        A login that renews the hash of the old password must not undo a change of password.
        """
        t = tables.account.c
        same = (t.id == account.id) & (t.password == account.password)
        change = tables.account.update().where(same).values(password=password)

        def job(connection: sa.Connection) -> None:
            if not connection.execute(change).rowcount:
                raise NotStored

        return self._write(job)

    def set_mail(self, account: Account, mail: str | None) -> Deferred[None]:
        """Store another mail address; fails with BadMail where another account has it."""
        return self._set(account, BadMail("That address belongs to another account."), mail=mail)

    # Files.

    def transfers(self) -> Sequence[tuple[Transfer, tuple[Offer, ...]]]:
        """All transfers with their offers; blocks, for use at the start."""
        with self._database.readers.connect() as connection:
            return transfers.transfers(connection)

    def add_transfer(self, transfer: Transfer, offers: Sequence[Offer]) -> Deferred[Transfer]:
        """Store a new transfer with its offers; fires with it and its id."""
        return self._write(lambda connection: transfers.add(connection, transfer, offers))

    def set_transfer(self, transfer: Transfer) -> Deferred[None]:
        """Store what has changed of a transfer."""
        return self._write(lambda connection: transfers.change(connection, transfer))

    def set_offer(self, transfer: int, offer: Offer) -> Deferred[None]:
        """Store what has changed of an offer."""
        return self._write(lambda connection: transfers.change_offer(connection, transfer, offer))

    def remove_offer(self, transfer: int, key: Key) -> Deferred[None]:
        """Forget an offer."""
        return self._write(lambda connection: transfers.remove_offer(connection, transfer, key))

    def remove_transfer(self, transfer: int) -> Deferred[None]:
        """Forget a transfer and its offers."""
        return self._write(lambda connection: transfers.remove(connection, transfer))

    # Bans and mutes.

    def sanctions(self) -> tuple[Sequence[Ban], Sequence[Mute]]:
        """All bans and mutes; blocks, for use at the start."""
        with self._database.readers.connect() as connection:
            return sanctions.bans(connection), sanctions.mutes(connection)

    def save_ban(self, ban: Ban) -> Deferred[None]:
        """Store a ban over the one of the same target."""
        return self._write(lambda connection: sanctions.save_ban(connection, ban))

    def save_mute(self, mute: Mute) -> Deferred[None]:
        """Store a mute over the one of the same person in the same channel."""
        return self._write(lambda connection: sanctions.save_mute(connection, mute))

    def forget_sanctions(
        self, targets: Sequence[str], mutes: Sequence[tuple[ChannelName, Key]]
    ) -> Deferred[None]:
        """Forget the bans of these targets, and these mutes."""
        return self._write(lambda connection: sanctions.forget(connection, targets, mutes))

    # Locks.

    def tries(self) -> Sequence[Tries]:
        """All counts of wrong passwords; blocks, for use at the start."""
        t = tables.tries.c
        query = sa.select(t.account, t.address, t.count, t.until)
        with self._database.readers.connect() as connection:
            return [Tries(*row) for row in connection.execute(query)]

    def save_tries(self, tries: Iterable[Tries]) -> Deferred[None]:
        """Store these counts; a count of 0 is removed. A store that can't is logged."""
        rows = [attrs.asdict(one) for one in tries]
        done = self._writer.submit(lambda connection: _save_tries(connection, rows))
        return done.addErrback(lambda failure: _log.failure("a lock was not stored", failure))

    def settled(self) -> Deferred[None]:
        """Fire once everything that was to be written before is, or could not be."""
        done = self._writer.submit(lambda connection: None)
        return done.addErrback(lambda failure: _log.failure("the store can't write", failure))

    # Inside.

    def _read(self, query: Callable[[sa.Connection], T]) -> "Deferred[T]":
        def run() -> T:
            with self._database.readers.connect() as connection:
                return query(connection)

        done: Deferred[T] = deferToThreadPool(self._reactor, self._pool, run)
        return done

    def _write(
        self, job: Callable[[sa.Connection], T], taken: ChatError | None = None
    ) -> "Deferred[T]":
        """Run a job; ``taken`` is the refusal where something unique is there already."""

        def refused(failure: Any) -> Any:
            if taken is not None and failure.check(sa.exc.IntegrityError):
                raise taken
            if failure.check(sa.exc.OperationalError):
                _log.failure("the store could not write", failure)
                raise NotStored
            return failure

        return self._writer.submit(job).addErrback(refused)

    def _one_account(self, where: sa.ColumnElement[bool]) -> Deferred[Account | None]:
        query = sa.select(tables.account).where(where)

        def read(connection: sa.Connection) -> Account | None:
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _account(row)

        return self._read(read)

    def _set(
        self, account: Account, taken: ChatError | None = None, **values: object
    ) -> Deferred[None]:
        change = tables.account.update().where(tables.account.c.id == account.id).values(values)

        def job(connection: sa.Connection) -> None:
            connection.execute(change)

        return self._write(job, taken)


def _open_rooms(connection: sa.Connection, names: Sequence[ChannelName]) -> dict[RoomName, int]:
    last: dict[RoomName, int] = {}
    for name in names:
        # Not by the writer's own knowledge of rooms, which is for its thread alone.
        number = Rooms().find(connection, name)
        last[name] = last_number(connection, number or open_room(connection, name))
    return last


def _account(row: sa.RowMapping) -> Account:
    return Account(**{**row, "role": Role(row["role"])})


def _save_tries(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    t = tables.tries.c
    for row in rows:
        same = (t.account == row["account"]) & (t.address == row["address"])
        connection.execute(tables.tries.delete().where(same))
        if row["count"]:
            connection.execute(tables.tries.insert(), row)
