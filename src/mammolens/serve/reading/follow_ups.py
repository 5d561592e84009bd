"""What follows from a reading: urgent findings to acknowledge, and patients to call back.

The people of the exam's site hear of an urgent finding, and one of them acknowledges it; a reader
who still has to answer does not see what another has found urgent. Patients who must be called back
stay listed until somebody says what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.alerts import announce_notice
from mammolens.serve.people import (
    Named,
    Person,
    Refusal,
    Refused,
    change_one,
    one_row,
    visible_exam,
    visible_exams,
)
from mammolens.serve.reading.records import PatientName, Reading, own_reading
from mammolens.serve.record import (
    EXAMS,
    NOTICES,
    PEOPLE,
    READINGS,
    RECALLS,
    ROUNDS,
    Database,
    Page,
    PersonRole,
    ReadingState,
    RoundState,
    audit,
    from_row,
    of_exam,
    page_of,
)

__all__ = [
    "Notice",
    "Recall",
    "acknowledge",
    "close_recall",
    "give_notice",
    "list_notices",
    "list_recalls",
    "notify",
]


@dataclass(frozen=True)
class Notice:
    """An urgent finding, who reported it, and who has acknowledged it."""

    id: int
    exam_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: PatientName
    person: Named
    text: str
    created_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None


def notify(database: Database, person: Person, reading_id: int, text: str) -> Notice:
    """Report an urgent finding before the reading is signed.

    Raises
    ------
    Refused
        The reading is not the person's own, or the exam is out of their sight.
    """
    with database.write() as connection:
        reading = own_reading(connection, person, reading_id)
        visible_exam(connection, person, reading.exam_id)
        number = give_notice(database, connection, reading, text)
        detail: audit.Detail = {"reading": reading_id}
        audit.append(database, connection, person.actor, "notice_given", reading.exam_id, detail)
        return _read(connection, number)


def give_notice(database: Database, connection: sa.Connection, reading: Reading, text: str) -> int:
    """Enter an urgent finding within a write transaction; gives its number."""
    row = {
        "exam_id": reading.exam_id,
        "reading_id": reading.id,
        "person_id": reading.person.id,
        "text": text,
        "created_at": database.now(connection),
    }
    made = connection.execute(NOTICES.insert().values(row).returning(NOTICES.c.id))
    number = int(made.scalar_one())
    site = sa.select(EXAMS.c.site_id).where(EXAMS.c.id == reading.exam_id)
    site_id = connection.execute(site).scalar_one()
    announce_notice(database, connection, number, site_id, reading.person.id)
    return number


def list_notices(
    database: Database, person: Person, *, open_only: bool, before: int | None, limit: int
) -> Page[Notice]:
    """List the urgent findings of the sites where a person works, the newest first.

    Parameters
    ----------
    before
        Only those with smaller numbers: the `next` of the page before.
    """
    asked = _notices().where(_visible(person))
    if open_only:
        asked = asked.where(NOTICES.c.acknowledged_at.is_(None))
    with database.read() as connection:
        return page_of(connection, asked, NOTICES.c.id, before, limit, _notice)


def acknowledge(database: Database, person: Person, notice_id: int) -> Notice:
    """Say that somebody at the exam's site knows of an urgent finding and acts; the first counts.

    Raises
    ------
    Refused
        The person does not see the notice, has given it themselves, or neither sends exams in nor
        looks after the site; or another has acknowledged it.
    """
    with database.write() as connection:
        asked = _notices().where(NOTICES.c.id == notice_id, _visible(person))
        row = one_row(connection, asked)
        looks_after = person.may(PersonRole.UPLOADER, row.site_id) or person.may_administer(
            row.site_id
        )
        if not looks_after or row.person_id == person.id:
            raise Refused(Refusal.NOT_ALLOWED)
        now = database.now(connection)
        still = NOTICES.c.id == notice_id, NOTICES.c.acknowledged_at.is_(None)
        values = {"acknowledged_by": person.id, "acknowledged_at": now}
        change_one(connection, NOTICES.update().where(*still).values(values))
        action = "notice_acknowledged"
        audit.append(database, connection, person.actor, action, row.exam_id, notice=notice_id)
        return _read(connection, notice_id)


_KNOWS = PEOPLE.alias("knows")


def _notices() -> sa.Select[Any]:
    own = [column for column in NOTICES.c if column.name != "acknowledged_by"]
    of_exam = EXAMS.c.site_id, EXAMS.c.accession_number, EXAMS.c.patient_id, EXAMS.c.patient_name
    known_by = _KNOWS.c.display_name.label("acknowledged_by")
    return (
        sa.select(*own, *of_exam, PEOPLE.c.display_name, known_by)
        .join(EXAMS, EXAMS.c.id == NOTICES.c.exam_id)
        .join(PEOPLE, PEOPLE.c.id == NOTICES.c.person_id)
        .outerjoin(_KNOWS, _KNOWS.c.id == NOTICES.c.acknowledged_by)
    )


def _visible(person: Person) -> sa.ColumnElement[bool]:
    """Those of the sites where a person works, except where the person has still to answer."""
    here: sa.ColumnElement[bool] = EXAMS.c.site_id.in_(sorted(person.sites))
    if person.is_administrator:
        here = sa.true()
    reads = EXAMS.c.site_id.in_(sorted(person.sites_as(PersonRole.READER)))
    undecided = of_exam(ROUNDS.c.exam_id == EXAMS.c.id, ROUNDS.c.state != RoundState.DECIDED.value)
    has_signed = of_exam(
        ROUNDS.c.exam_id == EXAMS.c.id,
        ROUNDS.c.state != RoundState.DECIDED.value,
        READINGS.c.round_id == ROUNDS.c.id,
        READINGS.c.person_id == person.id,
        READINGS.c.state == ReadingState.SIGNED.value,
    )
    own = sa.and_(NOTICES.c.person_id == person.id, visible_exams(person))
    return sa.or_(own, sa.and_(here, sa.or_(~reads, ~undecided, has_signed)))


def _read(connection: sa.Connection, notice_id: int) -> Notice:
    return _notice(connection.execute(_notices().where(NOTICES.c.id == notice_id)).one())


def _notice(row: sa.Row[Any]) -> Notice:
    return from_row(Notice, row, person=Named(row.person_id, row.display_name))


@dataclass(frozen=True)
class Recall:
    """A patient to be called back, and what became of it."""

    id: int
    exam_id: int
    reading_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: PatientName
    created_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    reason: str | None


def list_recalls(
    database: Database, person: Person, *, open_only: bool, before: int | None, limit: int
) -> Page[Recall]:
    """List the recalls of the sites where a person works, the newest first.

    Parameters
    ----------
    before
        Only those with smaller numbers: the `next` of the page before.
    """
    asked = _recalls().where(_visible_recalls(person))
    if open_only:
        asked = asked.where(RECALLS.c.closed_at.is_(None))
    with database.read() as connection:
        return page_of(connection, asked, RECALLS.c.id, before, limit, _recall)


def close_recall(database: Database, person: Person, recall_id: int, reason: str) -> Recall:
    """Close a recall, saying what became of the patient.

    Raises
    ------
    Refused
        It is of another site, or another has closed it.
    """
    with database.write() as connection:
        asked = _recalls().where(RECALLS.c.id == recall_id)
        row = one_row(connection, asked.where(_visible_recalls(person)))
        now = database.now(connection)
        still = RECALLS.c.id == recall_id, RECALLS.c.closed_at.is_(None)
        values = {"closed_at": now, "closed_by": person.id, "reason": reason}
        change_one(connection, RECALLS.update().where(*still).values(values))
        audit.append(
            database, connection, person.actor, "recall_closed", row.exam_id, recall=recall_id
        )
        return _recall(connection.execute(asked).one())


def _recalls() -> sa.Select[Any]:
    own = [column for column in RECALLS.c if column.name != "closed_by"]
    of_exam = EXAMS.c.accession_number, EXAMS.c.patient_id, EXAMS.c.patient_name
    return (
        sa.select(*own, *of_exam, PEOPLE.c.display_name.label("closed_by"))
        .join(EXAMS, EXAMS.c.id == RECALLS.c.exam_id)
        .outerjoin(PEOPLE, PEOPLE.c.id == RECALLS.c.closed_by)
    )


def _visible_recalls(person: Person) -> sa.ColumnElement[bool]:
    """Those of a person's sites: who was asked about one exam has no say in recalls."""
    return sa.true() if person.is_administrator else EXAMS.c.site_id.in_(sorted(person.sites))


def _recall(row: sa.Row[Any]) -> Recall:
    return from_row(Recall, row)
