"""Filling the columns of an exam that a worklist shows, from headers and the newest result."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.record.tables import EXAMS, INSTANCES, UNKNOWN_RANK, Role

__all__ = [
    "RANKS",
    "ExamHeader",
    "Verdict",
    "doubt_verdict",
    "enter_header",
    "enter_verdict",
    "enter_views",
    "fold",
]

RANKS: Final = {"high": 0, "failed": 1, "withheld": UNKNOWN_RANK, "intermediate": 3, "low": 4}
"""The order of reading, the lowest number first. A failed exam stands directly behind the high
ones, since nothing is known of it; one with a doubt stands with those whose category was withheld.
"""
VIEWS: Final = ("RCC", "LCC", "RMLO", "LMLO")
BEHIND: Final = (
    "images_since",
    "more images came after this result, and are not analysed yet",
)
"""The doubt about a result that was made of less than is there now."""
_NOT_SHOWN: Final = re.compile(r"[\x00-\x1f\x7f]")
_DIGITS: Final = re.compile(r"(\d{4})(\d\d)(\d\d)")


@dataclass(frozen=True)
class ExamHeader:
    """What the header of one object says of its exam; dates are as DICOM writes them.

    `patient_id` is ``None`` where it does not identify a patient.
    """

    patient_id: str | None = None
    patient_name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    age_years: float | None = None
    study_date: str | None = None
    accession_number: str | None = None
    machine: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What the newest result says, as a list shows it.

    `doubts` are (name, text); `score` is ``None`` exactly where the exam failed, and then `failure`
    says why.
    """

    category: str
    revision: int
    model: str
    score: float | None = None
    prevalence: float | None = None
    doubts: Sequence[tuple[str, str]] = ()
    failure: str | None = None

    @property
    def rank(self) -> int:
        """Its place in the order of reading."""
        is_doubted = self.category == "intermediate" and bool(self.doubts)
        return RANKS["withheld" if is_doubted else self.category]


def enter_header(connection: sa.Connection, exam: sa.Row[Any], header: ExamHeader) -> None:
    """Fill what is still unknown of an exam; what an earlier object said stays."""
    said: dict[str, Any] = {
        "patient_name": _line(header.patient_name, 256),
        "birth_date": iso_date(header.birth_date),
        "sex": _line(header.sex, 16),
        "age_years": header.age_years,
        "study_date": iso_date(header.study_date),
        "machine": _line(header.machine, 128),
    }
    known = {name: getattr(exam, name) or value for name, value in said.items()}
    known["patient_key"] = patient_key(exam, header.patient_id, known["birth_date"])
    words = (known["patient_name"], exam.patient_id, exam.accession_number, known["study_date"])
    known["search_text"] = fold(" ".join(str(word) for word in words if word))
    connection.execute(EXAMS.update().where(EXAMS.c.id == exam.id).values(**known))


def enter_views(connection: sa.Connection, exam_id: int) -> None:
    """Say which of the standard views an exam has."""
    found = {
        *connection.execute(
            sa.select(INSTANCES.c.view).where(
                INSTANCES.c.exam_id == exam_id, INSTANCES.c.role == Role.INPUT.value
            )
        ).scalars()
    }
    views = " ".join(view for view in VIEWS if view in found)
    connection.execute(EXAMS.update().where(EXAMS.c.id == exam_id).values(views=views))


def enter_verdict(connection: sa.Connection, exam_id: int, verdict: Verdict) -> None:
    """Enter the newest result of an exam."""
    connection.execute(
        EXAMS.update()
        .where(EXAMS.c.id == exam_id)
        .values(
            rank=verdict.rank,
            category=verdict.category,
            score=verdict.score,
            prevalence=verdict.prevalence,
            doubts=json.dumps([list(doubt) for doubt in verdict.doubts]),
            failure=verdict.failure,
            model=verdict.model[:200],
            revision=verdict.revision,
        )
    )


def doubt_verdict(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> None:
    """Mark results as older than the newest images; a low one is withheld."""
    asked = sa.select(EXAMS).where(EXAMS.c.category.is_not(None), *which)
    for exam in connection.execute(asked).all():
        doubts = [tuple(doubt) for doubt in json.loads(exam.doubts or "[]")]
        category = "withheld" if exam.category == "low" else exam.category
        said = {
            "category": category,
            "rank": min(exam.rank, UNKNOWN_RANK),
            "doubts": json.dumps([*(doubt for doubt in doubts if doubt != BEHIND), BEHIND]),
        }
        connection.execute(EXAMS.update().where(EXAMS.c.id == exam.id).values(**said))


def patient_key(exam: sa.Row[Any], patient_id: str | None, birth_date: str | None) -> str:
    """Give what is equal for exams that certainly are of one patient within one site.

    Patient ID and birth date together: a name changes at a marriage, and an ID alone may have been
    given to two patients. Without a birth date the name must agree too. Without an ID, or with one
    that anonymisers write, an exam is of nobody but itself.
    """
    said: tuple[str, str, str] = ("study", exam.study_instance_uid, exam.identity)
    if patient_id:
        said = ("born", patient_id, birth_date) if birth_date else ("identity", exam.identity, "")
    return hashlib.sha256(repr(said).encode("utf-8", "replace")).hexdigest()


def fold(text: str) -> str:
    """Fold text for a search: no accents, no capitals, one blank between words.

    Examples
    --------
    >>> fold("MÜLLER^Anne-Sophie  1950-02-01")
    'muller anne-sophie 1950-02-01'
    """
    plain = unicodedata.normalize("NFKD", text.replace("^", " ").replace("=", " "))
    kept = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(_NOT_SHOWN.sub(" ", kept).casefold().split())


def iso_date(text: str | None) -> str | None:
    """Turn a DICOM date into YYYY-MM-DD; ``None`` for what is none.

    Examples
    --------
    >>> iso_date("19500201"), iso_date("1950.02.01"), iso_date("unknown")
    ('1950-02-01', '1950-02-01', None)
    """
    match = _DIGITS.match((text or "").strip().replace(".", "").replace("-", ""))
    if match is None or not ("01" <= match[2] <= "12" and "01" <= match[3] <= "31"):
        return None
    return f"{match[1]}-{match[2]}-{match[3]}"


def _line(text: str | None, most: int) -> str | None:
    return _NOT_SHOWN.sub(" ", text or "").strip()[:most] or None
