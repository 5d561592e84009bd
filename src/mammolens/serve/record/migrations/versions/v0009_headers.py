"""What DICOMweb is asked for, taken from the headers of objects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0009"
down_revision: str | None = "v0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make an empty table, which is filled when somebody asks."""
    op.create_table(
        "headers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=True),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("study_date", sa.String(length=8), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("can_decode", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.CheckConstraint("(instance_id IS NULL) <> (file_id IS NULL)", name="ck_headers_object"),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_headers_exam_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name="fk_headers_instance_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name="fk_headers_file_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_headers"),
        sa.UniqueConstraint("instance_id", name="uq_headers_instance_id"),
        sa.UniqueConstraint("file_id", name="uq_headers_file_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_headers_exam", "headers", ["exam_id", "id"], unique=False)
    op.create_index("ix_headers_sop_instance_uid", "headers", ["sop_instance_uid"], unique=False)


def downgrade() -> None:
    """Remove the table; nothing is lost."""
    op.drop_table("headers")
