"""What a reader does with a reading: saves it, locks it, keeps or changes it with the AI in sight.

Each step names the edition that the reader has before them, and is one compare-and-set: of two
windows in which the same reading is changed, the second is refused because it is behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from mammolens.readings import Answer, contradictions, missing_fields
from mammolens.serve.people import Person, Refusal, Refused, change_one, visible_exam
from mammolens.serve.reading.records import (
    Reading,
    breasts_of,
    check_still_reads,
    newest_result_id,
    own_reading,
    read_readings,
)
from mammolens.serve.reading.visibility import may_see_ai
from mammolens.serve.record import (
    AI_VIEWS,
    INSTANCES,
    READINGS,
    ROUNDS,
    Database,
    ReadingMode,
    ReadingState,
    RoundState,
    audit,
)

__all__ = [
    "Keep",
    "change_edition",
    "check_edition",
    "check_whole",
    "is_blinded",
    "keep_nothing",
    "lock_answer",
    "look_again",
    "revise_answer",
    "save_draft",
]


NOTED: Final = ("agreed", "blinded", "slot")
"""What the audit trail tells of a change; what was answered stands in the reading alone."""


Keep = Callable[[sa.Connection, Reading], object]
"""What else belongs to a change, in its transaction: the answer that is kept for a repeat."""


def keep_nothing(connection: sa.Connection, made: Reading) -> None:
    """Keep nothing."""


def save_draft(
    database: Database,
    person: Person,
    reading_id: int,
    edition: int,
    answer: Answer,
    keep: Keep = keep_nothing,
) -> Reading:
    """Keep a draft; it may be open anywhere.

    Raises
    ------
    Refused
        The reading is locked, or another window has changed it.
    """
    with database.write() as connection:
        reading = _mine(connection, person, reading_id)
        if reading.state is not ReadingState.DRAFT:
            raise Refused(Refusal.LOCKED)
        check_edition(reading, edition)
        _check_images(connection, reading, answer)
        values = {"answer": answer.model_dump_json()}
        return change_edition(database, connection, person, reading, "reading_saved", values, keep)


def lock_answer(
    database: Database, person: Person, reading_id: int, edition: int, keep: Keep = keep_nothing
) -> Reading:
    """Let the first answer stand for good; in the second-reader mode the AI is shown from now on.

    Raises
    ------
    Refused
        It is locked already, not whole, or behind; or images came since the reader looked.
    """
    with database.write() as connection:
        reading = _mine(connection, person, reading_id)
        if reading.state is not ReadingState.DRAFT:
            raise Refused(Refusal.LOCKED)
        check_edition(reading, edition)
        exam = visible_exam(connection, person, reading.exam_id)
        if exam.version != reading.exam_version:
            raise Refused(Refusal.EXAM_CHANGED)
        _check_open(connection, reading)
        check_whole(connection, reading, reading.answer)
        values = {
            "state": ReadingState.LOCKED.value,
            "first_answer": reading.answer.model_dump_json(),
            "first_version": reading.exam_version,
            "blinded": is_blinded(connection, person, reading),
            "locked_at": database.now(connection),
        }
        return change_edition(database, connection, person, reading, "reading_locked", values, keep)


def revise_answer(
    database: Database,
    person: Person,
    reading_id: int,
    edition: int,
    changes: Answer | None,
    keep: Keep = keep_nothing,
) -> Reading:
    """Keep the first answer with the AI in sight, or change it; both stay.

    Parameters
    ----------
    changes
        The whole answer as it is now; ``None``: it is kept.

    Raises
    ------
    Refused
        The first answer is not locked, the reading is signed or behind, or the AI is not shown.
    """
    with database.write() as connection:
        reading = _mine(connection, person, reading_id)
        if reading.state is ReadingState.SIGNED:
            raise Refused(Refusal.ALREADY_SIGNED)
        if reading.first_answer is None:
            raise Refused(Refusal.NOT_LOCKED)
        if not may_see_ai(connection, person, reading.exam_id):
            raise Refused(Refusal.AI_LOCKED)
        check_edition(reading, edition)
        answer = reading.first_answer if changes is None else changes
        _check_images(connection, reading, answer)
        check_whole(connection, reading, answer)
        values = {
            "answer": answer.model_dump_json(),
            "agreed": changes is None,
            "ai_result_id": newest_result_id(connection, reading.exam_id),
            "revised_at": database.now(connection),
        }
        return change_edition(
            database, connection, person, reading, "reading_revised", values, keep
        )


def look_again(
    database: Database, person: Person, reading_id: int, edition: int, version: int
) -> Reading:
    """Take note that the reader has looked at a version of the exam, after images came.

    Raises
    ------
    Refused
        That version is no longer the newest, or the reading is signed or behind.
    """
    with database.write() as connection:
        reading = _mine(connection, person, reading_id)
        if reading.state is ReadingState.SIGNED:
            raise Refused(Refusal.ALREADY_SIGNED)
        check_edition(reading, edition)
        exam = visible_exam(connection, person, reading.exam_id)
        if exam.version != version:
            raise Refused(Refusal.EXAM_CHANGED)
        values: dict[str, Any] = {"exam_version": version}
        if reading.mode is ReadingMode.CONCURRENT:
            values["ai_result_id"] = newest_result_id(connection, reading.exam_id)
        return change_edition(database, connection, person, reading, "reading_looked", values)


def is_blinded(connection: sa.Connection, person: Person, reading: Reading) -> bool:
    """Say whether a person has not seen what the AI says of the exam of a reading."""
    shown = sa.select(AI_VIEWS.c.at).where(
        AI_VIEWS.c.exam_id == reading.exam_id, AI_VIEWS.c.person_id == person.id
    )
    return (
        not may_see_ai(connection, person, reading.exam_id)
        and connection.execute(shown).first() is None
    )


def check_edition(reading: Reading, edition: int) -> None:
    """Refuse what was decided in front of an older edition.

    Raises
    ------
    Refused
    """
    if reading.edition != edition:
        raise Refused(Refusal.STALE)


def check_whole(connection: sa.Connection, reading: Reading, answer: Answer) -> None:
    """Refuse an answer that leaves open what must be said.

    Raises
    ------
    Refused
    """
    missing = missing_fields(answer, breasts_of(connection, reading.exam_id))
    missing += contradictions(answer)
    if missing:
        raise Refused(Refusal.INCOMPLETE, fields=missing)


def change_edition(
    database: Database,
    connection: sa.Connection,
    person: Person,
    reading: Reading,
    action: str,
    values: dict[str, Any],
    keep: Keep = keep_nothing,
) -> Reading:
    """Change a reading from the edition that was read to the next, with its row in the trail.

    Raises
    ------
    Refused
        Another transaction has changed it meanwhile.
    """
    now = database.now(connection)
    same = READINGS.c.id == reading.id, READINGS.c.edition == reading.edition
    change = READINGS.update().where(*same)
    change = change.values(edition=reading.edition + 1, changed_at=now, **values)
    change_one(connection, change, Refusal.STALE)
    noted: dict[str, Any] = {key: values[key] for key in NOTED if key in values}
    detail: audit.Detail = {"reading": reading.id, "edition": reading.edition + 1} | noted
    audit.append(database, connection, person.actor, action, reading.exam_id, detail)
    (made,) = read_readings(connection, READINGS.c.id == reading.id)
    keep(connection, made)
    return made


def _mine(connection: sa.Connection, person: Person, reading_id: int) -> Reading:
    reading = own_reading(connection, person, reading_id)
    exam = visible_exam(connection, person, reading.exam_id)
    check_still_reads(connection, person, reading, exam)
    return reading


def _check_images(connection: sa.Connection, reading: Reading, answer: Answer) -> None:
    """Refuse marks on images that are not of the exam."""
    marked = {mark.image for mark in answer.findings}
    if not marked:
        return
    known = sa.select(INSTANCES.c.sop_instance_uid).where(
        INSTANCES.c.exam_id == reading.exam_id, INSTANCES.c.sop_instance_uid.in_(sorted(marked))
    )
    if marked - {*connection.execute(known).scalars()}:
        raise Refused(Refusal.INCOMPLETE, fields=["findings.image"])


def _check_open(connection: sa.Connection, reading: Reading) -> None:
    """Refuse to lock what can no longer be signed."""
    over = sa.select(ROUNDS.c.id).where(
        ROUNDS.c.id == reading.round_id, ROUNDS.c.state == RoundState.DECIDED.value
    )
    if connection.execute(over).first() is not None:
        raise Refused(Refusal.ALREADY_SIGNED)
