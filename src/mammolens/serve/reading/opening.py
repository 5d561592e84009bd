"""A reading begins: in the round of its exam, as an arbiter's, or as an opinion that was asked for.

Several readers may begin at the same time; which of their answers stands is settled when they sign.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mammolens.readings import Answer
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading.records import (
    Reading,
    lock_exam,
    newest_result_id,
    newest_round,
    read_readings,
)
from mammolens.serve.record import (
    OPINIONS,
    READINGS,
    ROUNDS,
    SITES,
    Database,
    PersonRole,
    ReadingMode,
    ReadingRole,
    ReadingState,
    RoundState,
    audit,
)

__all__ = ["begin_arbitration", "begin_reading"]


def begin_reading(database: Database, person: Person, exam_id: int) -> tuple[Reading, bool]:
    """Begin to read an exam, or give what the person has begun; says whether it is new.

    Who reads at the site of the exam reads it there; who was asked for an opinion gives that.

    Raises
    ------
    Refused
        The person may not know of the exam or not read it, its answer stands already, or two
        readers disagree about it.
    """
    with database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        lock_exam(connection, exam_id)
        if person.may(PersonRole.READER, exam.site_id):
            mine, values = _as_reader(database, connection, person, exam)
        else:
            mine, values = _as_asked(connection, person, exam_id)
        if mine is not None:
            return mine, False
        return _insert(database, connection, person, exam, values), True


def begin_arbitration(database: Database, person: Person, exam_id: int) -> tuple[Reading, bool]:
    """Begin to decide between two readers, or give what the person has begun.

    Raises
    ------
    Refused
        The person may not know of the exam, is no arbiter at its site, or has read it themselves;
        or there is nothing to decide.
    """
    with database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        lock_exam(connection, exam_id)
        if not person.may(PersonRole.ARBITER, exam.site_id):
            raise Refused(Refusal.NOT_ALLOWED)
        current = newest_round(connection, exam_id)
        if current is None or current.state == RoundState.OPEN.value:
            raise Refused(Refusal.STAGE)
        mine = _mine(connection, person, current.id)
        if mine is not None and mine.role is ReadingRole.ARBITER:
            return mine, False
        if current.state == RoundState.DECIDED.value:
            raise Refused(Refusal.ALREADY_SIGNED)
        if mine is not None:
            raise Refused(Refusal.NOT_ALLOWED)
        values = {"role": ReadingRole.ARBITER.value, "round_id": current.id}
        return _insert(database, connection, person, exam, values), True


def _as_reader(
    database: Database, connection: sa.Connection, person: Person, exam: sa.Row[Any]
) -> tuple[Reading | None, dict[str, Any]]:
    """Find the person's reading in the round that is open, which is opened if there is none."""
    current = newest_round(connection, exam.id)
    is_over = current is not None and current.state == RoundState.DECIDED.value
    if current is None or (is_over and current.version != exam.version):
        number = current.number + 1 if current is not None else 1
        current = _open_round(database, connection, exam, number)
        is_over = False
    mine = _mine(connection, person, current.id)
    if mine is None and is_over:
        raise Refused(Refusal.ALREADY_SIGNED)
    if mine is None and current.state == RoundState.DISPUTED.value:
        raise Refused(Refusal.IN_ARBITRATION)
    return mine, {"role": ReadingRole.READER.value, "round_id": current.id}


def _as_asked(
    connection: sa.Connection, person: Person, exam_id: int
) -> tuple[Reading | None, dict[str, Any]]:
    asked = sa.select(OPINIONS.c.id).where(
        OPINIONS.c.exam_id == exam_id,
        OPINIONS.c.person_id == person.id,
        OPINIONS.c.ended_at.is_(None),
    )
    opinion = connection.execute(asked).scalar_one_or_none()
    if opinion is None:
        raise Refused(Refusal.NOT_ALLOWED)
    found = read_readings(connection, READINGS.c.opinion_id == opinion)
    return (found[0] if found else None), {
        "role": ReadingRole.OPINION.value,
        "opinion_id": opinion,
    }


def _open_round(
    database: Database, connection: sa.Connection, exam: sa.Row[Any], number: int
) -> sa.Row[Any]:
    double = sa.select(SITES.c.double_reading).where(SITES.c.id == exam.site_id)
    opening = ROUNDS.insert().values(
        exam_id=exam.id,
        number=number,
        is_double=bool(connection.execute(double).scalar_one_or_none()),
        state=RoundState.OPEN.value,
        opened_at=database.now(connection),
    )
    made = connection.execute(opening.returning(ROUNDS.c.id)).scalar_one()
    return connection.execute(sa.select(ROUNDS).where(ROUNDS.c.id == made)).one()


def _mine(connection: sa.Connection, person: Person, round_id: int) -> Reading | None:
    found = read_readings(
        connection, READINGS.c.round_id == round_id, READINGS.c.person_id == person.id
    )
    return found[0] if found else None


def _insert(
    database: Database,
    connection: sa.Connection,
    person: Person,
    exam: sa.Row[Any],
    values: dict[str, Any],
) -> Reading:
    now = database.now(connection)
    asked = sa.select(SITES.c.reading_mode).where(SITES.c.id == exam.site_id)
    mode = ReadingMode(
        connection.execute(asked).scalar_one_or_none() or ReadingMode.SECOND_READER.value
    )
    if values["role"] == ReadingRole.ARBITER.value and mode is ReadingMode.SECOND_READER:
        # Both readers have answered; the arbiter decides with everything in sight.
        mode = ReadingMode.CONCURRENT
    result = newest_result_id(connection, exam.id) if mode is ReadingMode.CONCURRENT else None
    row = {
        "exam_id": exam.id,
        "person_id": person.id,
        "state": ReadingState.DRAFT.value,
        "mode": mode.value,
        "exam_version": exam.version,
        "edition": 1,
        "answer": Answer().model_dump_json(),
        "ai_result_id": result,
        "created_at": now,
        "changed_at": now,
    }
    made = connection.execute(READINGS.insert().values(row | values).returning(READINGS.c.id))
    (reading,) = read_readings(connection, READINGS.c.id == made.scalar_one())
    detail: audit.Detail = {
        "reading": reading.id,
        "role": reading.role.value,
        "version": exam.version,
    }
    audit.append(database, connection, person.actor, "reading_opened", exam.id, detail)
    return reading
