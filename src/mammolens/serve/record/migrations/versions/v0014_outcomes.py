"""Pathology reports, outcomes, decisions about them, and scores of a second model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_numbered_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0014"
down_revision: str | None = "v0013"

_STATES = "state IN ('waiting', 'settled', 'decided', 'withdrawn')"


def upgrade() -> None:
    """Make empty tables; exams and results that are there have no machine and no breasts."""
    op.add_column("exams", sa.Column("machine", sa.String(128)))
    op.add_column("results", sa.Column("breasts", sa.Text))
    make_numbered_table(
        "pathology_reports",
        sa.Column("site_id", sa.ForeignKey("sites.id")),
        sa.Column("key", sa.String(64), nullable=False, index=True),
        sa.Column("patient", sa.String(64), nullable=False, index=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("sender", sa.String(128), nullable=False),
        sa.Column("control_id", sa.String(64)),
        sa.Column("received_at", UtcTime, nullable=False),
    )
    make_numbered_table(
        "outcomes",
        sa.Column("report_id", sa.ForeignKey("pathology_reports.id"), nullable=False, index=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("specimen", sa.Integer, nullable=False),
        sa.Column("site_id", sa.ForeignKey("sites.id")),
        sa.Column("exam_id", sa.ForeignKey("exams.id"), index=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("taken", sa.String(10)),
        sa.Column("proposed", sa.Text, nullable=False),
        sa.Column("decided", sa.Text),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("candidates", sa.Text, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.CheckConstraint(_STATES, name="state"),
        sa.CheckConstraint("state <> 'decided' OR decided IS NOT NULL", name="decided"),
        sa.UniqueConstraint("key", "specimen"),
        sa.Index("ix_outcomes_queue", "site_id", "state", "id"),
    )
    make_numbered_table(
        "outcome_decisions",
        sa.Column("outcome_id", sa.ForeignKey("outcomes.id"), nullable=False, index=True),
        sa.Column("report_id", sa.Integer, nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("exam_id", sa.Integer),
        sa.Column("proposed", sa.Text, nullable=False),
        sa.Column("decided", sa.Text, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    make_numbered_table(
        "shadow_scores",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("malignancy", sa.Float),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.CheckConstraint("(category = 'failed') = (malignancy IS NULL)", name="failed"),
        sa.UniqueConstraint("exam_id", "version", "model_digest"),
    )
