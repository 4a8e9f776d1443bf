"""Files on their way, and to whom they are offered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "transfer",
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
    op.create_table(
        "offer",
        sa.Column("transfer", sa.Integer, sa.ForeignKey("transfer.id"), primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("ticket", sa.String, nullable=False),
        sa.Column("ticket_expires", sa.Float, nullable=False),
        sa.Column("upto", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
