"""Readings as the database holds them, and who may see how much of somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.core import Laterality
from mammolens.readings import Answer
from mammolens.serve.people import Person, Refusal, Refused
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
)

__all__ = [
    "Addendum",
    "Reading",
    "breasts_of",
    "check_still_reads",
    "lock_exam",
    "newest_result",
    "newest_round",
    "own_reading",
    "read_readings",
    "without_ai",
]


@dataclass(frozen=True)
class Addendum:
    """What was added to a signed reading."""

    id: int
    person_id: int
    person_name: str
    text: str
    exam_version: int
    created_at: datetime


@dataclass(frozen=True)
class Reading:
    """What one person answered about an exam; see `mammolens.serve.record.READINGS`."""

    id: int
    exam_id: int
    round_id: int | None
    opinion_id: int | None
    person_id: int
    person_name: str
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


def newest_result(connection: sa.Connection, exam_id: int) -> int | None:
    """Give the number of the newest result of an exam; ``None``: it has none."""
    asked = (
        sa.select(RESULTS.c.id)
        .where(RESULTS.c.exam_id == exam_id)
        .order_by(RESULTS.c.revision.desc())
        .limit(1)
    )
    return connection.execute(asked).scalar_one_or_none()


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
        said = Addendum(
            row.id, row.person_id, row.display_name, row.text, row.exam_version, row.created_at
        )
        found[row.reading_id] = (*found.get(row.reading_id, ()), said)
    return found


def _reading(row: sa.Row[Any], addenda: tuple[Addendum, ...]) -> Reading:
    first = row.first_answer
    return Reading(
        id=row.id,
        exam_id=row.exam_id,
        round_id=row.round_id,
        opinion_id=row.opinion_id,
        person_id=row.person_id,
        person_name=row.display_name,
        role=ReadingRole(row.role),
        slot=ReadingSlot(row.slot) if row.slot else None,
        state=ReadingState(row.state),
        mode=ReadingMode(row.mode),
        exam_version=row.exam_version,
        edition=row.edition,
        answer=Answer.model_validate_json(row.answer),
        first_answer=Answer.model_validate_json(first) if first else None,
        first_version=row.first_version,
        blinded=row.blinded,
        agreed=row.agreed,
        ai_result_id=row.ai_result_id,
        created_at=row.created_at,
        changed_at=row.changed_at,
        locked_at=row.locked_at,
        revised_at=row.revised_at,
        signed_at=row.signed_at,
        addenda=addenda,
    )
