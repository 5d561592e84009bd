"""SQL conditions that several modules share, and a way to use long lists in statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import sqlalchemy as sa

from mammolens.serve.record.reading_tables import (
    ADDENDA,
    AI_VIEWS,
    NOTICES,
    OPINIONS,
    READINGS,
    RECALLS,
    ROUNDS,
    RoundState,
)
from mammolens.serve.record.tables import DELIVERIES, EXAMS, PRIORS, RESULTS, WorkState

__all__ = [
    "CURRENT",
    "IN_HANDS",
    "IS_PRIOR",
    "OVERTAKEN",
    "SUPERSEDED",
    "WAITS",
    "batches",
    "of_exam",
    "without_readings",
]

T = TypeVar("T")
MOST_VALUES: Final = 500
"""Values in one statement: SQLite takes 32,766, and 999 before version 3.32."""

IS_PRIOR: Final = (
    sa.select(PRIORS.c.id).where(PRIORS.c.study_instance_uid == EXAMS.c.study_instance_uid).exists()
)
"""Exams that were fetched for comparison (priors)."""

WAITS: Final = sa.and_(EXAMS.c.version > EXAMS.c.queued_version, ~IS_PRIOR)
"""Exams that changed since their last job, and are not priors."""

_NEWER: Final = RESULTS.alias()
SUPERSEDED: Final = sa.select(_NEWER.c.id).where(_NEWER.c.supersedes == RESULTS.c.id).exists()
"""Results that a newer result of the same exam replaces."""

CURRENT: Final = sa.and_(
    ~SUPERSEDED,
    sa.or_(
        RESULTS.c.category != "low",
        sa.select(EXAMS.c.id)
        .where(EXAMS.c.id == RESULTS.c.exam_id, EXAMS.c.category == "low")
        .correlate(RESULTS)
        .exists(),
    ),
)
"""Results that no newer one replaces, and that say `low` only of an exam that is still low: more
images may have come since."""

_LATER: Final = DELIVERIES.alias()
OVERTAKEN: Final = (
    sa.select(_LATER.c.id)
    .where(
        _LATER.c.exam_id == DELIVERIES.c.exam_id,
        _LATER.c.route == DELIVERIES.c.route,
        _LATER.c.revision > DELIVERIES.c.revision,
        _LATER.c.state.in_((WorkState.RUNNING.value, WorkState.DONE.value)),
    )
    .exists()
)
"""Deliveries for which a later result of the exam was sent by the same route, or is being sent."""


def of_exam(*where: sa.ColumnElement[bool]) -> sa.Exists:
    """Ask whether there is something about a row of `EXAMS`, whatever else the query joins."""
    return sa.exists().where(*where).correlate(EXAMS)


def _of_exam(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Exists:
    return of_exam(table.c.exam_id == EXAMS.c.id, *where)


IN_HANDS: Final = sa.or_(
    _of_exam(ROUNDS, ROUNDS.c.state != RoundState.DECIDED.value),
    _of_exam(RECALLS, RECALLS.c.closed_at.is_(None)),
    _of_exam(NOTICES, NOTICES.c.acknowledged_at.is_(None)),
    _of_exam(OPINIONS, OPINIONS.c.ended_at.is_(None)),
)
"""Exams that somebody reads, is asked about, must acknowledge or has to call back."""


def without_readings(exam_ids: Sequence[int]) -> Iterator[sa.Delete]:
    """Give the statements, in their order, that delete all that people answered about exams."""
    readings = sa.select(READINGS.c.id).where(READINGS.c.exam_id.in_(exam_ids))
    yield ADDENDA.delete().where(ADDENDA.c.reading_id.in_(readings))
    for table in (NOTICES, RECALLS, READINGS, OPINIONS, ROUNDS, AI_VIEWS):
        yield table.delete().where(table.c.exam_id.in_(exam_ids))


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split values into groups that fit into one statement.

    Examples
    --------
    >>> [len(batch) for batch in batches(range(1001))]
    [500, 500, 1]
    """
    for start in range(0, len(values), MOST_VALUES):
        yield values[start : start + MOST_VALUES]
