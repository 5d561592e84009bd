"""Check whether a table of labelled images can be trusted: leaks, copies, contradictions, damage.

`check_manifest` decodes every picture once and keeps a few kilobytes of it. It compares the rows of
the table with each other and with the pictures. Its findings are suspicions with figures. An error
makes training on the table, or figures from it, worthless. A person must look at a warning. A note
is for information.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mammolens import DISCLAIMER
from mammolens.data._check_report import (
    CheckFinding,
    CheckReport,
    Probe,
    Severity,
    finding,
)
from mammolens.data._lesion_checks import lesion_findings, side_findings
from mammolens.data._picture_measures import (
    PictureMeasures,
    Seen,
    Unreadable,
    measure_picture,
)
from mammolens.data._same_pictures import TURNS, find_same_pictures
from mammolens.data._table_checks import label_findings, patient_findings
from mammolens.data.manifest import Manifest, Record
from mammolens.data.persons import NO_LINKS, Patient, person_key
from mammolens.data.shortcut_probes import leak_findings, probe_labels, probe_sources
from mammolens.data.synthetic import synthetic_warnings
from mammolens.files import storage, write_whole
from mammolens.prefetching import prefetch

__all__ = [
    "CheckFinding",
    "CheckReport",
    "Probe",
    "Severity",
    "check_manifest",
    "write_report",
]

_ORDER = tuple(Severity)


def check_manifest(
    manifest: Manifest,
    *,
    jobs: int = 1,
    same_person: Mapping[Patient, str] = NO_LINKS,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> CheckReport:
    """Look for every known way in which a table of mammograms can mislead.

    Parameters
    ----------
    jobs
        Number of pictures that are decoded at the same time.
    same_person
        Identifiers of the same person, from `mammolens.data.persons.read_persons`.
    on_progress
        Called with (pictures done, number of pictures).

    Returns
    -------
    CheckReport
        A picture that cannot be read becomes a finding; it does not stop the check.
    """
    records = manifest.records
    looks: list[PictureMeasures | Unreadable] = []
    for look in prefetch(measure_picture, records, ahead=2 * jobs, workers=jobs):
        looks.append(look)
        on_progress(len(looks), len(records))
    seen = [
        (r, look)
        for r, look in zip(records, looks, strict=True)
        if isinstance(look, PictureMeasures)
    ]
    machines = [
        record.machine or (look.manufacturer if isinstance(look, PictureMeasures) else None)
        for record, look in zip(records, looks, strict=True)
    ]
    probes = (*probe_labels(seen), *probe_sources(seen))
    findings = (
        *_synthetic(records),
        *_unread(records, looks),
        *patient_findings(records, same_person),
        *_copies(seen, same_person),
        *label_findings(records, machines),
        *lesion_findings(seen),
        *side_findings(seen),
        *_odd_pictures(seen),
        *leak_findings(probes),
    )
    return CheckReport(
        findings=tuple(sorted(findings, key=lambda f: _ORDER.index(f.severity))),
        probes=probes,
        n_images=len(records),
        n_read=len(seen),
        n_patients=len({record.patient for record in records}),
        digest=manifest.digest,
    )


def write_report(report: CheckReport, path: Path) -> Path:
    """Write a report as JSON and return its path.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    text = json.dumps({**report.to_dict(), "disclaimer": DISCLAIMER}, indent=1)
    with storage(path, "the report"):
        if path.exists() and not path.is_file():  # a pipe or a device, such as /dev/stdout
            path.write_text(text + "\n", "utf-8")
            return path
        return write_whole(path, text + "\n")


def _synthetic(records: Sequence[Record]) -> Iterator[CheckFinding]:
    for words in synthetic_warnings(record.dataset for record in records):
        yield finding("synthetic_data", words={"words": words.removeprefix("WARNING: ")})


def _unread(
    records: Sequence[Record], looks: Sequence[PictureMeasures | Unreadable]
) -> Iterator[CheckFinding]:
    refused = [
        (record, look)
        for record, look in zip(records, looks, strict=True)
        if isinstance(look, Unreadable)
    ]
    for missing, code in ((True, "missing_file"), (False, "unreadable_image")):
        found = [(record, look) for record, look in refused if look.missing is missing]
        if found:
            yield finding(
                code,
                (record for record, _ in found),
                details=(f"{record.image_name}: {look.reason}" for record, look in found),
            )


def _odd_pictures(seen: Sequence[Seen]) -> Iterator[CheckFinding]:
    if blank := [record for record, picture in seen if not picture.breast_found]:
        yield finding("no_breast", blank)
    for dataset, total in Counter(record.dataset for record, _ in seen).items():
        dark = [r for r, picture in seen if r.dataset == dataset and picture.inverted]
        if dark:
            yield finding(
                "inverted_pictures",
                dark,
                dataset=dataset,
                words={"total": total},
                share=len(dark) / total,
            )


_COPY_CODES = (
    "copy_across_sides",
    "copy_with_other_label",
    "copy_across_patients",
    "copy_within_patient",
)
"""From the most to the least serious."""


def _copies(seen: Sequence[Seen], same_person: Mapping[Patient, str]) -> Iterator[CheckFinding]:
    """Find pairs that show one exposure; each pair is reported under its most serious fault."""
    cases: dict[str, list[tuple[Record, Record, str]]] = defaultdict(list)
    for same in find_same_pictures([picture.texture for _, picture in seen]):
        (one, look), (other, further) = seen[same.first], seen[same.second]
        if look.digest == further.digest:
            continue
        turn = "" if same.turn == TURNS[0] else f"the second {same.turn}, "
        how = f"{turn}correlation {same.correlation:.2f}"
        cases[_copy_code(one, other, same_person)].append((one, other, how))
    for one, other in _same_files(seen):
        cases[_copy_code(one, other, same_person)].append((one, other, "the same file"))
    for code in _COPY_CODES:
        if pairs := cases.get(code):
            yield finding(
                code,
                (record for one, other, _ in pairs for record in (one, other)),
                details=(f"{a.image_name} = {b.image_name}: {how}" for a, b, how in pairs),
                n=len(pairs),
            )


def _same_files(seen: Sequence[Seen]) -> Iterator[tuple[Record, Record]]:
    first: dict[str, Record] = {}
    for record, picture in seen:
        original = first.setdefault(picture.digest, record)
        if original is not record:
            yield original, record


def _copy_code(one: Record, other: Record, same_person: Mapping[Patient, str]) -> str:
    if None not in (one.split, other.split) and one.split is not other.split:
        return "copy_across_sides"
    if {True, False} in ({one.malignant, other.malignant}, {one.tumour, other.tumour}):
        return "copy_with_other_label"
    if person_key(one.patient, same_person) != person_key(other.patient, same_person):
        return "copy_across_patients"
    return "copy_within_patient"
