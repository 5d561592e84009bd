"""The key of pseudonyms, sealed, so that the key that seals may change."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_table

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0005"
down_revision: str | None = "v0004"


def upgrade() -> None:
    """Make the table of the key."""
    make_table(
        "keyring",
        sa.Column("id", sa.Integer, autoincrement=False, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="one"),
    )
