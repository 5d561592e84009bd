"""Urgent findings: the people of the exam's site are told, and one of them acknowledges it.

A reader who still has to answer does not see what another has found urgent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.alerts import announce_notice
from mammolens.serve.people import Person, Refusal, Refused, visible_exam, visible_exams
from mammolens.serve.reading.pages import Page, page_of
from mammolens.serve.reading.records import Reading, own_reading
from mammolens.serve.record import (
    EXAMS,
    NOTICES,
    PEOPLE,
    READINGS,
    ROUNDS,
    Database,
    PersonRole,
    ReadingState,
    RoundState,
    audit,
    of_exam,
)

__all__ = ["Notice", "acknowledge", "give_notice", "list_notices", "notify"]


@dataclass(frozen=True)
class Notice:
    """An urgent finding, who reported it, and who has acknowledged it."""

    id: int
    exam_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None
    person_id: int
    person_name: str
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
        "person_id": reading.person_id,
        "text": text,
        "created_at": database.now(connection),
    }
    made = connection.execute(NOTICES.insert().values(row).returning(NOTICES.c.id))
    number = int(made.scalar_one())
    site = sa.select(EXAMS.c.site_id).where(EXAMS.c.id == reading.exam_id)
    site_id = connection.execute(site).scalar_one()
    announce_notice(database, connection, number, site_id, reading.person_id)
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
        row = connection.execute(asked).one_or_none()
        if row is None:
            raise Refused(Refusal.UNKNOWN)
        looks_after = person.may(PersonRole.UPLOADER, row.site_id) or person.may_administer(
            row.site_id
        )
        if not looks_after or row.person_id == person.id:
            raise Refused(Refusal.NOT_ALLOWED)
        now = database.now(connection)
        done = connection.execute(
            NOTICES.update()
            .where(NOTICES.c.id == notice_id, NOTICES.c.acknowledged_at.is_(None))
            .values(acknowledged_by=person.id, acknowledged_at=now)
        )
        if done.rowcount != 1:
            raise Refused(Refusal.CHANGED)
        detail: audit.Detail = {"notice": notice_id}
        action = "notice_acknowledged"
        audit.append(database, connection, person.actor, action, row.exam_id, detail)
        return _read(connection, notice_id)


_KNOWS = PEOPLE.alias("knows")


def _notices() -> sa.Select[Any]:
    return (
        sa.select(
            NOTICES,
            EXAMS.c.site_id,
            EXAMS.c.accession_number,
            EXAMS.c.patient_id,
            EXAMS.c.patient_name,
            PEOPLE.c.display_name,
            _KNOWS.c.display_name.label("known_by"),
        )
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
    return Notice(
        row.id,
        row.exam_id,
        row.accession_number,
        row.patient_id,
        row.patient_name,
        row.person_id,
        row.display_name,
        row.text,
        row.created_at,
        row.acknowledged_at,
        row.known_by,
    )
