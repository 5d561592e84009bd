"""Read reports from paths and write the outcomes as CSV or JSON.

paths → reports of each file → versions merged → specimens → a row or an object for each one
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mammolens.core import Laterality
from mammolens.errors import ConfigError, UnreadableReport
from mammolens.files import storage, write_whole
from mammolens.pathology.files import find_files, read_file
from mammolens.pathology.merging import ReportOutcome, merge
from mammolens.pathology.reports import PathologyReport, refuse_future
from mammolens.pathology.values import Property, SpecimenReading, Statement
from mammolens.wording import table_cell

__all__ = ["ReadReports", "read_paths", "write_outcomes"]

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
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = [*_REPORT_COLUMNS, *names, "outcome_confidence", "outcome_evidence", "queue"]
    writer.writerow(head)
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
            writer.writerow([table_cell(cell) for cell in cells])
        if not one.reading.specimens:
            blank = [""] * (len(head) - len(_REPORT_COLUMNS) + 1)
            writer.writerow([*_report_cells(one.report), *blank, queue])
    return stream.getvalue()


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
