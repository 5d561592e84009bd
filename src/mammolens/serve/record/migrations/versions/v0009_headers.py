"""What DICOMweb is asked for, taken from the headers of objects."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.migrations.new_tables import make_numbered_table

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0009"
down_revision: str | None = "v0008"


def upgrade() -> None:
    """Make an empty table, which is filled when somebody asks."""
    make_numbered_table(
        "headers",
        sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
        sa.Column("instance_id", sa.ForeignKey("instances.id", ondelete="CASCADE"), unique=True),
        sa.Column("file_id", sa.ForeignKey("files.id", ondelete="CASCADE"), unique=True),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False, index=True),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("modality", sa.String(16)),
        sa.Column("study_date", sa.String(8)),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("can_decode", sa.Boolean, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.CheckConstraint("(instance_id IS NULL) <> (file_id IS NULL)", name="object"),
        sa.Index("ix_headers_exam", "exam_id", "id"),
    )
