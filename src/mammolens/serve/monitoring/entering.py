"""What one result, or one decision of readers, adds to the monitors.

Only the first result of an exam counts, and the first decision: an exam that is analysed again
because a view came late is still one exam.
"""

from __future__ import annotations

import json
from typing import Final

import sqlalchemy as sa

from mammolens.monitor import ExamValues, disagreement
from mammolens.serve.record import EXAMS, OBSERVATIONS, RESULTS, Database, insert_once

__all__ = ["enter_decision", "enter_result"]

_DIGITS: Final = 6


def enter_result(
    database: Database, connection: sa.Connection, exam_id: int, result_id: int, exam: ExamValues
) -> None:
    """Enter the measures of an exam, within the transaction of its first result."""
    _enter(database, connection, exam_id, f"result:{result_id}", exam)


def enter_decision(
    database: Database, connection: sa.Connection, exam_id: int, round_id: int, recall: bool | None
) -> None:
    """Enter whether readers and AI differ, within the transaction of a decision.

    Nothing is entered of an exam that was decided before, or whose result nobody has watched.
    """
    watched = sa.select(OBSERVATIONS).where(OBSERVATIONS.c.exam_id == exam_id)
    rows = connection.execute(watched.order_by(OBSERVATIONS.c.id)).all()
    if not rows or any(row.source.startswith("round:") for row in rows):
        return
    newest = sa.select(RESULTS.c.category).where(RESULTS.c.exam_id == exam_id)
    category = connection.execute(newest.order_by(RESULTS.c.revision.desc()).limit(1)).scalar()
    values = disagreement(category, recall)
    if values:
        first = rows[0]
        exam = ExamValues(values, first.machine, first.software, first.model)
        _enter(database, connection, exam_id, f"round:{round_id}", exam)


def _enter(
    database: Database, connection: sa.Connection, exam_id: int, source: str, exam: ExamValues
) -> None:
    site = connection.execute(sa.select(EXAMS.c.site_id).where(EXAMS.c.id == exam_id)).scalar_one()
    measures = {name: round(value, _DIGITS) for name, value in exam.values.items()}
    row = {
        "source": source,
        "exam_id": exam_id,
        "site_id": site,
        "machine": exam.machine,
        "software": exam.software,
        "model": exam.model[:200],
        "measures": json.dumps(measures, separators=(",", ":"), allow_nan=False),
        "created_at": database.now(connection),
        "taken": False,
    }
    insert_once(connection, OBSERVATIONS, row)
