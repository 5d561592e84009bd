"""What is stated of a patient beside the images of an exam."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_numbered_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0012"
down_revision: str | None = "v0011"


def upgrade() -> None:
    """Make an empty table."""
    make_numbered_table(
        "clinical_items",
        sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("laterality", sa.String(1)),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("stated_on", sa.Date),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Index("ix_clinical_items_exam_id", "exam_id", "id"),
    )
