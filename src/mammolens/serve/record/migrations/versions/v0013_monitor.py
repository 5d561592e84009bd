"""The drift monitor, its alarms, and messages to people by e-mail and webhook."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0013"
down_revision: str | None = "v0012"


def upgrade() -> None:
    """Make empty tables: monitors learn from the exams that come from now on."""
    add_parts(revision, "people", "sites")
    make_tables(revision, "observations", "monitors", "alarms", "alerts")
