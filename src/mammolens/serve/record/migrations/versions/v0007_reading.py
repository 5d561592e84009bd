"""Readings of people, what follows from them, and how each site reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0007"
down_revision: str | None = "v0006"
branch_labels: str | None = None
depends_on: str | None = None


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
        sa.Column("double_reading", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "sites", sa.Column("language", sa.String(length=8), server_default="en", nullable=False)
    )
    _asked_and_shown()
    _readings()
    _consequences()


def _asked_and_shown() -> None:
    """Make the tables of who was asked, and who was shown the AI."""
    op.create_table(
        "ai_views",
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_ai_views_exam_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_ai_views_person_id"),
        sa.PrimaryKeyConstraint("exam_id", "person_id", name="pk_ai_views"),
    )
    op.create_table(
        "opinions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["people.id"], name="fk_opinions_asked_by"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_opinions_exam_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_opinions_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_opinions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_opinions_person_id", "opinions", ["person_id"], unique=False)
    op.create_index(
        "uq_opinions_asked",
        "opinions",
        ["exam_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _readings() -> None:
    """Make the tables of answers."""
    op.create_table(
        "reading_rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("is_double", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("recall", sa.Boolean(), nullable=True),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(state = 'decided') = (decided_at IS NOT NULL)"
            " AND (state = 'decided') = (version IS NOT NULL)",
            name="ck_reading_rounds_decided",
        ),
        sa.CheckConstraint(
            "state IN ('open', 'disputed', 'decided')", name="ck_reading_rounds_state"
        ),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_reading_rounds_exam_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reading_rounds"),
        sa.UniqueConstraint("exam_id", "number", name="uq_reading_rounds_exam_id_number"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_reading_rounds_open",
        "reading_rounds",
        ["exam_id"],
        unique=True,
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.Column("opinion_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("slot", sa.String(length=16), nullable=True),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("exam_version", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("first_answer", sa.Text(), nullable=True),
        sa.Column("first_version", sa.Integer(), nullable=True),
        sa.Column("blinded", sa.Boolean(), nullable=True),
        sa.Column("agreed", sa.Boolean(), nullable=True),
        sa.Column("ai_result_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.Column("locked_at", UtcTime(), nullable=True),
        sa.Column("revised_at", UtcTime(), nullable=True),
        sa.Column("signed_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(role = 'opinion') = (round_id IS NULL)"
            " AND (role = 'opinion') = (opinion_id IS NOT NULL)",
            name="ck_readings_asked",
        ),
        sa.CheckConstraint(
            "(slot IS NOT NULL) = (state = 'signed' AND role <> 'opinion')",
            name="ck_readings_signed_as",
        ),
        sa.CheckConstraint(
            "(state = 'draft') = (locked_at IS NULL)"
            " AND (locked_at IS NULL) = (first_answer IS NULL)"
            " AND (locked_at IS NULL) = (blinded IS NULL)"
            " AND (locked_at IS NULL) = (first_version IS NULL)",
            name="ck_readings_locked",
        ),
        sa.CheckConstraint(
            "(state = 'signed') = (signed_at IS NOT NULL)", name="ck_readings_signed"
        ),
        sa.CheckConstraint("role IN ('reader', 'arbiter', 'opinion')", name="ck_readings_role"),
        sa.CheckConstraint("slot IN ('first', 'second', 'arbiter')", name="ck_readings_slot"),
        sa.CheckConstraint("state IN ('draft', 'locked', 'signed')", name="ck_readings_state"),
        sa.CheckConstraint("(agreed IS NULL) = (revised_at IS NULL)", name="ck_readings_revised"),
        sa.ForeignKeyConstraint(["ai_result_id"], ["results.id"], name="fk_readings_ai_result_id"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_readings_exam_id"),
        sa.ForeignKeyConstraint(["opinion_id"], ["opinions.id"], name="fk_readings_opinion_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_readings_person_id"),
        sa.ForeignKeyConstraint(["round_id"], ["reading_rounds.id"], name="fk_readings_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_readings"),
        sa.UniqueConstraint("opinion_id", name="uq_readings_opinion_id"),
        sa.UniqueConstraint("round_id", "person_id", name="uq_readings_round_id_person_id"),
        sa.UniqueConstraint("round_id", "slot", name="uq_readings_round_id_slot"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_readings_exam_id", "readings", ["exam_id", "person_id"], unique=False)
    op.create_index("ix_readings_person_id", "readings", ["person_id", "state"], unique=False)
    op.create_table(
        "addenda",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("exam_version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_addenda_person_id"),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name="fk_addenda_reading_id"),
        sa.PrimaryKeyConstraint("id", name="pk_addenda"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_addenda_reading_id", "addenda", ["reading_id"], unique=False)


def _consequences() -> None:
    """Make the tables of what follows from an answer."""
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("acknowledged_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="ck_notices_acknowledged"
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["people.id"], name="fk_notices_acknowledged_by"
        ),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_notices_exam_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_notices_person_id"),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name="fk_notices_reading_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_exam_id", "notices", ["exam_id"], unique=False)
    op.create_table(
        "recalls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.Column("closed_by", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (reason IS NULL)",
            name="ck_recalls_closed",
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["people.id"], name="fk_recalls_closed_by"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_recalls_exam_id"),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name="fk_recalls_reading_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recalls"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_recalls_open",
        "recalls",
        ["exam_id"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def downgrade() -> None:
    """Refuse: what people answered would be lost."""
    raise NotImplementedError("readings are not taken away")
