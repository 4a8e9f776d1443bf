"""How Alembic runs: on the connection that :func:`chatd.store.files.open_database` gives it."""

from alembic import context

from chatd.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
