"""The store: accounts, lines and locks in a SQL database.

The rule: this is the only module with queries. Reads run on a few threads with connections that
can't write, writes on the one :class:`~chatd.store.writer.Writer`.
"""

from collections.abc import Callable, Iterable, Sequence
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
from chatd.domain.names import ChannelName, Key, Name, key_of
from chatd.domain.ports import Account, Role, Tries
from chatd.domain.text import Text
from chatd.store import tables
from chatd.store.files import Database, StoreError
from chatd.store.writer import Writer

T = TypeVar("T")

_log = Logger()

_READERS: Final = 2
_PRUNED_AT_ONCE: Final = 1000  # lines in one job, so that a long clean-up holds nobody up


@attrs.define(eq=False)
class SqlStore:
    """Everything that lasts, in one database. Every method returns at once, with a Deferred."""

    _database: Database
    _reactor: IReactorFromThreads
    _writer: Writer
    _pool: ThreadPool
    _rooms: dict[ChannelName, int] = attrs.field(factory=dict)

    @classmethod
    def start(cls, database: Database, reactor: IReactorFromThreads) -> "SqlStore":
        """A store on an open database, with its threads running."""
        writer = Writer(database.writer, reactor.callFromThread)
        pool = ThreadPool(minthreads=0, maxthreads=_READERS, name="chatd-reader")
        writer.start()
        pool.start()
        return cls(database, reactor, writer, pool)

    def stop(self) -> None:
        """Write what waits, then close; blocks until that is done."""
        self._writer.stop()
        self._pool.stop()
        self._database.close()

    # Rooms and lines.

    def open_rooms(self, names: Sequence[ChannelName]) -> dict[ChannelName, int]:
        """Make channels known, and say each one's last number; blocks, for use at the start.

        Raises:
            StoreError: the database can't be written to.
        """
        last: dict[ChannelName, int] = {}
        try:
            with self._database.writer.begin() as connection:
                for name in names:
                    self._rooms[name] = number = _room(connection, key_of(name))
                    last[name] = _last_number(connection, number)
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{self._database.writer.url.database}: {error.orig}") from None
        return last

    def append_lines(self, lines: Sequence[Said]) -> Deferred[Sequence[Said]]:
        """Store lines in one transaction; fires with those that could not be stored."""
        rows: list[Row] = [
            (self._rooms[said.room], said.seq, said.author, said.at, said.text) for said in lines
        ]

        def job(connection: sa.Connection) -> Sequence[Said]:
            failed = _insert_lines(connection, rows) if rows else []
            return [lines[index] for index in failed]

        return self._writer.submit(job)

    def history(self, room: ChannelName, lines: int) -> Deferred[Sequence[Said]]:
        """The last lines of a room, oldest first."""
        t = tables.line.c
        last = (
            sa.select(t.author, t.text, t.at, t.seq)
            .where(t.room == self._rooms[room])
            .order_by(t.seq.desc())
            .limit(lines)
        )

        def read(connection: sa.Connection) -> Sequence[Said]:
            rows = connection.execute(last).all()
            return [
                Said(room, Name(row.author), Text(row.text), row.at, row.seq)
                for row in reversed(rows)
            ]

        return self._read(read)

    def prune(self, room: ChannelName, before: float, keep: int) -> Deferred[int]:
        """Forget some lines of a room that are older than ``before`` or not of its last ``keep``.

        The last line always stays, so that the room's numbers go on from it. Fires with how many
        went; as long as that isn't 0 there may be more.
        """
        number = self._rooms[room]
        return self._writer.submit(lambda connection: _prune(connection, number, before, keep))

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
            return attrs.evolve(account, id=_key_of(done))

        return self._write(job, taken)

    def logged_in(self, account: Account, at: float) -> Deferred[None]:
        """Note a login; a store that can't is logged, and nobody is kept out."""
        done = self._set(account, last_login=at)
        return done.addErrback(lambda failure: _log.failure("a login was not noted", failure))

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
            return None if row is None else Account(**{**row, "role": Role(row["role"])})

        return self._read(read)

    def _set(
        self, account: Account, taken: ChatError | None = None, **values: object
    ) -> Deferred[None]:
        change = tables.account.update().where(tables.account.c.id == account.id).values(values)

        def job(connection: sa.Connection) -> None:
            connection.execute(change)

        return self._write(job, taken)


_INSERT: Final = "INSERT INTO line (room, seq, author, at, text) VALUES (?, ?, ?, ?, ?)"

Row = tuple[int, int, str, float, str]


def _insert_lines(connection: sa.Connection, rows: list[Row]) -> list[int]:
    """Insert rows, one by one where together they fail; return the places of those that can't be.

    The driver's own executemany: Core's costs 3-4 us a row more (LIBRARIES.md 3).
    """
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(_INSERT, rows)
    except (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.InterfaceError, UnicodeError):
        savepoint.rollback()
        if len(rows) == 1:
            _log.failure("a line can't be stored")
            return [0]
        return [place for place, row in enumerate(rows) if _insert_lines(connection, [row])]
    # On any other error the whole transaction goes: on a full disk SQLite has ended it already,
    # and to go back to the savepoint would only hide the cause.
    savepoint.commit()
    return []


def _room(connection: sa.Connection, key: Key) -> int:
    t = tables.room.c
    query = sa.select(t.id).where(t.kind == "channel", t.name == key)
    found = connection.execute(query).scalar()
    if found is None:
        added = connection.execute(tables.room.insert(), {"kind": "channel", "name": key})
        return _key_of(added)
    number: int = found
    return number


def _key_of(inserted: sa.CursorResult[Any]) -> int:
    """The number that the database gave a new row."""
    key = inserted.inserted_primary_key
    assert key is not None
    number: int = key[0]
    return number


def _last_number(connection: sa.Connection, room: int) -> int:
    highest = sa.select(sa.func.max(tables.line.c.seq)).where(tables.line.c.room == room)
    number: int = connection.execute(highest).scalar() or 0
    return number


def _prune(connection: sa.Connection, room: int, before: float, keep: int) -> int:
    t = tables.line.c
    last = _last_number(connection, room)
    oldest = sa.select(t.seq, t.at).where(t.room == room).order_by(t.seq).limit(_PRUNED_AT_ONCE)
    old = [
        row.seq
        for row in connection.execute(oldest)
        if row.seq < last and (row.at < before or (keep and row.seq <= last - keep))
    ]
    if old:
        # Each by its number: where the clock was set back, the old ones need not be the first.
        gone = tables.line.delete().where(t.room == room, t.seq.in_(old))
        connection.execute(gone)
    return len(old)


def _save_tries(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    t = tables.tries.c
    for row in rows:
        same = (t.account == row["account"]) & (t.address == row["address"])
        connection.execute(tables.tries.delete().where(same))
        if row["count"]:
            connection.execute(tables.tries.insert(), row)
