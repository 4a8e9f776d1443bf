"""Opening a SQLite database: its lock, its age, its pragmas.

The rule: one chatd a file. SQLite before 3.51.3 can corrupt a database when two connections write
and checkpoint at once (LIBRARIES.md 3), so a lock file keeps a second chatd out, one connection
writes, and the readers are ``query_only``.
"""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO, Any, Final

import attrs
import sqlalchemy as sa

from chatd.store.tables import HEAD

_BUSY_MS: Final = 5000
_PREFIX: Final = "sqlite:///"
_SCRIPTS: Final = Path(__file__).parent / "migrations"


class StoreError(Exception):
    """A database that can't be used. ``str()`` is a sentence for the operator."""


@attrs.frozen
class Database:
    """An open database: who writes, who reads, and the lock that goes with them."""

    writer: sa.Engine
    readers: sa.Engine
    lock: IO[str]

    def close(self) -> None:
        """Close everything; the writer last, since its close does the last checkpoint."""
        self.readers.dispose()
        self.writer.dispose()
        self.lock.close()


def open_database(url: str, state: Path, readers: int = 2, scripts: Path = _SCRIPTS) -> Database:
    """Open the database of ``url``, made where it is missing and migrated where it is old.

    A file in ``url`` that isn't absolute is in ``state``. An old database is copied beside itself
    before it is changed; one that is refused is left as it is. ``scripts`` has the migrations.

    Raises:
        StoreError: it is locked, newer than this program, no database of chatd's, or out of reach.
    """
    path = state / url.removeprefix(_PREFIX)
    try:
        lock = _lock(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    database = Database(_engine(path, 1, writes=True), _engine(path, readers, writes=False), lock)
    try:
        # Nobody else may read what people say: the file's mode is also that of its WAL.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        _bring_up_to_date(database, path, scripts)
        database.writer.connect().close()  # what can't be written is told now, not at a first line
    except BaseException as error:
        database.close()
        if isinstance(error, OSError):
            raise StoreError(f"{path}: {error.strerror}") from None
        if isinstance(error, sa.exc.DatabaseError):
            raise StoreError(f"{path}: {error.orig}") from None
        raise
    return database


def version_of(connection: sa.Connection) -> str | None:
    """The migration that the database is at; None for an empty one.

    Raises:
        StoreError: it has tables, but not chatd's.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise StoreError("this is a database, but not one of chatd's")
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _bring_up_to_date(database: Database, path: Path, scripts: Path) -> None:
    # Looked at by a reader, because the writer makes any file it opens a WAL one.
    with database.readers.connect() as connection:
        try:
            version = version_of(connection)
        except StoreError as error:
            raise StoreError(f"{path}: {error}") from None
    if version == HEAD:
        return
    # Alembic takes longer to import than all the rest to start: only where there is work for it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreError(
            f"{path}: made by a newer chatd (its schema is {version}, the newest known here {HEAD})"
        )
    if version is not None:
        _back_up(path, version)
    with database.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _back_up(path: Path, version: str) -> None:
    copy = path.with_name(f"{path.name}.before-{HEAD}-from-{version}")
    os.close(os.open(copy, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _lock(path: Path) -> IO[str]:
    lock = os.fdopen(os.open(f"{path}.lock", os.O_CREAT | os.O_WRONLY, 0o600), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StoreError(f"{path}: another chatd is using this database") from None
    return lock


def _engine(path: Path, connections: int, *, writes: bool) -> sa.Engine:
    # Not a string: a "?" in the path would end it, and another file than the locked one be opened.
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, pool_size=connections, max_overflow=0, pool_timeout=60)

    def connected(connection: Any, _record: object) -> None:
        # Transactions begin where SQLAlchemy says so, not where the driver guesses.
        connection.isolation_level = None
        pragmas = {"busy_timeout": _BUSY_MS, "foreign_keys": "ON"}
        if writes:
            pragmas |= {"journal_mode": "WAL", "synchronous": "FULL"}
        else:
            pragmas |= {"query_only": "ON"}
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)
    return engine


def state_directory(configured: str) -> Path:
    """The directory of everything that lasts, made if it is missing.

    Raises:
        StoreError: it can't be made.
    """
    # systemd sets the variable for a unit with StateDirectory=; the first of several is ours.
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    path = Path(configured or given or "~/.local/state/chatd")
    try:
        path = path.expanduser()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except RuntimeError:  # a user without a home, as in many containers
        raise StoreError(f"{path}: there is no home directory; set state") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    return path
