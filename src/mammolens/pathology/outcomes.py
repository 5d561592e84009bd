"""Read reports from paths, merge their versions, and write the outcomes as CSV or JSON.

paths → reports of each file → versions merged → specimens → a row or an object for each one

Versions of a report have the same patient and report number. Duplicates merge; a later version
overrules; an addendum adds its text; a withdrawn report is not read. Reports that contradict each
other are in doubt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mammolens.core import Laterality
from mammolens.errors import ConfigError, UnreadableReport
from mammolens.files import storage, write_whole
from mammolens.pathology.files import find_files, read_file
from mammolens.pathology.grammar import read_text
from mammolens.pathology.reports import PathologyReport, ReportStatus, refuse_future
from mammolens.pathology.values import (
    MALIGNANT,
    Outcome,
    Property,
    SpecimenReading,
    Statement,
    TextReading,
    Tissue,
)
from mammolens.wording import table_text

__all__ = ["ReadReports", "ReportOutcome", "merge", "read_paths", "write_outcomes"]

_SIDES: Final = {Laterality.LEFT.value: "left", Laterality.RIGHT.value: "right"}
_REPORT_COLUMNS: Final = (
    *("source", "report_id", "patient_id", "accession_number", "collected", "issued", "status"),
    *("specimen", "tissue"),
)


@dataclass(frozen=True)
class ReadReports:
    """The outcomes of all reports that were read, and an error for each that was not."""

    outcomes: tuple[ReportOutcome, ...]
    failures: tuple[UnreadableReport, ...]

    @property
    def queue(self) -> int:
        """How many reports need a person, because an outcome or a side is unsure."""
        return sum(bool(reasons(one)) for one in self.outcomes)


def read_paths(
    paths: Iterable[Path], *, patient_id: str | None = None, now: datetime | None = None
) -> ReadReports:
    """Read all reports of files and folders.

    Parameters
    ----------
    paths
        Files and folders.
    patient_id
        If given, a report of another patient, or of an unknown one, is refused.
    now
        The present time with time zone, to refuse dates in the future; else the clock's.

    Raises
    ------
    MissingInput
        If a path does not exist, or no file is found.
    """
    clock = now or datetime.now(UTC)
    reports: list[PathologyReport] = []
    failures: list[UnreadableReport] = []
    for path in find_files(paths):
        for one in read_file(path):
            try:
                if isinstance(one, UnreadableReport):
                    raise one
                refuse_future(one, clock)
                if patient_id is not None and one.patient_id != patient_id:
                    raise UnreadableReport(
                        "the report belongs to another patient, or names none",
                        source=one.source,
                        keyword="patient_id",
                        remedy="Give the reports of this patient alone",
                    )
                reports.append(one)
            except UnreadableReport as error:
                failures.append(error)
    return ReadReports(tuple(merge(reports)), tuple(failures))


def reasons(one: ReportOutcome) -> list[str]:
    """Say why a person must look at a report; [] if nobody must."""
    found = list(one.reading.doubts)
    for specimen in one.reading.specimens:
        outcome = specimen.statements.get(Property.OUTCOME)
        side = specimen.statements.get(Property.LATERALITY)
        if outcome is None or outcome.unsure:
            found.append(f"outcome: {outcome.reason if outcome else 'not stated'}")
        if side is None or side.unsure:
            found.append(f"laterality: {side.reason if side else 'not stated'}")
    return list(dict.fromkeys(found))


def write_outcomes(read: ReadReports, out: Path) -> Path:
    """Write the outcomes to a ``.csv`` or ``.json`` file.

    Raises
    ------
    ConfigError
        If the name ends otherwise.
    StorageError
        If the file cannot be written.
    """
    kind = out.suffix.lower()
    if kind not in (".csv", ".json"):
        raise ConfigError(
            "the name of the output does not end with .csv or .json",
            source=str(out),
            keyword="--out",
            remedy="Name it outcomes.csv or outcomes.json",
        )
    text = _csv(read.outcomes) if kind == ".csv" else _json(read)
    with storage(out, "the outcomes", keyword="--out"):
        return write_whole(out, text)


def _csv(outcomes: Sequence[ReportOutcome]) -> str:
    names = [kind.value for kind in Property]
    head = [*_REPORT_COLUMNS, *names, "outcome_confidence", "outcome_evidence", "queue"]
    rows = [head]
    for one in outcomes:
        queue = "; ".join(reasons(one))
        for specimen in one.reading.specimens:
            outcome = specimen.statements.get(Property.OUTCOME)
            cells = [
                *_report_cells(one.report),
                specimen.name or "",
                specimen.tissue.value,
                *(_cell(specimen.statements.get(kind), kind) for kind in Property),
                "" if outcome is None or outcome.unsure else f"{outcome.confidence:.2f}",
                " | ".join(outcome.evidence) if outcome else "",
                queue,
            ]
            rows.append(cells)
        if not one.reading.specimens:
            blank = [""] * (len(head) - len(_REPORT_COLUMNS) + 1)
            rows.append([*_report_cells(one.report), *blank, queue])
    return table_text(rows)


def _report_cells(report: PathologyReport) -> list[str]:
    return [
        report.source,
        report.report_id or "",
        report.patient_id or "",
        report.accession_number or "",
        report.collected.isoformat() if report.collected else "",
        report.issued.isoformat() if report.issued else "",
        report.status.name.lower(),
    ]


def _cell(stated: Statement | None, kind: Property) -> str:
    if stated is None:
        return ""
    value = _plain(stated, kind)
    return "; ".join(value) if isinstance(value, list) else str(value)


def _plain(stated: Statement, kind: Property) -> Any:
    if stated.value is None:
        return "unsure"
    if kind is Property.LATERALITY:
        return _SIDES[str(stated.value)]
    return list(stated.value) if isinstance(stated.value, tuple) else stated.value


def _json(read: ReadReports) -> str:
    reports = [
        dict(zip(_REPORT_COLUMNS, _report_cells(one.report), strict=False))
        | {
            "versions": one.versions,
            "duplicates": one.duplicates,
            "queue": reasons(one),
            "specimens": [_specimen(specimen) for specimen in one.reading.specimens],
        }
        for one in read.outcomes
    ]
    failures = [str(error) for error in read.failures]
    whole = {"schema": "mammolens-pathology-1", "reports": reports, "failures": failures}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _specimen(one: SpecimenReading) -> dict[str, Any]:
    stated = {
        kind.value: {
            "value": _plain(statement, kind),
            "confidence": statement.confidence,
            "evidence": list(statement.evidence),
        }
        | ({"reason": statement.reason} if statement.reason else {})
        for kind, statement in one.statements.items()
    }
    return {"name": one.name, "tissue": one.tissue.value, "statements": stated}


_OLDEST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ReportOutcome:
    """A report after merging: the version that counts, and what its text says.

    Attributes
    ----------
    report
        The version that counts, with the text of addenda.
    reading
        Its specimens and doubts.
    versions
        How many different versions were merged.
    duplicates
        How many copies were left out.
    """

    report: PathologyReport
    reading: TextReading
    versions: int
    duplicates: int


def merge(reports: Iterable[PathologyReport]) -> list[ReportOutcome]:
    """Merge reports and read each one; the order of first appearance is kept."""
    groups: dict[tuple[str, str], list[PathologyReport]] = {}
    patients: dict[str, set[str]] = {}
    for number, report in enumerate(reports):
        name = report.report_id or f"\n{number}"
        groups.setdefault((report.patient_id or "", name), []).append(report)
        if report.report_id and report.patient_id:
            patients.setdefault(report.report_id, set()).add(report.patient_id)
    read: list[ReportOutcome] = []
    for versions in _without_copies(groups.values()):
        merged = _merge_versions(versions)
        if merged is None:
            continue
        if len(patients.get(merged.report.report_id or "", ())) > 1:
            merged = _doubted(merged, "the report number is used for two patients")
        read.append(merged)
    return _compare(read)


def _without_copies(groups: Iterable[list[PathologyReport]]) -> list[list[PathologyReport]]:
    """Join reports without a number that have the same patient and the same text."""
    kept: list[list[PathologyReport]] = []
    nameless: dict[tuple[str | None, str], list[PathologyReport]] = {}
    for versions in groups:
        first = versions[0]
        if first.report_id is None:
            key = (first.patient_id, " ".join(first.text.split()))
            if key in nameless:
                nameless[key] += versions
                continue
            nameless[key] = versions
        kept.append(versions)
    return kept


def _order(report: PathologyReport) -> tuple[datetime, int]:
    issued = report.issued or _OLDEST
    if issued.tzinfo is None:
        issued = issued.replace(tzinfo=UTC)
    return issued, report.status.value


def _merge_versions(versions: Sequence[PathologyReport]) -> ReportOutcome | None:
    """Give the version that counts; ``None`` if the report was withdrawn."""
    different: list[PathologyReport] = []
    seen: set[tuple[str, ReportStatus]] = set()
    for version in versions:
        key = (" ".join(version.text.split()), version.status)
        if key not in seen:
            seen.add(key)
            different.append(version)
    ordered = sorted(different, key=_order)
    current = ordered[0]
    tied = ""
    for version in ordered[1:]:
        if version.status is ReportStatus.ADDENDUM:
            if current.text.strip() in version.text:
                text = version.text
            else:
                text = f"{current.text}\n\nADDENDUM:\n{version.text}"
            current = replace(version, text=text)
            continue
        if current.status is ReportStatus.WITHDRAWN and _order(version) == _order(current):
            continue
        same = _order(version) == _order(current) and version.status is not ReportStatus.WITHDRAWN
        tied = current.text if same else ""
        current = version
    if current.status is ReportStatus.WITHDRAWN:
        return None
    merged = ReportOutcome(
        current, read_text(current.text), len(different), len(versions) - len(different)
    )
    if tied and _outcomes(read_text(tied)) != _outcomes(merged.reading):
        return _doubted(merged, "two versions of the same time contradict each other")
    return merged


def _outcomes(reading: TextReading) -> list[tuple[object, ...]]:
    return [
        (one.name, one.tissue, one.outcome, one.value(Property.LATERALITY))
        for one in reading.specimens
    ]


def _compare(read: Sequence[ReportOutcome]) -> list[ReportOutcome]:
    """Doubt reports of one patient and accession that disagree about the same specimen."""
    places: dict[tuple[str, str, object, object], list[tuple[int, Outcome | None]]] = {}
    for at, one in enumerate(read):
        patient, accession = one.report.patient_id, one.report.accession_number
        if not (patient and accession):
            continue
        for specimen in one.reading.specimens:
            if specimen.tissue is Tissue.BREAST:
                key = (patient, accession, specimen.name, specimen.value(Property.LATERALITY))
                places.setdefault(key, []).append((at, specimen.outcome))
    result = list(read)
    for found in places.values():
        kinds = {outcome in MALIGNANT for at, outcome in found if outcome is not None}
        numbers = {at for at, _ in found}
        if len(kinds) > 1 and len(numbers) > 1:
            for at in numbers:
                result[at] = _doubted(result[at], "another report of this accession contradicts")
    return result


def _doubted(one: ReportOutcome, reason: str) -> ReportOutcome:
    """Make every outcome of a report unsure, with the reason."""
    specimens = tuple(specimen.doubted(reason) for specimen in one.reading.specimens)
    doubts = (*one.reading.doubts, reason)
    return replace(one, reading=TextReading(specimens, doubts))
