"""Readings as the database holds them, who may see how much of them, and how far an exam is read.

`reading_status` and `reader_id` are SQL over `EXAMS`, for lists that filter by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from mammolens.core import Laterality
from mammolens.readings import Answer
from mammolens.serve.people import Named, Person, Refusal, Refused
from mammolens.serve.record import (
    ADDENDA,
    EXAMS,
    INSTANCES,
    OPINIONS,
    PEOPLE,
    READINGS,
    RESULTS,
    ROUNDS,
    PersonRole,
    ReadingMode,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    Role,
    RoundState,
    from_row,
    of_exam,
)

__all__ = [
    "Addendum",
    "PatientName",
    "Reading",
    "ReadingStatus",
    "breasts_of",
    "check_still_reads",
    "lock_exam",
    "newest_result",
    "newest_result_id",
    "newest_round",
    "own_reading",
    "read_readings",
    "reader_id",
    "reader_name",
    "reading_status",
    "without_ai",
]

PatientName = Annotated[str | None, Field(description="as DICOM writes it")]


@dataclass(frozen=True)
class Addendum:
    """What was added to a signed reading."""

    id: int
    person: Named
    text: str
    created_at: datetime


@dataclass(frozen=True)
class Reading:
    """What one person answered about an exam; see `mammolens.serve.record.READINGS`."""

    id: int
    exam_id: int
    round_id: int | None
    opinion_id: int | None
    person: Named
    role: ReadingRole
    slot: ReadingSlot | None
    state: ReadingState
    mode: ReadingMode
    exam_version: int
    edition: int
    answer: Answer
    first_answer: Answer | None
    first_version: int | None
    blinded: bool | None
    agreed: bool | None
    ai_result_id: int | None
    created_at: datetime
    changed_at: datetime
    locked_at: datetime | None
    revised_at: datetime | None
    signed_at: datetime | None
    addenda: tuple[Addendum, ...] = ()


def read_readings(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Reading]:
    """Read readings with their addenda, the oldest first."""
    asked = (
        sa.select(READINGS, PEOPLE.c.display_name)
        .join(PEOPLE, PEOPLE.c.id == READINGS.c.person_id)
        .where(*where)
        .order_by(READINGS.c.id)
    )
    rows = connection.execute(asked).all()
    added = _addenda(connection, [row.id for row in rows if row.signed_at is not None])
    return [_reading(row, added.get(row.id, ())) for row in rows]


def own_reading(connection: sa.Connection, person: Person, reading_id: int) -> Reading:
    """Read a reading of the person who asks.

    Raises
    ------
    Refused
        Nothing has this number, or it is somebody else's: both give the same answer.
    """
    found = read_readings(
        connection, READINGS.c.id == reading_id, READINGS.c.person_id == person.id
    )
    if not found:
        raise Refused(Refusal.UNKNOWN)
    return found[0]


def check_still_reads(
    connection: sa.Connection, person: Person, reading: Reading, exam: sa.Row[Any]
) -> None:
    """Refuse an answer of somebody who has lost the right to give it since they began.

    Raises
    ------
    Refused
    """
    roles = {
        ReadingRole.READER: PersonRole.READER,
        ReadingRole.ARBITER: PersonRole.ARBITER,
    }
    if reading.role is ReadingRole.OPINION:
        ended = sa.select(OPINIONS.c.ended_at).where(OPINIONS.c.id == reading.opinion_id)
        may = connection.execute(ended).scalar_one() is None
    else:
        may = person.may(roles[reading.role], exam.site_id)
    if not may:
        raise Refused(Refusal.NOT_ALLOWED)


def without_ai(reading: Reading) -> Reading:
    """Give a reading as those see it who may not see the AI: without what came of seeing it."""
    return replace(reading, first_answer=None, agreed=None, revised_at=None)


def lock_exam(connection: sa.Connection, exam_id: int) -> None:
    """Let nobody else change the readings of an exam until the transaction ends.

    SQLite has one writer at a time anyway.
    """
    locked = sa.select(EXAMS.c.id).where(EXAMS.c.id == exam_id).with_for_update()
    connection.execute(locked).one()


def newest_round(connection: sa.Connection, exam_id: int) -> sa.Row[Any] | None:
    """Give the row of the newest round in which an exam is or was read."""
    asked = (
        sa.select(ROUNDS)
        .where(ROUNDS.c.exam_id == exam_id)
        .order_by(ROUNDS.c.number.desc())
        .limit(1)
    )
    return connection.execute(asked).one_or_none()


def newest_result(connection: sa.Connection, exam_id: int) -> sa.Row[Any] | None:
    """Give the row of the newest result of an exam; ``None``: it has none."""
    mine = sa.select(RESULTS).where(RESULTS.c.exam_id == exam_id)
    return connection.execute(mine.order_by(RESULTS.c.revision.desc()).limit(1)).one_or_none()


def newest_result_id(connection: sa.Connection, exam_id: int) -> int | None:
    """Give the number of the newest result of an exam; ``None``: it has none."""
    row = newest_result(connection, exam_id)
    return None if row is None else int(row.id)


def breasts_of(connection: sa.Connection, exam_id: int) -> frozenset[Laterality]:
    """Give the breasts of which an exam has images, as far as their headers say."""
    asked = (
        sa.select(INSTANCES.c.view)
        .where(INSTANCES.c.exam_id == exam_id, INSTANCES.c.role == Role.INPUT.value)
        .distinct()
    )
    views = [view for view in connection.execute(asked).scalars() if view]
    return frozenset(Laterality(view[0]) for view in views if view[0] in "RL")


def _addenda(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[Addendum, ...]]:
    if not ids:
        return {}
    asked = (
        sa.select(ADDENDA, PEOPLE.c.display_name)
        .join(PEOPLE, PEOPLE.c.id == ADDENDA.c.person_id)
        .where(ADDENDA.c.reading_id.in_(ids))
        .order_by(ADDENDA.c.id)
    )
    found: dict[int, tuple[Addendum, ...]] = {}
    for row in connection.execute(asked):
        said = from_row(Addendum, row, person=Named(row.person_id, row.display_name))
        found[row.reading_id] = (*found.get(row.reading_id, ()), said)
    return found


def _reading(row: sa.Row[Any], addenda: tuple[Addendum, ...]) -> Reading:
    first = row.first_answer
    return from_row(
        Reading,
        row,
        person=Named(row.person_id, row.display_name),
        answer=Answer.model_validate_json(row.answer),
        first_answer=Answer.model_validate_json(first) if first else None,
        addenda=addenda,
    )


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
