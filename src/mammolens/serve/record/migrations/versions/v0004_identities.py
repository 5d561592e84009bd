"""The table of encrypted identities."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_table

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0004"
down_revision: str | None = "v0003"


def upgrade() -> None:
    """Make the table of sealed identities."""
    make_table(
        "identities",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
