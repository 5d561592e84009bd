"""What archives were asked to commit themselves to, and which studies are kept as priors."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0002"
down_revision: str | None = "v0001"


def upgrade() -> None:
    """Make the tables of commitments and priors."""
    make_tables(revision, "commitments", "priors")
