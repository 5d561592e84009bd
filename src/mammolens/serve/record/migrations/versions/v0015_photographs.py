"""Uploads that are photographs of films, with what a person stated about them."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import add_parts

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0015"
down_revision: str | None = "v0014"


def upgrade() -> None:
    """Add an empty column."""
    add_parts(revision, "uploads")
