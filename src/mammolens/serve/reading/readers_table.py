"""Readings of a site as the table of labelled images that ``mammolens evaluate`` reads.

``mammolens outcomes audit`` reads it too. One row an image, with the BI-RADS of its breast as a
reader gave it. The columns for the truth, `tumour` and `malignant`, are empty: pathology fills them
in. A person who reads such a table back finds in the last columns whose answer it is and whether it
was given without the AI.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import Laterality
from mammolens.readings import Answer
from mammolens.serve.people import Person, Refusal, Refused, read_site
from mammolens.serve.reading.visibility import ai_is_visible, is_newest_round
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    PEOPLE,
    READINGS,
    RESULTS,
    ROUNDS,
    SUPERSEDED,
    Database,
    ReadingSlot,
    Role,
    RoundState,
    audit,
)
from mammolens.wording import table_cell

__all__ = ["COLUMNS", "AnswerKind", "ReaderKind", "readers_table"]

COLUMNS: Final = (
    *("dataset", "image_id", "patient_id", "path", "laterality", "view", "tumour", "malignant"),
    *("birads", "density", "study_id", "reader", "read_as", "without_ai", "kept_after_ai"),
    *("recalled", "signed_on", "exam_date", "machine", "age", "ai_category", "ai_score"),
)


class ReaderKind(str, Enum):
    """Whose answer of an exam is exported: a table has one answer of an image."""

    FIRST = "first"
    SECOND = "second"
    STANDING = "standing"
    """The arbiter's where two readers disagreed, else the first reader's."""


class AnswerKind(str, Enum):
    """Which answer of a reading is exported."""

    FIRST = "first"
    """As it was locked, before the AI was shown."""
    FINAL = "final"


def readers_table(
    database: Database,
    person: Person,
    site_id: int,
    which: ReaderKind,
    answer: AnswerKind,
    path_of: Callable[[str, str], str],
) -> str:
    """Write the table of a site's decided exams.

    Parameters
    ----------
    path_of
        Gives the path of an image by its SOP Instance UID and its digest.

    Raises
    ------
    Refused
        The person does not look after the site.
    """
    site = read_site(database, person, site_id)
    if not person.may_administer(site_id):
        raise Refused(Refusal.NOT_ALLOWED)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with database.write() as connection:
        for row in _rows(connection, person, site_id, which):
            writer.writerow([table_cell(cell) for cell in _cells(row, site.key, answer, path_of)])
        detail: audit.Detail = {"site": site.key, "readers": which.value, "answer": answer.value}
        audit.append(database, connection, person.actor, "readings_exported", None, detail)
    return text.getvalue()


def _rows(
    connection: sa.Connection, person: Person, site_id: int, which: ReaderKind
) -> Iterator[sa.Row[Any]]:
    arbiter = READINGS.alias()
    is_arbitrated = sa.exists().where(
        arbiter.c.round_id == READINGS.c.round_id, arbiter.c.slot == ReadingSlot.ARBITER.value
    )
    chosen = {
        ReaderKind.FIRST: READINGS.c.slot == ReadingSlot.FIRST.value,
        ReaderKind.SECOND: READINGS.c.slot == ReadingSlot.SECOND.value,
        ReaderKind.STANDING: sa.or_(
            READINGS.c.slot == ReadingSlot.ARBITER.value,
            sa.and_(READINGS.c.slot == ReadingSlot.FIRST.value, ~is_arbitrated),
        ),
    }[which]
    asked = (
        sa.select(
            READINGS,
            EXAMS.c.patient_id,
            EXAMS.c.study_instance_uid,
            EXAMS.c.study_date,
            EXAMS.c.machine,
            EXAMS.c.age_years,
            EXAMS.c.category,
            RESULTS.c.breasts,
            ai_is_visible(person).label("shows_ai"),
            PEOPLE.c.name,
            INSTANCES.c.sop_instance_uid,
            INSTANCES.c.digest,
            INSTANCES.c.view,
        )
        .join(ROUNDS, ROUNDS.c.id == READINGS.c.round_id)
        .join(EXAMS, EXAMS.c.id == READINGS.c.exam_id)
        .join(PEOPLE, PEOPLE.c.id == READINGS.c.person_id)
        .join(INSTANCES, INSTANCES.c.exam_id == EXAMS.c.id)
        .outerjoin(RESULTS, sa.and_(RESULTS.c.exam_id == EXAMS.c.id, ~SUPERSEDED))
        .where(
            EXAMS.c.site_id == site_id,
            ROUNDS.c.state == RoundState.DECIDED.value,
            is_newest_round(),
            chosen,
            INSTANCES.c.role == Role.INPUT.value,
        )
        .order_by(EXAMS.c.id, INSTANCES.c.id)
    )
    yield from connection.execute(asked)


def _cells(
    row: sa.Row[Any], dataset: str, kind: AnswerKind, path_of: Callable[[str, str], str]
) -> list[str]:
    given = Answer.model_validate_json(row.first_answer if kind is AnswerKind.FIRST else row.answer)
    side = Laterality(row.view[0]) if row.view else None
    densities = {Laterality.RIGHT: given.density.right, Laterality.LEFT: given.density.left}
    return [
        dataset,
        row.sop_instance_uid,
        row.patient_id or f"exam {row.exam_id}",
        path_of(row.sop_instance_uid, row.digest),
        side.value if side else "",
        row.view[1:] if row.view else "",
        "",  # tumour
        "",  # malignant
        (given.assessments.of(side) or "") if side else "",
        (densities[side] or "") if side else "",
        row.study_instance_uid,
        row.name,
        row.slot,
        _yes_or_no(row.blinded),
        "" if row.agreed is None else _yes_or_no(row.agreed),
        _yes_or_no(bool(given.recall)),
        row.signed_at.date().isoformat(),
        row.study_date or "",
        row.machine or "",
        "" if row.age_years is None else f"{row.age_years:g}",
        *_ai(row, side),
    ]


def _ai(row: sa.Row[Any], side: Laterality | None) -> tuple[str, str]:
    """Give category and P(malignant) of the breast, as far as the person may see the AI."""
    if not row.shows_ai or row.category is None:
        return "", ""
    scores = json.loads(row.breasts or "{}")
    known = side is not None and side.value in scores
    category = _WITHHELD if row.category == "withheld" else row.category
    return category, f"{scores[side.value]:.6f}" if side and known else ""


_WITHHELD: Final = "intermediate"
"""The category of a result whose `low` was withheld."""


def _yes_or_no(value: bool) -> str:
    return "1" if value else "0"
