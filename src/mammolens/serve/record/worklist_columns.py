"""The columns of an exam that a worklist shows, finds and orders by.

They repeat what headers and results say, so that a list of ten thousand exams is one query: intake
fills those of the header, the worker those of the newest result. Where identity is taken off, they
hold what is left of it. What the AI says stands apart (`VERDICT`): a query may show it only to whom
`mammolens.serve.reading` allows it.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from mammolens.serve.record.table_parts import since

__all__ = ["UNKNOWN_RANK", "VERDICT", "worklist_columns"]

UNKNOWN_RANK: Final = 2
"""Place of an exam of which nothing is known yet, or whose category must not show: beside those
whose category was withheld. A lower number is read sooner."""
VERDICT: Final = (
    *("rank", "category", "score", "prevalence", "doubts", "failure", "model", "revision"),
)
"""Columns that say something of the newest result."""


def worklist_columns() -> tuple[SchemaItem, ...]:
    """Give the columns, an index for each order of the list, and one for the exams of a patient.

    `birth_date` and `study_date` are YYYY-MM-DD; `patient_key` is equal for exams that certainly
    are of one patient within one site; `search_text` is folded text to search in, and ``NULL``
    until a header was looked at; `views` are the standard views that are there, such as ``RCC
    LMLO``; `banner` must be visible wherever the exam is; `score` is P(malignant) of the exam at
    `prevalence`; `doubts` is JSON, a list of [name, text].
    """
    parts: tuple[SchemaItem, ...] = (
        sa.Column("patient_name", sa.String(256)),
        sa.Column("birth_date", sa.String(10)),
        sa.Column("sex", sa.String(16)),
        sa.Column("age_years", sa.Float),
        sa.Column("study_date", sa.String(10)),
        sa.Column("patient_key", sa.String(64)),
        sa.Column("search_text", sa.Text),
        sa.Column("views", sa.String(64)),
        sa.Column("banner", sa.String(200)),
        sa.Column("rank", sa.Integer, nullable=False, server_default=str(UNKNOWN_RANK)),
        sa.Column("category", sa.String(16)),
        sa.Column("score", sa.Float),
        sa.Column("prevalence", sa.Float),
        sa.Column("doubts", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("model", sa.String(200)),
        sa.Column("revision", sa.Integer),
        sa.Index("ix_exams_triage", "rank", "first_received_at", "id", "site_id"),
        sa.Index("ix_exams_received", "first_received_at", "id", "site_id"),
        sa.Index("ix_exams_patient_key", "site_id", "patient_key"),
        sa.Index("ix_exams_patient_name", "patient_name", "id"),
    )
    return (
        *(since("v0008", part) for part in parts),
        since("v0014", sa.Column("machine", sa.String(128))),
    )
