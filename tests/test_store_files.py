"""Opening a database: its lock, its age, who may read it, and who may write."""

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import chatd.store.migrations
from chatd.store import tables
from chatd.store.files import StoreError, open_database

URL = "sqlite:///chatd.db"
SCRIPTS = Path(chatd.store.migrations.__file__).parent

OLDER = """
import sqlalchemy as sa
from alembic import op

revision = "0000"
down_revision = None


def upgrade() -> None:
    op.create_table("old", sa.Column("text", sa.String))
"""
"""A migration before the first one, as it would stand in an earlier chatd."""


def older_scripts(directory: Path, name: str = "100% older") -> Path:
    """The migrations of an earlier chatd."""
    scripts = directory / name
    (scripts / "versions").mkdir(parents=True)
    shutil.copy(SCRIPTS / "env.py", scripts)
    (scripts / "versions" / "v0000_old.py").write_text(OLDER)
    return scripts


def newer_scripts(directory: Path, last_words: str = "") -> Path:
    """Today's migrations on top of those of an earlier chatd; ``last_words`` end the first."""
    scripts = older_scripts(directory, "newer")
    for script in (SCRIPTS / "versions").glob("v*.py"):
        text = script.read_text()
        if "down_revision = None" in text:
            changed = text.replace("down_revision = None", 'down_revision = "0000"')
            text = f"{changed}    {last_words}\n"
        (scripts / "versions" / script.name).write_text(text)
    return scripts


def older_database(state: Path) -> None:
    """Make the database of an earlier chatd, with something in it."""
    database = open_database(URL, state, scripts=older_scripts(state))
    with database.writer.begin() as connection:
        connection.exec_driver_sql("INSERT INTO old VALUES ('kept')")
    database.close()


FIRST = (
    "account VALUES (1, 'bob', 'Bob', 'bob', NULL, 'hash', 1, 100.5, NULL)",
    "room VALUES (1, 'channel', 'general')",
    "line VALUES (1, 1, 'Bob', 100.5, 'hello'), (1, 2, 'Bob', 101.5, 'still here')",
)
"""What may be in the database of the first chatd."""

SECOND = (
    FIRST[0],
    "room VALUES (1, 'channel', 'general', NULL, NULL), (2, 'group', 'team', 'Team', 'bob')",
    FIRST[2],
    "standing VALUES (2, 'bob', 1, 7)",
    "block VALUES ('bob', 'ann')",
)
"""What may be in the one of the second."""

THIRD = (
    *SECOND,
    "ban VALUES ('10.0.0.0/8', 0.0, 'spam', 'Olga', 100.5)",
    "mute VALUES ('general', 'bob', 200.5)",
)
"""What may be in the one of the third."""


def early_database(state: Path, version: str, rows: tuple[str, ...]) -> None:
    """Make the database of an early chatd, with something in it."""
    engine = sa.create_engine(f"sqlite:///{state}/chatd.db")
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        for row in rows:
            connection.exec_driver_sql(f"INSERT INTO {row}")
    engine.dispose()


def foreign_database(path: Path, *statements: str) -> bytes:
    """Make a database that isn't chatd's; return its file's bytes."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path.read_bytes()


def contents(path: Path, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, read without chatd's help."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def refusal(state: Path, url: str = URL, scripts: Path = SCRIPTS) -> str:
    """What the operator is told where a database can't be opened."""
    with pytest.raises(StoreError) as refused:
        open_database(url, state, scripts=scripts)
    return str(refused.value)


def test_second_chatd_is_refused(tmp_path: Path) -> None:
    """While one chatd has a database, another one can't open it; afterwards it can."""
    first = open_database(URL, tmp_path)
    path = tmp_path / "chatd.db"
    assert refusal(tmp_path) == f"{path}: another chatd is using this database"
    first.close()

    open_database(URL, tmp_path).close()


