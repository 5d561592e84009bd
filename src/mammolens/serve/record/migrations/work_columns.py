"""The columns that jobs, deliveries and procedure steps had when their tables were made."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from mammolens.serve.record.utc import UtcTime

__all__ = ["work_columns"]


def work_columns(table: str) -> tuple[SchemaItem, ...]:
    """Give the columns and constraints of leased work.

    Existing databases have these columns: a change of a column needs a new migration, and this
    function must not change.
    """
    return (
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=True),
        sa.Column("worker", sa.String(length=128), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(state = 'running') = (token IS NOT NULL)"
            " AND (state = 'running') = (lease_until IS NOT NULL)",
            name=f"ck_{table}_held",
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'dead')) = (finished_at IS NOT NULL)", name=f"ck_{table}_finished"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'dead')", name=f"ck_{table}_state"
        ),
    )
