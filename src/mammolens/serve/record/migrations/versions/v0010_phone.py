"""Devices that keep data of a person, and answers that are given again."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_numbered_table, make_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0010"
down_revision: str | None = "v0009"


def upgrade() -> None:
    """Make empty tables."""
    make_table(
        "devices",
        sa.Column("id", sa.String(43), primary_key=True),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("wrapped_key", sa.String(256)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.Column("wiped_at", UtcTime),
        sa.CheckConstraint("(wiped_at IS NULL) = (wrapped_key IS NOT NULL)", name="wiped"),
        sa.Index("ix_devices_person_id", "person_id", "wiped_at"),
    )
    make_numbered_table(
        "repeats",
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), index=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False, index=True),
        sa.UniqueConstraint("person_id", "key"),
    )
