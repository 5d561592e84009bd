"""What is stated of a patient beside the images of an exam."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0012"
down_revision: str | None = "v0011"


def upgrade() -> None:
    """Make an empty table."""
    make_tables(revision, "clinical_items")
