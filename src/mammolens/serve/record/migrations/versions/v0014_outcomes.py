"""Pathology reports, outcomes, decisions about them, and scores of a second model."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0014"
down_revision: str | None = "v0013"


def upgrade() -> None:
    """Make empty tables; the new columns (machine, breasts) of existing rows stay empty."""
    add_parts(revision, "exams", "results")
    make_tables(revision, "pathology_reports", "outcomes", "outcome_decisions", "shadow_scores")
