"""Procedure steps that are performed, and processes that say that they live."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_numbered_table, work_columns
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0003"
down_revision: str | None = "v0002"


def upgrade() -> None:
    """Make the tables of steps and processes."""
    make_numbered_table(
        "processes",
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
    make_numbered_table(
        "steps",
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("work", sa.Text),
        sa.Column("cancel_asked", sa.Boolean, nullable=False),
        *work_columns(),
        sa.UniqueConstraint("server", "sop_instance_uid"),
    )
