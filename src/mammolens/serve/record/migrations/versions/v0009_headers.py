"""What DICOMweb is asked for, taken from the headers of objects."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0009"
down_revision: str | None = "v0008"


def upgrade() -> None:
    """Make an empty table, which is filled when somebody asks."""
    make_tables(revision, "headers")
