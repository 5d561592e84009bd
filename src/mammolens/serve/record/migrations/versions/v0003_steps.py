"""Procedure steps that the node performs, and its processes with the time of their last sign."""

from __future__ import annotations

from mammolens.serve.record.migrations.steps import make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0003"
down_revision: str | None = "v0002"


def upgrade() -> None:
    """Make the tables of steps and processes."""
    make_tables(revision, "processes", "steps")
