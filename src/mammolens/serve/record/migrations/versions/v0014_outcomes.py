"""Pathology reports, outcomes, decisions about them, and scores of a second model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0014"
down_revision: str | None = "v0013"
branch_labels: str | None = None
depends_on: str | None = None

_STATES = "state IN ('waiting', 'settled', 'decided', 'withdrawn')"


def upgrade() -> None:
    """Make empty tables; exams and results that are there have no machine and no breasts."""
    op.add_column("exams", sa.Column("machine", sa.String(length=128), nullable=True))
    op.add_column("results", sa.Column("breasts", sa.Text(), nullable=True))
    op.create_table(
        "pathology_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.String(length=128), nullable=False),
        sa.Column("control_id", sa.String(length=64), nullable=True),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_pathology_reports_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pathology_reports"),
        sa.UniqueConstraint("digest", name="uq_pathology_reports_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pathology_reports_key", "pathology_reports", ["key"], unique=False)
    op.create_index("ix_pathology_reports_patient", "pathology_reports", ["patient"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("specimen", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("taken", sa.String(length=10), nullable=True),
        sa.Column("proposed", sa.Text(), nullable=False),
        sa.Column("decided", sa.Text(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.CheckConstraint(_STATES, name="ck_outcomes_state"),
        sa.CheckConstraint("state <> 'decided' OR decided IS NOT NULL", name="ck_outcomes_decided"),
        sa.ForeignKeyConstraint(
            ["report_id"], ["pathology_reports.id"], name="fk_outcomes_report_id"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_outcomes_site_id"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_outcomes_exam_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outcomes"),
        sa.UniqueConstraint("key", "specimen", name="uq_outcomes_key_specimen"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outcomes_report_id", "outcomes", ["report_id"], unique=False)
    op.create_index("ix_outcomes_exam_id", "outcomes", ["exam_id"], unique=False)
    op.create_index("ix_outcomes_queue", "outcomes", ["site_id", "state", "id"], unique=False)
    op.create_table(
        "outcome_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("outcome_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("proposed", sa.Text(), nullable=False),
        sa.Column("decided", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["outcome_id"], ["outcomes.id"], name="fk_outcome_decisions_outcome_id"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name="fk_outcome_decisions_person_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outcome_decisions"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outcome_decisions_outcome_id", "outcome_decisions", ["outcome_id"], unique=False
    )
    op.create_table(
        "shadow_scores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("malignancy", sa.Float(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "(category = 'failed') = (malignancy IS NULL)", name="ck_shadow_scores_failed"
        ),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_shadow_scores_exam_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shadow_scores"),
        sa.UniqueConstraint(
            "exam_id",
            "version",
            "model_digest",
            name="uq_shadow_scores_exam_id_version_model_digest",
        ),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Remove the tables: reports, outcomes and decisions are lost."""
    for name in ("shadow_scores", "outcome_decisions", "outcomes", "pathology_reports"):
        op.drop_table(name)
    op.drop_column("results", "breasts")
    op.drop_column("exams", "machine")
