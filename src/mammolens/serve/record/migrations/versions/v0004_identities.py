"""The table of encrypted identities."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0004"
down_revision: str | None = "v0003"


def upgrade() -> None:
    """Make the table of sealed identities."""
    make_tables(revision, "identities")
