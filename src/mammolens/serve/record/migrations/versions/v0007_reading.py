"""Readings of people, what follows from them, and how each site reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_numbered_table, make_table
from mammolens.serve.record.table_parts import UtcTime, partial_index

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
    op.add_column(
        "sites",
        sa.Column("double_reading", sa.Boolean, server_default=sa.false(), nullable=False),
    )
    op.add_column("sites", sa.Column("language", sa.String(8), server_default="en", nullable=False))
    _asked_and_shown()
    _readings()
    _consequences()


def _asked_and_shown() -> None:
    """Make the tables of who was asked, and who was shown the AI."""
    make_table(
        "ai_views",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("exam_id", "person_id"),
    )
    make_numbered_table(
        "opinions",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
        sa.Column("asked_by", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
        partial_index("uq_opinions_asked", sa.column("ended_at").is_(None), "exam_id", "person_id"),
    )


def _readings() -> None:
    """Make the tables of answers."""
    make_numbered_table(
        "reading_rounds",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("is_double", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("recall", sa.Boolean),
        sa.Column("opened_at", UtcTime, nullable=False),
        sa.Column("decided_at", UtcTime),
        sa.CheckConstraint(
            "(state = 'decided') = (decided_at IS NOT NULL)"
            " AND (state = 'decided') = (version IS NOT NULL)",
            name="decided",
        ),
        sa.CheckConstraint("state IN ('open', 'disputed', 'decided')", name="state"),
        sa.UniqueConstraint("exam_id", "number"),
        partial_index("uq_reading_rounds_open", sa.column("decided_at").is_(None), "exam_id"),
    )
    make_numbered_table(
        "readings",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("round_id", sa.ForeignKey("reading_rounds.id")),
        sa.Column("opinion_id", sa.ForeignKey("opinions.id"), unique=True),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("slot", sa.String(16)),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("exam_version", sa.Integer, nullable=False),
        sa.Column("edition", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("first_answer", sa.Text),
        sa.Column("first_version", sa.Integer),
        sa.Column("blinded", sa.Boolean),
        sa.Column("agreed", sa.Boolean),
        sa.Column("ai_result_id", sa.ForeignKey("results.id")),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.Column("locked_at", UtcTime),
        sa.Column("revised_at", UtcTime),
        sa.Column("signed_at", UtcTime),
        sa.CheckConstraint(
            "(role = 'opinion') = (round_id IS NULL)"
            " AND (role = 'opinion') = (opinion_id IS NOT NULL)",
            name="asked",
        ),
        sa.CheckConstraint(
            "(slot IS NOT NULL) = (state = 'signed' AND role <> 'opinion')", name="signed_as"
        ),
        sa.CheckConstraint(
            "(state = 'draft') = (locked_at IS NULL)"
            " AND (locked_at IS NULL) = (first_answer IS NULL)"
            " AND (locked_at IS NULL) = (blinded IS NULL)"
            " AND (locked_at IS NULL) = (first_version IS NULL)",
            name="locked",
        ),
        sa.CheckConstraint("(state = 'signed') = (signed_at IS NOT NULL)", name="signed"),
        sa.CheckConstraint("role IN ('reader', 'arbiter', 'opinion')", name="role"),
        sa.CheckConstraint("slot IN ('first', 'second', 'arbiter')", name="slot"),
        sa.CheckConstraint("state IN ('draft', 'locked', 'signed')", name="state"),
        sa.CheckConstraint("(agreed IS NULL) = (revised_at IS NULL)", name="revised"),
        sa.UniqueConstraint("round_id", "person_id"),
        sa.UniqueConstraint("round_id", "slot"),
        sa.Index("ix_readings_exam_id", "exam_id", "person_id"),
        sa.Index("ix_readings_person_id", "person_id", "state"),
    )
    make_numbered_table(
        "addenda",
        sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False, index=True),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("exam_version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )


def _consequences() -> None:
    """Make the tables of what follows from an answer."""
    make_numbered_table(
        "notices",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False, index=True),
        sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("acknowledged_by", sa.ForeignKey("people.id")),
        sa.Column("acknowledged_at", UtcTime),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledged"
        ),
    )
    make_numbered_table(
        "recalls",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("closed_at", UtcTime),
        sa.Column("closed_by", sa.ForeignKey("people.id")),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (reason IS NULL)",
            name="closed",
        ),
        partial_index("uq_recalls_open", sa.column("closed_at").is_(None), "exam_id"),
    )
