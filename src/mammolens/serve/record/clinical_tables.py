"""The table of clinical data: what is stated of a patient beside the images of an exam."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = ["CLINICAL_ITEMS"]

CLINICAL_ITEMS: Final = sa.Table(
    "clinical_items",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("via", sa.String(16), nullable=False),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("value", sa.String(64), nullable=False),
    sa.Column("laterality", sa.String(1)),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("stated_on", sa.Date),
    sa.Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
"""`via` is who stated it, ``person`` or ``message``: each replaces its own as a whole. The
`value` is JSON, and `stated_on` is the day for which it was stated."""
sa.Index("ix_clinical_items_exam_id", CLINICAL_ITEMS.c.exam_id, CLINICAL_ITEMS.c.id)
