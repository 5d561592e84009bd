"""Uploads that are photographs of films, with what a person said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0015"
down_revision: str | None = "v0014"


def upgrade() -> None:
    """Add an empty column."""
    op.add_column("uploads", sa.Column("photograph", sa.Text))
