"""Exams of some statuses as sets, which a database makes once for a list of thousands.

`exam_status` says the same of one row; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from mammolens.serve.record import (
    EXAMS,
    JOBS,
    READINGS,
    ROUNDS,
    ReadingState,
    RoundState,
    WorkState,
)
from mammolens.serve.worklist.rows import ExamStatus

__all__ = ["has_status"]


def has_status(wanted: Collection[ExamStatus]) -> sa.ColumnElement[bool]:
    """Say which rows of `EXAMS` have one of some statuses."""
    disputed = _in(_rounds(RoundState.DISPUTED))
    is_open = _in(_rounds(RoundState.OPEN))
    signs = READINGS.c.round_id == ROUNDS.c.id, READINGS.c.state == ReadingState.SIGNED.value
    has_signed = _in(_rounds(RoundState.OPEN).join(READINGS, sa.and_(*signs)))
    # An answer that was signed before the newest images came does not count.
    exam = EXAMS.alias("answered")
    answered = sa.and_(exam.c.id == ROUNDS.c.exam_id, exam.c.version == ROUNDS.c.version)
    decided = _in(_rounds(RoundState.DECIDED).join(exam, answered))
    running = _in(sa.select(JOBS.c.exam_id).where(JOBS.c.state == WorkState.RUNNING.value))
    unread = sa.not_(sa.or_(disputed, is_open, decided))
    has_result = EXAMS.c.category.is_not(None)
    rules = {
        ExamStatus.ARBITRATION: disputed,
        ExamStatus.READ: sa.and_(~disputed, has_signed),
        ExamStatus.IN_READING: sa.and_(~disputed, ~has_signed, is_open),
        ExamStatus.SIGNED: sa.and_(~disputed, ~is_open, decided),
        ExamStatus.NEW: sa.and_(unread, has_result),
        ExamStatus.ANALYSING: sa.and_(unread, ~has_result, running),
        ExamStatus.WAITING: sa.and_(unread, ~has_result, ~running),
    }
    asked = {*wanted}
    if len(asked) <= len(rules) // 2:
        return sa.or_(sa.false(), *(rules[status] for status in asked))
    return sa.not_(sa.or_(sa.false(), *(rule for s, rule in rules.items() if s not in asked)))


def _rounds(state: RoundState) -> sa.Select[Any]:
    return sa.select(ROUNDS.c.exam_id).where(ROUNDS.c.state == state.value)


def _in(ids: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return EXAMS.c.id.in_(ids)
