"""Read the exams of an audit: the readers' table of a site, with answers of the AI beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from mammolens.core import Laterality, TriageCategory
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["AiAnswer", "Exam", "read_ai", "read_day", "read_exams"]

_NEEDED: Final = ("patient_id", "study_id", "laterality", "birads")
_OPTIONAL: Final = (
    *("image_id", "exam_date", "signed_on", "dataset", "site", "reader", "machine", "density"),
    *("age", "final_birads", "without_ai", "ai_category", "ai_score"),
)
_AI_NEEDED: Final = ("study_instance_uid", "category", "malignancy_right", "malignancy_left")
_OF_EXAM: Final = (
    *("patient_id", "exam_date", "signed_on", "dataset", "site", "reader", "machine", "age"),
    *("without_ai", "ai_category"),
)
"""Columns that must say the same in all rows of an exam."""
_OF_BREAST: Final = ("birads", "final_birads", "density")
_DENSITIES: Final = {letter: letter for letter in "abcd"}
_AI_CATEGORIES: Final = {category.value: category for category in TriageCategory}
_REMEDY: Final = "Give the readers' table of a site: GET /api/v1/sites/SITE/readings.csv"
_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?", re.ASCII)
"""2026-03-31, 20260331 as in DICOM, or either with a time. 03/04/2026 has two meanings."""

Side = Laterality | None


@dataclass(frozen=True)
class AiAnswer:
    """What the AI said of an exam: its category, and P(malignant) of each breast, 0 to 1."""

    category: TriageCategory | None = None
    scores: Mapping[Laterality, float] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The higher probability of the two breasts."""
        return max(self.scores.values(), default=None)


@dataclass(frozen=True)
class Exam:
    """One screening exam as a reader assessed it.

    `birads` and `final_birads` (after the work-up) are categories 0 to 6 of each breast, with
    ``None`` where a breast has images and no category. `day` is the day of the exam, or that of the
    signature if the table has no other. An empty `reader`, `site` or `machine` is not known.
    """

    study_id: str
    patient_id: str
    day: date
    birads: Mapping[Side, str | None]
    final_birads: Mapping[Side, str | None] = field(default_factory=dict)
    reader: str = ""
    site: str = ""
    machine: str = ""
    density: str | None = None
    age_years: float | None = None
    without_ai: bool | None = None
    ai: AiAnswer | None = None


def read_exams(path: Path, today: date) -> list[Exam]:
    """Read the table of exams, which has one row for each image.

    Parameters
    ----------
    path
        The readers' table. An exam is all rows of one ``study_id``.
    today
        No exam may be after this day.

    Raises
    ------
    InvalidManifest
        A row is wrong, or two rows of one exam contradict each other, such as two readers.
    """
    table = read_table(path, _NEEDED, _OPTIONAL, remedy=_REMEDY)
    if "image_id" in table.columns:
        table.refuse_repeats("image_id")
    if not table.columns & {"exam_date", "signed_on"}:
        raise InvalidManifest(
            "the table has no day of the exams",
            source=str(path),
            keyword="exam_date",
            remedy="Add a column exam_date, or keep signed_on of the readers' table",
        )
    if not table.rows:
        raise InvalidManifest("the table has no exams", source=str(path), remedy=_REMEDY)
    studies: dict[str, list[Row]] = {}
    for row in table.rows:
        studies.setdefault(row.identifier("study_id"), []).append(row)
    return [_exam(study_id, rows, today) for study_id, rows in studies.items()]


def read_ai(path: Path) -> dict[str, AiAnswer]:
    """Read ``worklist.csv`` of `mammolens analyze`: Study Instance UID → answer of the AI.

    Raises
    ------
    InvalidManifest
        A row is wrong, or an exam is there twice.
    """
    table = read_table(path, _AI_NEEDED, remedy="Give worklist.csv of mammolens analyze")
    table.refuse_repeats("study_instance_uid")
    sides = {Laterality.RIGHT: "malignancy_right", Laterality.LEFT: "malignancy_left"}
    found = {}
    for row in table.rows:
        scores = {side: _score(row, column) for side, column in sides.items()}
        known = {side: score for side, score in scores.items() if score is not None}
        answer = AiAnswer(row.word("category", _AI_CATEGORIES), known)
        found[row.identifier("study_instance_uid")] = answer
    return found


def _exam(study_id: str, rows: list[Row], today: date) -> Exam:
    first = rows[0]
    for row in rows[1:]:
        _refuse_contradiction(study_id, first, row, _OF_EXAM)
    breasts: dict[Side, Row] = {}
    for row in rows:
        known = breasts.setdefault(row.laterality("laterality"), row)
        _refuse_contradiction(study_id, known, row, _OF_BREAST)
    day = read_day(first, "exam_date", today) or read_day(first, "signed_on", today)
    if day is None:
        raise first.wrong("exam_date", "the day of the exam, because signed_on is empty too")
    densities = [row.word("density", _DENSITIES) for row in breasts.values()]
    return Exam(
        study_id,
        first.identifier("patient_id"),
        day,
        {side: _category(row, "birads") for side, row in breasts.items()},
        {side: _category(row, "final_birads") for side, row in breasts.items()},
        first.text("reader") or "",
        first.text("site") or first.text("dataset") or "",
        first.text("machine") or "",
        max(filter(None, densities), default=None),
        first.age("age"),
        first.flag("without_ai"),
        _ai(rows),
    )


def _refuse_contradiction(study_id: str, one: Row, other: Row, columns: Iterable[str]) -> None:
    for column in columns:
        if one[column] != other[column]:
            raise InvalidManifest(
                f"the exam {study_id} is there with {one[column]!r} in line {one.line} and with "
                f"{other[column]!r} in line {other.line}",
                source=str(one.path),
                keyword=column,
                remedy="Keep one reading of each exam, such as the export readers=standing",
            )


def read_day(row: Row, column: str, today: date) -> date | None:
    """Read a day; an empty cell gives ``None``.

    Raises
    ------
    InvalidManifest
        It is not such a date, or lies after `today`.
    """
    text = row.text(column)
    if text is None:
        return None
    found = _DAY.fullmatch(text)
    try:
        day = date(*map(int, found.groups())) if found else None
    except ValueError:
        day = None
    if day is None:
        raise row.wrong(column, "a date like 2026-03-31")
    if day > today:
        raise row.wrong(column, f"a day that is not in the future (today is {today})")
    return day


def _category(row: Row, column: str) -> str | None:
    text = row.text(column)
    if text is None:
        return None
    found = re.fullmatch(r"([0-6])(\.0+)?|(4)[abcABC]", text)
    if not found:
        raise row.wrong(column, "a BI-RADS category: 0 to 6, 4a, 4b, 4c, or empty")
    return found[1] or found[3]


def _ai(rows: list[Row]) -> AiAnswer | None:
    """Give the AI's answer in the rows of an exam; the highest score of a breast counts."""
    scores: dict[Laterality, float] = {}
    for row in rows:
        side, score = row.laterality("laterality"), _score(row, "ai_score")
        if side is not None and score is not None:
            scores[side] = max(score, scores.get(side, 0.0))
    category = rows[0].word("ai_category", _AI_CATEGORIES)
    return AiAnswer(category, scores) if category or scores else None


def _score(row: Row, column: str) -> float | None:
    score = row.number(column)
    if score is not None and not 0.0 <= score <= 1.0:
        raise row.wrong(column, "a probability from 0 to 1, or empty")
    return score
