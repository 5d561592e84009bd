"""Which readings of others a person sees, and how much of them.

Drafts are nobody else's. Who still has to answer sees no other answer: neither the first reader's
nor an opinion. Who may not see the AI sees no trace of it in what others answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mammolens.readings import disagreements
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading.records import Reading, newest_round, read_readings, without_ai
from mammolens.serve.reading.visibility import may_see_ai
from mammolens.serve.record import (
    OPINIONS,
    READINGS,
    Database,
    PersonRole,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    RoundState,
    audit,
)

__all__ = ["Dispute", "list_readings", "read_dispute", "visible_reading"]


@dataclass(frozen=True)
class Dispute:
    """Two readings side by side, and what they differ in by the names of the form."""

    exam_id: int
    first: Reading
    second: Reading
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Stand:
    """How a person stands to the reading of an exam."""

    works_here: bool
    reads: bool
    arbitrates: bool
    has_begun: bool
    has_signed: bool
    round_id: int | None
    state: RoundState
    asked: frozenset[int]
    """Opinions that the person asked for."""


def list_readings(connection: sa.Connection, person: Person, exam_id: int) -> list[Reading]:
    """List the readings of an exam that a person may see now, the oldest first.

    Raises
    ------
    Refused
        The person may not know of the exam.
    """
    exam = visible_exam(connection, person, exam_id)
    found = read_readings(connection, READINGS.c.exam_id == exam_id)
    stand = _stand(connection, person, exam, found)
    sees_ai = may_see_ai(connection, person, exam_id)
    return [
        reading if sees_ai or reading.person.id == person.id else without_ai(reading)
        for reading in found
        if reading.person.id == person.id or _is_shown(reading, stand)
    ]


def visible_reading(connection: sa.Connection, person: Person, reading_id: int) -> Reading:
    """Read a reading that a person may see now.

    Raises
    ------
    Refused
        Nothing has this number, or the person may not see it: both give the same answer.
    """
    asked = sa.select(READINGS.c.exam_id).where(READINGS.c.id == reading_id)
    exam_id = connection.execute(asked).scalar_one_or_none()
    if exam_id is None:
        raise Refused(Refusal.UNKNOWN)
    for reading in list_readings(connection, person, exam_id):
        if reading.id == reading_id:
            return reading
    raise Refused(Refusal.UNKNOWN)


def read_dispute(database: Database, person: Person, exam_id: int) -> Dispute:
    """Give both readings of an exam about which two readers disagreed.

    Raises
    ------
    Refused
        The person does not arbitrate at the exam's site, or has read the exam; or two readers have
        not disagreed.
    """
    with database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        if not person.may(PersonRole.ARBITER, exam.site_id):
            raise Refused(Refusal.NOT_ALLOWED)
        current = newest_round(connection, exam_id)
        if current is None or current.state == RoundState.OPEN.value:
            raise Refused(Refusal.STAGE)
        found = read_readings(connection, READINGS.c.round_id == current.id)
        slots = {reading.slot: reading for reading in found if reading.slot is not None}
        if ReadingSlot.SECOND not in slots:
            raise Refused(Refusal.STAGE)
        if any(  # They read the exam in this round, but did not sign as first or second.
            one.person.id == person.id and one.role is ReadingRole.READER and one.slot is None
            for one in found
        ):
            raise Refused(Refusal.NOT_ALLOWED)
        first, second = slots[ReadingSlot.FIRST], slots[ReadingSlot.SECOND]
        differences = disagreements(first.answer, second.answer)
        if not may_see_ai(connection, person, exam_id):
            first, second = without_ai(first), without_ai(second)
        audit.append(database, connection, person.actor, "dispute_seen", exam_id)
    return Dispute(exam_id, first, second, tuple(differences))


def _stand(
    connection: sa.Connection, person: Person, exam: sa.Row[Any], found: Sequence[Reading]
) -> _Stand:
    current = newest_round(connection, exam.id)
    round_id = current.id if current is not None else None
    mine = [one for one in found if one.person.id == person.id and one.round_id == round_id]
    mine = [one for one in mine if one.role is not ReadingRole.OPINION]
    asked = sa.select(OPINIONS.c.id).where(
        OPINIONS.c.exam_id == exam.id, OPINIONS.c.asked_by == person.id
    )
    return _Stand(
        works_here=person.is_administrator or exam.site_id in person.sites,
        reads=person.may(PersonRole.READER, exam.site_id),
        arbitrates=person.may(PersonRole.ARBITER, exam.site_id),
        has_begun=bool(mine),
        has_signed=any(one.state is ReadingState.SIGNED for one in mine),
        round_id=round_id,
        # Without a round nobody answers yet, so no answer must be hidden.
        state=RoundState(current.state) if current is not None else RoundState.DECIDED,
        asked=frozenset(connection.execute(asked).scalars()),
    )


def _is_shown(reading: Reading, stand: _Stand) -> bool:
    """Whether somebody sees what another has signed."""
    if reading.state is not ReadingState.SIGNED or not stand.works_here:
        return False  # who works elsewhere was asked for their own opinion, and nothing else
    if stand.state is RoundState.DECIDED or stand.has_signed:
        return True
    if reading.role is ReadingRole.OPINION:
        return not stand.has_begun and reading.opinion_id in stand.asked
    if reading.round_id != stand.round_id:
        return not stand.reads  # readers of a new round do not see how the one before ended
    return stand.state is RoundState.DISPUTED and stand.arbitrates and not stand.has_begun