def test_refused_database_can_be_tried_again(tmp_path: Path) -> None:
    """A refusal leaves no lock behind: with the cause gone the same call goes well."""
    path = tmp_path / "chatd.db"
    path.write_text("this is no database, and never was one\n" * 100)
    assert refusal(tmp_path) == f"{path}: file is not a database"
    assert refusal(tmp_path) == f"{path}: file is not a database"
    path.unlink()

    open_database(URL, tmp_path).close()


def test_newer_database_is_refused(tmp_path: Path) -> None:
    """A schema that this program doesn't know is left alone."""
    path = tmp_path / "chatd.db"
    made = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"
    before = foreign_database(path, made, "INSERT INTO alembic_version VALUES ('9999')")

    assert refusal(tmp_path) == (
        f"{path}: made by a newer chatd (its schema is 9999, the newest known here {tables.HEAD})"
    )
    assert path.read_bytes() == before


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """A database that isn't chatd's is refused, and not a byte of it is changed."""
    path = tmp_path / "chatd.db"
    before = foreign_database(path, "CREATE TABLE cats (name TEXT)")

    assert refusal(tmp_path) == f"{path}: this is a database, but not one of chatd's"
    assert path.read_bytes() == before


def test_state_below_a_file(tmp_path: Path) -> None:
    """A directory that can't be had is told as it is."""
    (tmp_path / "file").write_text("")
    state = tmp_path / "file" / "state"
    assert refusal(state) == f"{state}/chatd.db: Not a directory"


def test_directory_in_the_place_of_the_file(tmp_path: Path) -> None:
    """A directory of the database's name is told as it is."""
    (tmp_path / "chatd.db").mkdir()
    assert refusal(tmp_path) == f"{tmp_path}/chatd.db: Is a directory"


def test_place_of_the_file(tmp_path: Path) -> None:
    """A relative file is in the state directory, an absolute one where it says."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    elsewhere.mkdir()
    open_database("sqlite:///some.db", state).close()
    open_database(f"sqlite:///{elsewhere}/other.db", state).close()

    assert sorted(path.name for path in state.iterdir()) == ["some.db", "some.db.lock"]
    assert sorted(path.name for path in elsewhere.iterdir()) == ["other.db", "other.db.lock"]


def test_path_with_signs_of_a_url(tmp_path: Path) -> None:
    """A directory may have any name, those with a meaning in URLs too."""
    state = tmp_path / "what? 100% #1 &c"
    state.mkdir()
    open_database(URL, state).close()

    assert contents(state / "chatd.db", "SELECT * FROM alembic_version") == [(tables.HEAD,)]
    assert [path.name for path in tmp_path.iterdir()] == [state.name]


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    """Every file of an open database is its owner's alone."""
    database = open_database(URL, tmp_path)
    with database.writer.begin() as connection:
        connection.execute(tables.room.insert(), {"kind": "channel", "name": "general"})

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    names = ["chatd.db", "chatd.db-shm", "chatd.db-wal", "chatd.db.lock"]
    assert modes == dict.fromkeys(names, 0o600)
    database.close()


def test_readers_cannot_write(tmp_path: Path) -> None:
    """A connection for reading refuses to write."""
    database = open_database(URL, tmp_path)
    row = {"kind": "channel", "name": "general"}
    with (
        pytest.raises(sa.exc.OperationalError, match="readonly database"),
        database.readers.begin() as connection,
    ):
        connection.execute(tables.room.insert(), row)

    with database.writer.begin() as connection:
        connection.execute(tables.room.insert(), row)
    with database.readers.connect() as connection:
        assert connection.execute(sa.select(tables.room.c.name)).scalars().all() == ["general"]
    database.close()


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    """The writer waits for the disk at each commit, in a write-ahead log."""
    database = open_database(URL, tmp_path)
    with database.writer.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert pragmas == ["wal", 2, 1]
    database.close()


def test_migrations_make_the_schema(tmp_path: Path) -> None:
    """The schema that the migrations make is the one that the queries are written for."""
    database = open_database(URL, tmp_path)
    with database.readers.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        without_rowid = connection.exec_driver_sql(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr ORDER BY name"
        )
        assert without_rowid.scalars().all() == [
            *("ban", "block", "line", "mute", "offer", "standing", "tries")
        ]
    database.close()


