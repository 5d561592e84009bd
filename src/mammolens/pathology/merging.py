"""Merge the versions of each report, and find reports that contradict each other.

Versions of a report have the same patient and report number. Duplicates merge; a later version
overrules; an addendum adds its text; a withdrawn report is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mammolens.pathology.grammar import read_text
from mammolens.pathology.reports import PathologyReport, ReportStatus
from mammolens.pathology.values import (
    MALIGNANT,
    Outcome,
    Property,
    TextReading,
    Tissue,
)

__all__ = ["ReportOutcome", "merge"]

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
