"""What is stated of a patient beside the images of an exam."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0012"
down_revision: str | None = "v0011"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make an empty table."""
    op.create_table(
        "clinical_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("via", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("laterality", sa.String(length=1), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_clinical_items_exam_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_clinical_items"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_clinical_items_exam_id", "clinical_items", ["exam_id", "id"], unique=False)


def downgrade() -> None:
    """Remove the table: what was stated of patients is lost."""
    op.drop_table("clinical_items")
