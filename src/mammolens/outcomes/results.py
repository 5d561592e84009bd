"""Read outcomes: what pathology or a registry said of a patient's breast, and on which day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Final

from mammolens.core import Laterality
from mammolens.errors import InvalidManifest
from mammolens.outcomes.exams import read_day
from mammolens.tables import Row, read_table

__all__ = ["CANCERS", "COLUMNS", "UNKNOWN", "Finding", "Outcome", "read_outcomes"]

COLUMNS: Final = (
    *("patient_id", "side", "date", "outcome", "size_mm", "nodes_positive", "nodes_examined"),
    "source",
)
_NEEDED: Final = ("patient_id", "outcome")
_OTHER: Final = ("laterality", "collected", "issued", "tissue", "report_id", "specimen")
"""Further columns of `mammolens pathology read`, which has one row for each specimen."""
_ASKED: Final = (("side", "laterality"), ("date", "collected", "issued"))
"""Of each of these groups, one column must be there; the first that a row fills is read."""
_BREAST: Final = "breast"
_NOT_BREAST: Final = "not breast"
_UNSURE: Final = "unsure"
"""Words of `mammolens pathology read`: a tissue, an outcome, and any value that is not certain."""
_REMEDY: Final = f"Give a table with the columns {', '.join(COLUMNS)}"


class Finding(str, Enum):
    """What was found in a breast."""

    BENIGN = "benign"
    HIGH_RISK = "high_risk"
    IN_SITU = "in_situ"
    INVASIVE = "invasive"
    MALIGNANT = "malignant"
    """A cancer of which it is not known whether it is invasive."""
    UNSATISFACTORY = "unsatisfactory"
    UNSURE = "unsure"


CANCERS: Final = frozenset({Finding.IN_SITU, Finding.INVASIVE, Finding.MALIGNANT})
"""Ductal carcinoma in situ is a cancer in a BI-RADS audit; a high-risk lesion is not."""
UNKNOWN: Final = frozenset({Finding.UNSATISFACTORY, Finding.UNSURE})
"""Tissue was taken, and whether it is a cancer is not known. This is never "no cancer"."""
_WORDS: Final[Mapping[str, Finding]] = {
    word: finding
    for finding in Finding
    for word in (finding.value, finding.value.replace("_", " "), finding.value.replace("_", "-"))
}


@dataclass(frozen=True)
class Outcome:
    """One outcome of a breast.

    `side` is ``None`` if it is not known. `size_mm` is the largest extent of the invasive tumour.
    `source` names the report or register, so that two answers of one source can be recognised.
    """

    patient_id: str
    side: Laterality | None
    day: date
    finding: Finding
    size_mm: float | None = None
    nodes_positive: int | None = None
    nodes_examined: int | None = None
    source: str = ""


def read_outcomes(path: Path, today: date) -> list[Outcome]:
    """Read the table of outcomes; equal rows are one outcome.

    Raises
    ------
    InvalidManifest
        A row is wrong or lies in the future, or the table has no outcomes.
    """
    optional = tuple(name for name in (*COLUMNS, *_OTHER) if name not in _NEEDED)
    table = read_table(path, _NEEDED, optional, remedy=_REMEDY)
    for names in _ASKED:
        if not table.columns & set(names):
            raise InvalidManifest(
                f"the table has no column {names[0]}", source=str(path), remedy=_REMEDY
            )
    rows = [row for row in table.rows if _is_of_breast(row)]
    if not rows:
        raise InvalidManifest(
            "the table has no outcomes, so that no figure can be computed",
            source=str(path),
            remedy="Give the outcomes of these patients: a missing outcome is not a negative one",
        )
    return list(dict.fromkeys(_outcome(row, today) for row in rows))


def _is_of_breast(row: Row) -> bool:
    """Say whether a row is of the breast; a row without a tissue is, a lymph node is not."""
    return row["tissue"] in ("", _BREAST) and row["outcome"] != _NOT_BREAST


def _outcome(row: Row, today: date) -> Outcome:
    finding = row.word("outcome", _WORDS)
    if finding is None and row["tissue"]:
        finding = Finding.UNSURE  # `mammolens pathology read` found no outcome in the report
    if finding is None:
        raise row.wrong("outcome", "an outcome; write unsure if it is not known")
    days = (read_day(row, column, today) for column in _ASKED[1])
    day = next((day for day in days if day is not None), None)
    if day is None:
        raise row.wrong("date", "the day of the outcome")
    size_mm = _number(row, "size_mm")
    if size_mm is not None and not 0.0 < size_mm < 500.0:  # Larger is implausible.
        raise row.wrong("size_mm", "a size in mm above 0, or empty")
    positive, examined = _nodes(row, "nodes_positive"), _nodes(row, "nodes_examined")
    if positive is not None and examined is not None and positive > examined:
        raise row.wrong("nodes_positive", f"at most the number of examined nodes, {examined}")
    return Outcome(
        row.identifier("patient_id"),
        _side(row),
        day,
        finding,
        size_mm,
        positive,
        examined,
        " ".join(filter(None, (row["source"], row["report_id"], row["specimen"]))),
    )


def _side(row: Row) -> Laterality | None:
    for column in _ASKED[0]:
        if row[column] and row[column] != _UNSURE:
            return row.laterality(column)
    return None


def _number(row: Row, column: str) -> float | None:
    return None if row[column] == _UNSURE else row.number(column)


def _nodes(row: Row, column: str) -> int | None:
    value = _number(row, column)
    if value is None:
        return None
    if value < 0 or value != int(value) or value > 200:  # More is implausible.
        raise row.wrong(column, "a number of lymph nodes, or empty")
    return int(value)
