"""Groups and inboxes, who is what to them and has read how far, and who blocks whom."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to the rooms, and make the tables."""
    op.add_column("room", sa.Column("shown", sa.String))
    op.add_column("room", sa.Column("admin", sa.String))
    op.create_table(
        "standing",
        sa.Column("room", sa.Integer, sa.ForeignKey("room.id"), primary_key=True),
        sa.Column("account", sa.String, primary_key=True),
        sa.Column("standing", sa.Integer, nullable=False),
        sa.Column("read_upto", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_standing_account", "standing", ["account"])
    op.create_table(
        "block",
        sa.Column("blocker", sa.String, primary_key=True),
        sa.Column("blocked", sa.String, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_block_blocked", "block", ["blocked"])
