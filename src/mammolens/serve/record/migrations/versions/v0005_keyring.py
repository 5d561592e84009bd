"""The key of pseudonyms, encrypted with the key of the settings, so that the latter can change."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0005"
down_revision: str | None = "v0004"


def upgrade() -> None:
    """Make the table of the key."""
    make_tables(revision, "keyring")
