"""Clinical data of exams: stated by people in the web application, or by FHIR and HL7 messages.

The worker shows them in every result, and adds them to the scores if the settings name a fusion.
Then new data raise the version of the exam, so that it is analysed again; but not once a person has
begun to read it: then they are shown beside the result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from typing import Annotated, Any, Final

import sqlalchemy as sa
from pydantic import Field, StringConstraints

from mammolens.clinical import ITEMS, choose_items
from mammolens.clinical.files import read_content
from mammolens.clinical.items import read_value
from mammolens.core import Caution, ClinicalItem, Laterality
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, Refusal, Refused, visible_exam, visible_exams
from mammolens.serve.record import (
    CLINICAL_ITEMS,
    EXAMS,
    ROUNDS,
    Form,
    Line,
    PersonRole,
    audit,
    doubt_verdict,
    of_exam,
)

__all__ = ["Known", "Statement", "items_of", "read_known", "receive_message", "state_items"]

MOST_ITEMS: Final = 100
PERSON, MESSAGE = "person", "message"
TYPED: Final = "entered in the web application"
HEADER: Final = "DICOM header"


class Statement(Form):
    """What a person states: the value as text, with its unit if it has another than the item."""

    name: str = Field(pattern=f"^({'|'.join(ITEMS)})$")
    value: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = Field(
        description="as in a table; a word for unknown states nothing"
    )
    date: Date | None = Field(None, description="the day for which it is stated")
    source: Line | None = None


@dataclass(frozen=True)
class Known:
    """What is known of the patient of an exam: items with `is_used` set, and cautions.

    `stated` is what people stated, as they stated it.
    """

    items: tuple[ClinicalItem, ...]
    cautions: tuple[Caution, ...]
    stated: tuple[ClinicalItem, ...]


def items_of(
    connection: sa.Connection, exam_id: int, *where: sa.ColumnElement[bool]
) -> tuple[ClinicalItem, ...]:
    """Read what was stated for an exam: everything, or the rows for which `where` holds."""
    asked = sa.select(CLINICAL_ITEMS).where(CLINICAL_ITEMS.c.exam_id == exam_id, *where)
    return tuple(
        ClinicalItem(
            row.name,
            json.loads(row.value),
            row.source,
            row.stated_on,
            Laterality(row.laterality) if row.laterality else None,
        )
        for row in connection.execute(asked.order_by(CLINICAL_ITEMS.c.id))
    )


def read_known(state: NodeState, person: Person, exam_id: int) -> Known:
    """Read what is known of the patient of an exam; that it was looked at is noted.

    Raises
    ------
    Refused
        No such exam is visible to the person.
    """
    with state.database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        items = list(items_of(connection, exam_id))
        stated = items_of(connection, exam_id, CLINICAL_ITEMS.c.via == PERSON)
        audit.append(state.database, connection, person.actor, "clinical_viewed", exam_id)
    day = Date.fromisoformat(exam.study_date) if exam.study_date else None
    if exam.age_years is not None:
        items.append(ClinicalItem("age", exam.age_years, HEADER, day))
    return Known(*choose_items(items, day), stated)


def state_items(
    state: NodeState, person: Person, exam_id: int, statements: Sequence[Statement]
) -> None:
    """Replace what people have stated for an exam.

    Raises
    ------
    Refused
        No such exam is visible to the person, the person neither sends nor reads exams of its site,
        or there are too many statements.
    InvalidManifest
        A value is not possible; nothing is changed.
    """
    if len(statements) > MOST_ITEMS:
        raise Refused(Refusal.TOO_MUCH)
    items = [
        ClinicalItem(one.name, value, one.source or TYPED, one.date, side)
        for one in statements
        for value, side in read_value(one.name, one.value, "the form")
    ]
    with state.database.write() as connection:
        exam = visible_exam(connection, person, exam_id)
        if not _may_state(person, exam):
            raise Refused(Refusal.NOT_ALLOWED)
        _replace(state, connection, exam_id, items, PERSON)
        _note(state, connection, person, exam_id, len(items), PERSON)


def receive_message(state: NodeState, person: Person, data: bytes) -> list[int]:
    """Take the clinical data of a FHIR Bundle or an HL7 message for the exams of its patients.

    An item that it states replaces what earlier messages stated of that item for these exams; what
    it does not mention stays, because that is unknown to it.

    Returns
    -------
    Numbers of the exams.

    Raises
    ------
    Refused
        No exam of the patients is visible to the person, who sends or reads exams there; or a
        patient's number is in use at several sites of the person.
    DataError
        The message cannot be read, or a value is impossible; nothing is changed.
    """
    records = read_content(data, "message")
    with state.database.write() as connection:
        touched: dict[int, list[ClinicalItem]] = {}
        for record in records:
            asked = sa.select(EXAMS).where(
                EXAMS.c.patient_id == record.patient_id, visible_exams(person)
            )
            found = connection.execute(asked.order_by(EXAMS.c.id)).all()
            exams = [exam for exam in found if _may_state(person, exam)]
            # Two sites may use one number for two patients.
            if len({exam.site_id for exam in exams}) > 1:
                raise Refused(Refusal.SITE)
            for exam in exams:
                touched.setdefault(exam.id, []).extend(record.items)
        if not touched:
            raise Refused(Refusal.UNKNOWN)
        for exam_id, items in touched.items():
            if items:
                names = CLINICAL_ITEMS.c.name.in_({item.name for item in items})
                _replace(state, connection, exam_id, items, MESSAGE, names)
        for exam_id, items in touched.items():
            _note(state, connection, person, exam_id, len(items), MESSAGE)
    return list(touched)


def _replace(
    state: NodeState,
    connection: sa.Connection,
    exam_id: int,
    items: Sequence[ClinicalItem],
    via: str,
    *which: sa.ColumnElement[bool],
) -> None:
    database = state.database
    same = CLINICAL_ITEMS.c.exam_id == exam_id, CLINICAL_ITEMS.c.via == via
    connection.execute(CLINICAL_ITEMS.delete().where(*same, *which))
    rows = [
        {
            "exam_id": exam_id,
            "via": via,
            "name": item.name,
            "value": json.dumps(item.value),
            "laterality": item.laterality.value if item.laterality else None,
            "source": item.source[:200],
            "stated_on": item.date,
            "created_at": database.now(connection),
        }
        for item in items
    ]
    if rows:
        connection.execute(CLINICAL_ITEMS.insert(), rows)
    if state.settings.model.fusion is not None:
        _analyse_again(state, connection, exam_id)


def _note(
    state: NodeState, connection: sa.Connection, person: Person, exam_id: int, n: int, via: str
) -> None:
    """Note a change in the audit trail, after every other action of the transaction."""
    detail: audit.Detail = {"items": n, "via": via}
    audit.append(state.database, connection, person.actor, "clinical_stated", exam_id, detail)


def _analyse_again(state: NodeState, connection: sa.Connection, exam_id: int) -> None:
    unread = ~of_exam(ROUNDS.c.exam_id == EXAMS.c.id)
    this = sa.and_(EXAMS.c.id == exam_id, unread)
    doubt_verdict(connection, this)
    connection.execute(
        EXAMS.update()
        .where(this)
        .values(version=EXAMS.c.version + 1, last_received_at=state.database.now(connection))
    )


def _may_state(person: Person, exam: sa.Row[Any]) -> bool:
    """Those who send exams in, and those who read them; they know the patient."""
    return any(person.may(role, exam.site_id) for role in (PersonRole.UPLOADER, PersonRole.READER))
