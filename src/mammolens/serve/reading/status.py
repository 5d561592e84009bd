"""How far the reading of an exam is, as SQL over `EXAMS`, for lists that filter by it."""

from __future__ import annotations

from enum import Enum
from typing import Any

import sqlalchemy as sa

from mammolens.serve.record import (
    EXAMS,
    PEOPLE,
    READINGS,
    ROUNDS,
    ReadingState,
    RoundState,
    of_exam,
)

__all__ = ["ReadingStatus", "reader_id", "reader_name", "reading_status"]


class ReadingStatus(str, Enum):
    """Where an exam stands for its readers."""

    NEW = "new"
    """Nobody has begun, or images came after the answer that stands."""
    IN_READING = "in_reading"
    READ = "read"
    """One of two readers has signed."""
    ARBITRATION = "arbitration"
    SIGNED = "signed"


def reading_status() -> sa.Case[str]:
    """Give the `ReadingStatus` of a row of `EXAMS`.

    An answer that was signed before the newest images came does not count: the exam is new again.
    """
    rounds = of_exam(ROUNDS.c.exam_id == EXAMS.c.id)
    is_open = rounds.where(ROUNDS.c.state == RoundState.OPEN.value)
    has_signed = is_open.where(
        READINGS.c.round_id == ROUNDS.c.id, READINGS.c.state == ReadingState.SIGNED.value
    )
    decided = rounds.where(
        ROUNDS.c.state == RoundState.DECIDED.value, ROUNDS.c.version == EXAMS.c.version
    )
    return sa.case(
        (
            rounds.where(ROUNDS.c.state == RoundState.DISPUTED.value),
            ReadingStatus.ARBITRATION.value,
        ),
        (has_signed, ReadingStatus.READ.value),
        (is_open, ReadingStatus.IN_READING.value),
        (decided, ReadingStatus.SIGNED.value),
        else_=ReadingStatus.NEW.value,
    )


def reader_id() -> sa.ScalarSelect[int]:
    """Give who works on a row of `EXAMS`, or worked on it last; NULL: nobody."""
    return _newest(READINGS.c.person_id)


def reader_name() -> sa.ScalarSelect[str]:
    """Give the display name of the person of `reader_id`."""
    return _newest(PEOPLE.c.display_name)


def _newest(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    return (
        sa.select(column)
        .join_from(READINGS, PEOPLE, PEOPLE.c.id == READINGS.c.person_id)
        .where(READINGS.c.exam_id == EXAMS.c.id, READINGS.c.round_id.is_not(None))
        .order_by(READINGS.c.changed_at.desc(), READINGS.c.id.desc())
        .limit(1)
        .correlate(EXAMS)
        .scalar_subquery()
    )
