"""What lasts: SQLAlchemy Core tables in SQLite, one writer thread, a few readers.

:mod:`~chatd.store.tables` is the schema, :mod:`~chatd.store.files` opens a database and brings it
up to date, :mod:`~chatd.store.writer` commits in groups, :mod:`~chatd.store.sql` is the store. What
it writes to rooms is in :mod:`~chatd.store.records` and :mod:`~chatd.store.rooms`, what it reads of
them in :mod:`~chatd.store.reading`.
"""
