"""The files of an audit: figures as JSON and CSV, interval cancers, exclusions, and labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from mammolens.core import Laterality
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole
from mammolens.outcomes.audit import Audit, Settings, audit_exams, with_ai
from mammolens.outcomes.editions import DEFAULT, positive_rule
from mammolens.outcomes.exams import read_ai, read_exams
from mammolens.outcomes.fairness import FairnessSettings, fairness_of_both, fairness_over_time
from mammolens.outcomes.figures import FIGURES
from mammolens.outcomes.linking import Case, link
from mammolens.outcomes.results import CANCERS, UNKNOWN, read_outcomes
from mammolens.tables import Row, read_table
from mammolens.wording import table_text

__all__ = ["FAIRNESS_FILE", "FAIRNESS_TABLE", "FILE", "write_audit",
           "write_fairness", "write_outcome_manifest"]  # fmt: skip

FILE: Final = "outcomes.json"
"""The figures in the output folder; `mammolens report` reads it."""
FAIRNESS_FILE: Final = "fairness.json"
FAIRNESS_TABLE: Final = "fairness.csv"

Cells = tuple[Any, ...]

_FIGURE_COLUMNS: Final = (
    *("axis", "group", "who", "figure", "value", "low", "high", "numerator", "denominator"),
    *("unit", "patients", "benchmark"),
)
_EXCLUDED_COLUMNS: Final = ("patient_id", "study_id", "exam_date", "reader", "reason")
_UNLINKED_COLUMNS: Final = ("patient_id", "side", "date", "outcome", "source", "reason")
_FAIRNESS_COLUMNS: Final = (
    *("who", "axis", "group", "figure", "n", "value", "low", "high"),
    *("n_others", "others", "others_low", "others_high", "difference"),
    *("always_low", "always_high", "alarm", "alarm_since"),
)
_INTERVAL_COLUMNS: Final = (
    *("patient_id", "study_id", "exam_date", "reader", "birads", "cancer_date", "days_after"),
    *("side", "outcome", "size_mm", "ai_category", "ai_score", "ai_score_of_breast", "ai_called"),
)


def write_audit(
    exams: Path,
    outcomes: Path,
    out: Path,
    settings: Settings,
    *,
    ai: Path | None = None,
    today: date | None = None,
) -> tuple[Audit, tuple[Path, ...]]:
    """Audit two tables, and write ``outcomes.json`` and five CSV files.

    Subgroups over time are compared in the exams of all times, whatever the period of the figures.

    Parameters
    ----------
    exams
        The readers' table of a site.
    outcomes
        The table of outcomes.
    out
        Folder for the files; it is created if it does not exist.
    ai
        ``worklist.csv`` of `mammolens analyze`, if the answers of the AI are not in `exams`.
    today
        The last possible day of an exam or outcome; by default the present day.

    Returns
    -------
    tuple
        The audit, and the written files.

    Raises
    ------
    InvalidManifest
        A table has a fault, or no exam can be audited.
    ConfigError
        A setting is not known, or the follow-up is said to reach into the future.
    StorageError
        A file cannot be written.
    """
    now = today or date.today()
    _refuse_future(settings.complete_until, now)
    answers = None if ai is None else read_ai(ai)
    audit = audit_exams(read_exams(exams, now), read_outcomes(outcomes, now), settings, answers)
    by = tuple(axis for axis in settings.by if axis != "reader")
    watched = FairnessSettings(by, "ai", settings.ai_positive, settings.edition, settings.positive)
    fairness = fairness_of_both(audit.all_cases, watched) if by else {"ai": None, "readers": None}
    audit.figures["fairness"] = fairness
    tables = {
        "figures.csv": (_FIGURE_COLUMNS, _figures(audit.figures)),
        "interval_cancers.csv": (_INTERVAL_COLUMNS, _interval_cancers(audit.figures)),
        FAIRNESS_TABLE: (_FAIRNESS_COLUMNS, _watched(filter(None, fairness.values()))),
        "excluded_exams.csv": (_EXCLUDED_COLUMNS, _excluded(audit)),
        "unlinked_outcomes.csv": (_UNLINKED_COLUMNS, _unlinked(audit)),
    }
    with storage(out, "the audit", keyword="--out"):
        text = json.dumps(audit.figures, ensure_ascii=False, indent=1) + "\n"
        written = [write_whole(out / FILE, text)]
        for name, (columns, rows) in tables.items():
            written.append(write_whole(out / name, _csv(columns, rows)))
    return audit, tuple(written)


def write_fairness(
    exams: Path,
    outcomes: Path,
    out: Path,
    settings: FairnessSettings,
    *,
    complete_until: date | None = None,
    ai: Path | None = None,
    today: date | None = None,
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Compare subgroups over time, and write ``fairness.json`` and ``fairness.csv``.

    The parameters and errors are those of `write_audit`.
    """
    now = today or date.today()
    _refuse_future(complete_until, now)
    read, found = read_exams(exams, now), read_outcomes(outcomes, now)
    if ai is not None:
        read = with_ai(read, read_ai(ai))
    rule = positive_rule(settings.edition, settings.positive)
    until = complete_until or max(one.day for one in found)
    figures = fairness_over_time(link(read, found, until, rule.positive).cases, settings)
    with storage(out, "the figures", keyword="--out"):
        text = json.dumps(figures, ensure_ascii=False, indent=1) + "\n"
        written = write_whole(out / FAIRNESS_FILE, text)
        table = write_whole(out / FAIRNESS_TABLE, _csv(_FAIRNESS_COLUMNS, _watched([figures])))
    return figures, (written, table)


