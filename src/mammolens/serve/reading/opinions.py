"""Second opinions: an exam is sent to a named reader, who may work at another site.

Whoever is asked sees this one exam until the request ends, and of other readings nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people import (
    Named,
    Person,
    Refusal,
    Refused,
    change_one,
    visible_exam,
    visible_exams,
)
from mammolens.serve.reading.records import PatientName
from mammolens.serve.record import (
    EXAMS,
    OPINIONS,
    PEOPLE,
    READINGS,
    ROLES,
    Database,
    Page,
    PersonRole,
    ReadingRole,
    ReadingState,
    audit,
    from_row,
    insert_once,
    page_of,
)

__all__ = ["Opinion", "ask_opinion", "end_opinion", "list_opinions", "list_readers"]


@dataclass(frozen=True)
class Opinion:
    """A request for an opinion; `reading_id` is the answer, as far as it has come."""

    id: int
    exam_id: int
    patient_name: PatientName
    person: Named
    asked_by: Named
    question: str
    created_at: datetime
    ended_at: datetime | None
    reading_id: int | None
    state: ReadingState | None


def list_readers(
    database: Database, person: Person, *, before: int | None, limit: int
) -> Page[Named]:
    """List everybody who reads anywhere in the installation, for those who read or arbitrate.

    Raises
    ------
    Refused
        The person does neither.
    """
    if not (_reads(person) or person.is_administrator):
        raise Refused(Refusal.NOT_ALLOWED)
    asked = sa.select(PEOPLE.c.id, PEOPLE.c.display_name)
    asked = asked.where(_IS_READER, PEOPLE.c.id != person.id)
    with database.read() as connection:
        return page_of(connection, asked, PEOPLE.c.id, before, limit, _reader)


def ask_opinion(
    database: Database, person: Person, exam_id: int, asked_id: int, question: str
) -> Opinion:
    """Ask a named reader about an exam, which that reader then sees.

    Raises
    ------
    Refused
        The person does not read or arbitrate at the exam's site; the one who is asked is no reader,
        reads this exam already, or was asked before.
    """
    with database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        may_ask = person.may(PersonRole.READER, exam.site_id) or person.may(
            PersonRole.ARBITER, exam.site_id
        )
        if not may_ask:
            raise Refused(Refusal.NOT_ALLOWED)
        known = sa.select(PEOPLE.c.name).where(PEOPLE.c.id == asked_id, _IS_READER)
        name = connection.execute(known).scalar_one_or_none()
        if name is None:
            raise Refused(Refusal.UNKNOWN, fields=["person_id"])
        has_read = sa.select(READINGS.c.id).where(
            READINGS.c.exam_id == exam_id,
            READINGS.c.person_id == asked_id,
            READINGS.c.role != ReadingRole.OPINION.value,
        )
        if asked_id == person.id or connection.execute(has_read).first() is not None:
            raise Refused(Refusal.NOT_ALLOWED)
        row = {
            "exam_id": exam_id,
            "person_id": asked_id,
            "asked_by": person.id,
            "question": question,
            "created_at": database.now(connection),
        }
        if not insert_once(connection, OPINIONS, row):
            raise Refused(Refusal.TAKEN)
        audit.append(database, connection, person.actor, "opinion_asked", exam_id, person=name)
        made = _opinions(person).where(
            OPINIONS.c.exam_id == exam_id,
            OPINIONS.c.person_id == asked_id,
            OPINIONS.c.ended_at.is_(None),
        )
        return _opinion(connection.execute(made).one())


def end_opinion(database: Database, person: Person, opinion_id: int) -> None:
    """Take the sight of an exam from somebody who was asked about it; what they signed stays.

    Raises
    ------
    Refused
        There is no such request, or the person has neither asked, nor was asked, nor administers
        the exam's site.
    """
    with database.write() as connection:
        asked = sa.select(OPINIONS, EXAMS.c.site_id).join(EXAMS, EXAMS.c.id == OPINIONS.c.exam_id)
        row = connection.execute(asked.where(OPINIONS.c.id == opinion_id)).one_or_none()
        if row is None or not (
            person.id in (row.asked_by, row.person_id) or person.may_administer(row.site_id)
        ):
            raise Refused(Refusal.UNKNOWN)
        still = OPINIONS.c.id == opinion_id, OPINIONS.c.ended_at.is_(None)
        now = database.now(connection)
        change_one(connection, OPINIONS.update().where(*still).values(ended_at=now))
        action = "opinion_ended"
        audit.append(database, connection, person.actor, action, row.exam_id, opinion=opinion_id)


def list_opinions(
    database: Database, person: Person, *, before: int | None, limit: int
) -> Page[Opinion]:
    """List the opinions that a person was asked for or has asked for, the newest first."""
    concerns = sa.or_(OPINIONS.c.person_id == person.id, OPINIONS.c.asked_by == person.id)
    with database.read() as connection:
        asked = _opinions(person).where(concerns)
        return page_of(connection, asked, OPINIONS.c.id, before, limit, _opinion)


def _reader(row: sa.Row[Any]) -> Named:
    return Named(row.id, row.display_name)


def _reads(person: Person) -> bool:
    return bool(person.sites_as(PersonRole.READER) | person.sites_as(PersonRole.ARBITER))


_ASKING = PEOPLE.alias("asking")
_IS_READER: Final = sa.and_(
    PEOPLE.c.disabled_at.is_(None),
    sa.exists().where(ROLES.c.person_id == PEOPLE.c.id, ROLES.c.role == PersonRole.READER.value),
)
"""Rows of `PEOPLE` who read anywhere and have an open account."""


def _opinions(person: Person) -> sa.Select[Any]:
    """Ask for requests; the patient is named while the person may know of the exam."""
    return (
        sa.select(
            OPINIONS,
            sa.case((visible_exams(person), EXAMS.c.patient_name)).label("patient_name"),
            PEOPLE.c.display_name,
            _ASKING.c.display_name.label("asking_name"),
            READINGS.c.id.label("reading_id"),
            READINGS.c.state,
        )
        .join(EXAMS, EXAMS.c.id == OPINIONS.c.exam_id)
        .join(PEOPLE, PEOPLE.c.id == OPINIONS.c.person_id)
        .join(_ASKING, _ASKING.c.id == OPINIONS.c.asked_by)
        .outerjoin(READINGS, READINGS.c.opinion_id == OPINIONS.c.id)
    )


def _opinion(row: sa.Row[Any]) -> Opinion:
    person = Named(row.person_id, row.display_name)
    return from_row(Opinion, row, person=person, asked_by=Named(row.asked_by, row.asking_name))
