"""What DICOMweb is asked for, taken from the headers of objects when they are first needed.

A row repeats what its object says, so it may be made again at any time; it goes with its object.
Objects without identity give rows without identity.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA

__all__ = ["HEADERS"]

HEADERS: Final = sa.Table(
    "headers",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instances.id", ondelete="CASCADE"), unique=True),
    sa.Column("file_id", sa.ForeignKey("files.id", ondelete="CASCADE"), unique=True),
    sa.Column("series_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
    sa.Column("modality", sa.String(16)),
    sa.Column("study_date", sa.String(8)),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("can_decode", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.CheckConstraint("(instance_id IS NULL) <> (file_id IS NULL)", name="object"),
    sqlite_autoincrement=True,
)
"""Of a received object (`instance_id`) or of one of our results (`file_id`); `attributes` is in the
DICOM JSON Model, and holds what can be searched for. `frames` is 0 where there is no picture,
`can_decode` says whether the frames can be given uncompressed."""

sa.Index("ix_headers_exam", HEADERS.c.exam_id, HEADERS.c.id)
sa.Index("ix_headers_sop_instance_uid", HEADERS.c.sop_instance_uid)
