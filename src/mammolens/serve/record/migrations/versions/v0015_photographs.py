"""Uploads that are photographs of films, with what a person said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0015"
down_revision: str | None = "v0014"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add an empty column."""
    op.add_column("uploads", sa.Column("photograph", sa.Text(), nullable=True))


def downgrade() -> None:
    """Remove the column: photographs that are not received yet are refused as files."""
    op.drop_column("uploads", "photograph")
