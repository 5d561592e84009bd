"""Recalls: patients who must be called back stay listed until somebody says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.reading.pages import Page, page_of
from mammolens.serve.record import EXAMS, PEOPLE, RECALLS, Database, audit

__all__ = ["Recall", "close_recall", "list_recalls"]


@dataclass(frozen=True)
class Recall:
    """A patient to be called back, and what became of it."""

    id: int
    exam_id: int
    reading_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None
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
    asked = _recalls().where(_visible(person))
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
        row = connection.execute(asked.where(_visible(person))).one_or_none()
        if row is None:
            raise Refused(Refusal.UNKNOWN)
        now = database.now(connection)
        closed = connection.execute(
            RECALLS.update()
            .where(RECALLS.c.id == recall_id, RECALLS.c.closed_at.is_(None))
            .values(closed_at=now, closed_by=person.id, reason=reason)
        )
        if closed.rowcount != 1:
            raise Refused(Refusal.CHANGED)
        detail: audit.Detail = {"recall": recall_id}
        audit.append(database, connection, person.actor, "recall_closed", row.exam_id, detail)
        return _recall(connection.execute(asked).one())


def _recalls() -> sa.Select[Any]:
    return (
        sa.select(
            RECALLS,
            EXAMS.c.accession_number,
            EXAMS.c.patient_id,
            EXAMS.c.patient_name,
            PEOPLE.c.display_name,
        )
        .join(EXAMS, EXAMS.c.id == RECALLS.c.exam_id)
        .outerjoin(PEOPLE, PEOPLE.c.id == RECALLS.c.closed_by)
    )


def _visible(person: Person) -> sa.ColumnElement[bool]:
    """Those of a person's sites: who was asked about one exam has no say in recalls."""
    return sa.true() if person.is_administrator else EXAMS.c.site_id.in_(sorted(person.sites))


def _recall(row: sa.Row[Any]) -> Recall:
    return Recall(
        row.id,
        row.exam_id,
        row.reading_id,
        row.accession_number,
        row.patient_id,
        row.patient_name,
        row.created_at,
        row.closed_at,
        row.display_name,
        row.reason,
    )
