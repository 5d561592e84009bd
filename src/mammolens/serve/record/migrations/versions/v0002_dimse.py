"""What archives were asked to commit themselves to, and which studies are kept as priors."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_numbered_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0002"
down_revision: str | None = "v0001"


def upgrade() -> None:
    """Make the tables of commitments and priors."""
    make_numbered_table(
        "commitments",
        sa.Column("transaction_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("peer", sa.String(16), nullable=False),
        sa.Column("asked_at", UtcTime, nullable=False),
        sa.Column("answered_at", UtcTime),
        sa.Column("answer", sa.Text),
        sa.CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answered"),
    )
    make_numbered_table(
        "priors",
        sa.Column("study_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("asked_at", UtcTime, nullable=False),
    )
