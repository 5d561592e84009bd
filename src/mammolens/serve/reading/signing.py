"""A reading is signed, and what follows: the answer of the exam, arbitration, recall, notices.

Of two people who sign at the same moment, one signs first: the exam's row is locked, and the
database has room for one signature as the first reader, one as the second and one as the arbiter of
a round. What was signed changes only by an addendum.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mammolens.readings import disagreements
from mammolens.serve.monitoring import enter_decision
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading.answering import (
    Keep,
    change_edition,
    check_edition,
    check_whole,
    is_blinded,
    keep_nothing,
)
from mammolens.serve.reading.follow_ups import give_notice
from mammolens.serve.reading.records import (
    Reading,
    check_still_reads,
    lock_exam,
    newest_result_id,
    own_reading,
    read_readings,
)
from mammolens.serve.record import (
    ADDENDA,
    NOTICES,
    READINGS,
    RECALLS,
    ROUNDS,
    Database,
    ReadingMode,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    RoundState,
    audit,
    insert_once,
)

__all__ = ["add_addendum", "sign_reading"]

Entry = tuple[str, audit.Detail]
"""An action and its detail for the audit trail."""


def sign_reading(
    database: Database, person: Person, reading_id: int, edition: int, keep: Keep = keep_nothing
) -> Reading:
    """Sign a reading.

    Raises
    ------
    Refused
        Somebody else has signed before, images or an AI result came that the reader has not looked
        at, something must still be said or locked, or another window has changed the reading.
    """
    with database.write() as connection:
        reading = own_reading(connection, person, reading_id)
        exam = visible_exam(connection, person, reading.exam_id)
        lock_exam(connection, exam.id)
        reading = own_reading(connection, person, reading_id)
        if reading.state is ReadingState.SIGNED:
            raise Refused(Refusal.ALREADY_SIGNED)
        check_edition(reading, edition)
        slot = _free_slot(connection, reading)
        # Read again: it may have changed before it was locked.
        exam = visible_exam(connection, person, reading.exam_id)
        check_still_reads(connection, person, reading, exam)
        _check_seen(connection, reading, exam)
        check_whole(connection, reading, reading.answer)
        values = _first_answer(database, connection, person, reading)
        values |= {
            "state": ReadingState.SIGNED.value,
            "slot": slot and slot.value,
            "signed_at": database.now(connection),
        }
        notice_entries = _follow_up(database, connection, reading)
        round_entries = [] if slot is None else _settle(database, connection, reading, slot)
        try:
            signed = change_edition(database, connection, person, reading, "reading_signed", values)
        except sa.exc.IntegrityError as error:  # another signature has the place
            raise Refused(Refusal.ALREADY_SIGNED) from error
        for action, detail in (*notice_entries, *round_entries):
            audit.append(database, connection, person.actor, action, exam.id, detail)
        keep(connection, signed)
        return signed


def add_addendum(
    database: Database, person: Person, reading_id: int, text: str, keep: Keep = keep_nothing
) -> Reading:
    """Add words to a signed reading of one's own.

    Raises
    ------
    Refused
        It is not signed.
    """
    with database.write() as connection:
        reading = own_reading(connection, person, reading_id)
        exam = visible_exam(connection, person, reading.exam_id)
        if reading.state is not ReadingState.SIGNED:
            raise Refused(Refusal.STAGE)
        row = {
            "reading_id": reading_id,
            "person_id": person.id,
            "text": text,
            "exam_version": exam.version,
            "created_at": database.now(connection),
        }
        connection.execute(ADDENDA.insert().values(row))
        detail: audit.Detail = {"reading": reading_id}
        audit.append(database, connection, person.actor, "reading_addendum", exam.id, detail)
        made = own_reading(connection, person, reading_id)
        keep(connection, made)
        return made


def _free_slot(connection: sa.Connection, reading: Reading) -> ReadingSlot | None:
    """Say as what a reading is signed; ``None`` for an opinion.

    Raises
    ------
    Refused
        The answer of the exam stands already, or an arbiter is awaited.
    """
    if reading.role is ReadingRole.OPINION:
        return None
    asked = sa.select(ROUNDS).where(ROUNDS.c.id == reading.round_id)
    current = connection.execute(asked).one()
    if current.state == RoundState.DECIDED.value:
        raise Refused(Refusal.ALREADY_SIGNED)
    if reading.role is ReadingRole.ARBITER:
        return ReadingSlot.ARBITER
    if current.state == RoundState.DISPUTED.value:
        raise Refused(Refusal.IN_ARBITRATION)
    taken = sa.select(READINGS.c.slot).where(
        READINGS.c.round_id == reading.round_id, READINGS.c.slot.is_not(None)
    )
    if not connection.execute(taken).scalars().all():
        return ReadingSlot.FIRST
    if not current.is_double:
        raise Refused(Refusal.ALREADY_SIGNED)
    return ReadingSlot.SECOND


def _check_seen(connection: sa.Connection, reading: Reading, exam: sa.Row[Any]) -> None:
    """Refuse to sign what the reader has not seen as it is now."""
    if exam.version != reading.exam_version:
        raise Refused(Refusal.EXAM_CHANGED)
    if reading.mode is ReadingMode.SECOND_READER and reading.agreed is None:
        raise Refused(Refusal.NOT_LOCKED)
    if reading.mode is ReadingMode.TRIAGE_ONLY:
        return
    if newest_result_id(connection, exam.id) != reading.ai_result_id:
        raise Refused(Refusal.AI_CHANGED)


def _first_answer(
    database: Database, connection: sa.Connection, person: Person, reading: Reading
) -> dict[str, Any]:
    """Lock what was not locked before: where the AI was in sight, the answer is the first one."""
    if reading.first_answer is not None:
        return {}
    return {
        "first_answer": reading.answer.model_dump_json(),
        "first_version": reading.exam_version,
        "blinded": is_blinded(connection, person, reading),
        "locked_at": database.now(connection),
    }


def _settle(
    database: Database, connection: sa.Connection, reading: Reading, slot: ReadingSlot
) -> list[Entry]:
    """Let the answer of the round stand, or call for an arbiter; give entries for the trail."""
    asked = sa.select(ROUNDS).where(ROUNDS.c.id == reading.round_id)
    current = connection.execute(asked).one()
    if slot is ReadingSlot.FIRST and current.is_double:
        return []
    version = reading.exam_version
    if slot is ReadingSlot.SECOND:
        (other,) = read_readings(
            connection,
            READINGS.c.round_id == reading.round_id,
            READINGS.c.slot == ReadingSlot.FIRST.value,
        )
        if differences := disagreements(other.answer, reading.answer):
            disputed = {"state": RoundState.DISPUTED.value}
            connection.execute(ROUNDS.update().where(ROUNDS.c.id == current.id).values(disputed))
            return [("readers_disagree", {"about": ", ".join(differences)})]
        version = min(version, other.exam_version)
    now = database.now(connection)
    decided = {
        "state": RoundState.DECIDED.value,
        "version": version,
        "recall": reading.answer.recall,
        "decided_at": now,
    }
    connection.execute(ROUNDS.update().where(ROUNDS.c.id == current.id).values(decided))
    enter_decision(database, connection, reading.exam_id, current.id, reading.answer.recall)
    if reading.answer.recall:
        recall = {"exam_id": reading.exam_id, "reading_id": reading.id, "created_at": now}
        insert_once(connection, RECALLS, recall)
    return [("exam_decided", {"recall": reading.answer.recall, "version": version})]


def _follow_up(database: Database, connection: sa.Connection, reading: Reading) -> list[Entry]:
    """Give the referrer an urgent notice, unless one with the same words was given before."""
    if not reading.answer.urgent:
        return []
    given_before = sa.select(NOTICES.c.id).where(
        NOTICES.c.reading_id == reading.id, NOTICES.c.text == reading.answer.urgent
    )
    if connection.execute(given_before).first() is not None:
        return []
    give_notice(database, connection, reading, reading.answer.urgent)
    return [("notice_given", {"reading": reading.id})]