def test_head_is_the_newest_migration() -> None:
    """The version that the program looks for is that of the last migration."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == tables.HEAD


def test_older_database_is_copied_and_migrated(tmp_path: Path) -> None:
    """An older database is brought up to date, and a copy of it as it was stands beside it."""
    older_database(tmp_path)

    open_database(URL, tmp_path, scripts=newer_scripts(tmp_path)).close()

    path, copy = tmp_path / "chatd.db", tmp_path / f"chatd.db.before-{tables.HEAD}-from-0000"
    assert contents(path, "SELECT version_num FROM alembic_version") == [(tables.HEAD,)]
    assert contents(path, "SELECT * FROM old") == [("kept",)]
    assert contents(path, "SELECT count(*) FROM account") == [(0,)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert contents(copy, "SELECT version_num FROM alembic_version") == [("0000",)]
    assert contents(copy, "SELECT * FROM old") == [("kept",)]
    tables_before = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    assert contents(copy, tables_before) == [("alembic_version",), ("old",)]


def test_database_of_the_first_chatd(tmp_path: Path) -> None:
    """A database from before there were groups keeps what it has, and a copy is made of it."""
    early_database(tmp_path, "0001", FIRST)
    path, copy = tmp_path / "chatd.db", tmp_path / f"chatd.db.before-{tables.HEAD}-from-0001"
    tables_of = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    before = {
        name: contents(path, f"SELECT * FROM {name}") for (name,) in contents(path, tables_of)
    }

    open_database(URL, tmp_path).close()

    assert {name: contents(copy, f"SELECT * FROM {name}") for name in before} == before
    assert contents(path, "SELECT version_num FROM alembic_version") == [(tables.HEAD,)]
    assert contents(path, "SELECT * FROM account") == before["account"]
    assert contents(path, "SELECT * FROM line") == before["line"]
    assert contents(path, "SELECT * FROM room") == [(1, "channel", "general", None, None)]
    assert contents(path, "SELECT * FROM standing") == contents(path, "SELECT * FROM block") == []


def test_database_of_the_second_chatd(tmp_path: Path) -> None:
    """A database from before there were bans keeps all it has, and nobody in it is banned."""
    early_database(tmp_path, "0002", SECOND)
    path = tmp_path / "chatd.db"
    names = [*("account", "room", "line", "standing", "block", "tries")]
    before = {name: contents(path, f"SELECT * FROM {name}") for name in names}

    open_database(URL, tmp_path).close()

    assert {name: contents(path, f"SELECT * FROM {name}") for name in names} == before
    assert contents(path, "SELECT * FROM ban") == contents(path, "SELECT * FROM mute") == []


def test_database_of_the_third_chatd(tmp_path: Path) -> None:
    """A database from before there were files keeps all it has, and has no file in it."""
    early_database(tmp_path, "0003", THIRD)
    path = tmp_path / "chatd.db"
    names = ["account", "room", "line", "standing", "block", "tries", "ban", "mute"]
    before = {name: contents(path, f"SELECT * FROM {name}") for name in names}

    open_database(URL, tmp_path).close()

    assert {name: contents(path, f"SELECT * FROM {name}") for name in names} == before
    assert contents(path, "SELECT * FROM transfer") == contents(path, "SELECT * FROM offer") == []


def test_failed_migration_changes_nothing(tmp_path: Path) -> None:
    """A migration that fails half-way leaves the database at the version it had."""
    older_database(tmp_path)
    broken = newer_scripts(tmp_path, 'op.execute("INSERT INTO nowhere VALUES (1)")')

    path = tmp_path / "chatd.db"
    assert refusal(tmp_path, scripts=broken) == f"{path}: no such table: nowhere"

    names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    assert contents(path, names) == [("alembic_version",), ("old",)]
    assert contents(path, "SELECT version_num FROM alembic_version") == [("0000",)]
