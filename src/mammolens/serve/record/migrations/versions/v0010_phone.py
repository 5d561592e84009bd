"""Devices that keep data of a person, and answers for requests that are sent twice."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0010"
down_revision: str | None = "v0009"


def upgrade() -> None:
    """Make empty tables."""
    make_tables(revision, "devices", "repeats")
