"""Tables as migrations make them, with the names of constraints that `table_parts` gives.

Existing databases have what these functions made: a change of a table needs a new migration, and
nothing here may change.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from mammolens.serve.record.table_parts import NAMES, UtcTime

__all__ = ["make_numbered_table", "make_table", "work_columns"]


def make_table(name: str, *parts: SchemaItem, numbered: bool = False) -> None:
    """Make a table with its indexes; what its foreign keys refer to is there already."""
    metadata = sa.MetaData(naming_convention=NAMES)
    table = sa.Table(name, metadata, *parts, sqlite_autoincrement=numbered)
    for key in table.foreign_keys:
        referred, _, column = key.target_fullname.partition(".")
        if referred not in metadata.tables:
            sa.Table(referred, metadata, sa.Column(column, sa.Integer))
    table.create(op.get_bind())


def make_numbered_table(name: str, *parts: SchemaItem) -> None:
    """Make a table whose rows have numbers; no number is used twice, also not of deleted rows."""
    make_table(name, sa.Column("id", sa.Integer, primary_key=True), *parts, numbered=True)


def work_columns() -> tuple[SchemaItem, ...]:
    """Give the columns and constraints of leased work."""
    return (
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", UtcTime, nullable=False),
        sa.Column("token", sa.String(36)),
        sa.Column("worker", sa.String(128)),
        sa.Column("lease_until", UtcTime),
        sa.Column("error", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("finished_at", UtcTime),
        sa.CheckConstraint(
            "(state = 'running') = (token IS NOT NULL)"
            " AND (state = 'running') = (lease_until IS NOT NULL)",
            name="held",
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name="finished"
        ),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'dead')", name="state"),
    )
