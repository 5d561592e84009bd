"""Outcomes become labels: the readers' table with its empty columns of truth filled in."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from mammolens.core import Laterality
from mammolens.files import storage, write_whole
from mammolens.outcomes.editions import DEFAULT, positive_rule
from mammolens.outcomes.exams import read_exams
from mammolens.outcomes.linking import Case, link
from mammolens.outcomes.results import CANCERS, UNKNOWN, read_outcomes
from mammolens.tables import Row, read_table
from mammolens.wording import table_cell

__all__ = ["write_outcome_manifest"]

_KEPT: Final = (
    *("dataset", "image_id", "patient_id", "laterality", "view", "path", "birads", "density"),
    *("age", "machine"),
)
_COLUMNS: Final = (*_KEPT, "tumour", "malignant", "pathology", "note")
_NEEDED: Final = ("image_id", "patient_id", "study_id", "laterality", "path")


def write_outcome_manifest(
    exams: Path, outcomes: Path, out: Path, complete_until: date | None, today: date
) -> tuple[Path, dict[str, int]]:
    """Write a manifest of the images whose breast has a known outcome.

    A breast with a cancer is malignant. A breast from which other tissue was taken has a tumour
    that is not malignant. A breast without tissue, after a year of complete follow-up, is not
    malignant, and whether it has a tumour stays unknown. Other images are left out.

    Returns
    -------
    tuple
        The file, and the numbers of images by what became of them.

    Raises
    ------
    InvalidManifest
        A table has a fault, or no outcome is of a patient of the exams.
    StorageError
        The file cannot be written.
    """
    known = read_outcomes(outcomes, today)
    until = complete_until or max(one.day for one in known)
    linked = link(read_exams(exams, today), known, until, positive_rule(DEFAULT).positive)
    cases = {case.exam.study_id: case for case in linked.cases}
    optional = tuple(name for name in (*_KEPT, "exam_date") if name not in _NEEDED)
    table = read_table(exams, _NEEDED, optional)
    counts: Counter[str] = Counter()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in table.rows:
        label = _label(row, cases.get(row["study_id"]))
        counts[label[2] or "left out"] += 1
        if label[2]:
            writer.writerow([table_cell(one) for one in (*(row[k] for k in _KEPT), *label)])
    with storage(out, "the manifest", keyword="--out"):
        return write_whole(out, text.getvalue()), dict(counts)


def _label(row: Row, case: Case | None) -> tuple[str, str, str, str]:
    """Give tumour, malignant, pathology and note of an image; empty if they are not known."""
    side = row.laterality("laterality")
    if case is None or side is None or None in {one.side for one in case.outcomes}:
        return "", "", "", ""
    own = [one for one in case.outcomes if one.side is side]
    cancers = [one for one in own if one.finding in CANCERS]
    if cancers:
        return "1", "1", "malignant", "; ".join(_missed(case, side))
    if any(one.finding in UNKNOWN for one in own):
        return "", "", "", ""
    return ("1", "0", "benign", "") if own else ("", "0", "followed", "")


def _missed(case: Case, side: Laterality) -> Iterator[str]:
    """Say that the reader had not called the breast: its picture may not show the cancer."""
    if case.exam.birads.get(side) not in positive_rule(DEFAULT).positive:
        days: timedelta = case.cancers[0].day - case.exam.day
        yield f"cancer {days.days} days after a negative answer"
