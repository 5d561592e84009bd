"""Readings of people, what follows from them, and how each site reads."""

from __future__ import annotations

from alembic import op

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0007"
down_revision: str | None = "v0006"


def upgrade() -> None:
    """Make the tables; at the sites that are there, readers answer before they see the AI."""
    # Written out where there is a constraint: SQLite cannot add one to a table afterwards.
    op.execute(
        "ALTER TABLE sites ADD COLUMN reading_mode VARCHAR(16) DEFAULT 'second_reader' NOT NULL"
        " CONSTRAINT ck_sites_reading_mode"
        " CHECK (reading_mode IN ('concurrent', 'second_reader', 'triage_only'))"
    )
    op.execute(
        "ALTER TABLE sites ADD COLUMN exam_order VARCHAR(16) DEFAULT 'reception' NOT NULL"
        " CONSTRAINT ck_sites_exam_order CHECK (exam_order IN ('reception', 'triage'))"
    )
    add_parts(revision, "sites")
    make_tables(revision, "ai_views", "opinions", "reading_rounds", "readings")
    make_tables(revision, "addenda", "notices", "recalls")