def _refuse_future(until: date | None, today: date) -> None:
    if until is not None and until > today:
        raise ConfigError(
            f"outcomes cannot be complete until {until}, after today",
            keyword="--complete-until",
            remedy="Give the last day up to which all outcomes are in the table",
        )


def _figures(figures: Mapping[str, Any]) -> Iterator[Cells]:
    """Give one row for each figure of each group, of the readers and of the AI."""
    compared = figures["comparison"]
    yield from _figure_rows(figures, "all", "all", "readers", figures["readers"])
    if compared:
        names = {"readers": "readers, exams with the AI", "ai": "ai", "difference": "ai − readers"}
        for key, who in names.items():
            yield from _figure_rows(figures, "all", "all", who, compared[key])
    for axis, groups in figures["groups"].items():
        for one in groups:
            yield from _figure_rows(figures, axis, one["group"], "readers", one["readers"])
            if one["ai"]:
                yield from _figure_rows(figures, axis, one["group"], "ai", one["ai"])


def _figure_rows(
    figures: Mapping[str, Any], axis: str, group: str, who: str, found: Mapping[str, Any]
) -> Iterator[Cells]:
    is_share = who != "ai − readers"
    for key in FIGURES:
        one = found.get(key)
        if one is None:
            continue
        top = one["n_positive"] if is_share else None
        yield (
            *(axis, group, who, key, one["value"], one["low"], one["high"], top, one["n"]),
            *("exam", one["n_patients"], figures["benchmarks"][key] if is_share else None),
        )


def _interval_cancers(figures: Mapping[str, Any]) -> Iterator[Cells]:
    for one in figures["interval_cancers"]:
        yield tuple(one[column] for column in _INTERVAL_COLUMNS)


def _watched(found: Iterable[Mapping[str, Any]]) -> Iterator[Cells]:
    for one in found:
        for row in one["figures"]:
            others = {"others": row["others"]["value"]}
            others |= {
                f"{key}_others" if key == "n" else f"others_{key}": row["others"][key]
                for key in ("n", "low", "high")
            }
            cells = {**row, "who": one["who"], **others}
            yield tuple(cells[column] for column in _FAIRNESS_COLUMNS)


def _excluded(audit: Audit) -> Iterator[Cells]:
    for exam, reason in audit.linked.excluded:
        yield exam.patient_id, exam.study_id, exam.day, exam.reader, reason.value


def _unlinked(audit: Audit) -> Iterator[Cells]:
    for one in audit.linked.unlinked:
        outcome = one.outcome
        side = outcome.side.value if outcome.side else ""
        finding = outcome.finding.value
        yield outcome.patient_id, side, outcome.day, finding, outcome.source, one.reason


def _csv(columns: Cells, rows: Iterable[Cells]) -> str:
    plain = ([int(cell) if isinstance(cell, bool) else cell for cell in row] for row in rows)
    return table_text([columns, *plain])


_KEPT_COLUMNS: Final = (
    *("dataset", "image_id", "patient_id", "laterality", "view", "path", "birads", "density"),
    *("age", "machine"),
)
_MANIFEST_COLUMNS: Final = (*_KEPT_COLUMNS, "tumour", "malignant", "pathology", "note")
_NEEDED_COLUMNS: Final = ("image_id", "patient_id", "study_id", "laterality", "path")


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
    optional = tuple(name for name in (*_KEPT_COLUMNS, "exam_date") if name not in _NEEDED_COLUMNS)
    table = read_table(exams, _NEEDED_COLUMNS, optional)
    counts: Counter[str] = Counter()
    rows: list[Cells] = [_MANIFEST_COLUMNS]
    for row in table.rows:
        label = _label(row, cases.get(row["study_id"]))  # [2] is `pathology`
        counts[label[2] or "left out"] += 1
        if label[2]:
            rows.append((*(row[name] for name in _KEPT_COLUMNS), *label))
    with storage(out, "the manifest", keyword="--out"):
        return write_whole(out, table_text(rows)), dict(counts)


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
