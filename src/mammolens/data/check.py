"""Whether a table of labelled images can be trusted: leaks, copies, contradictions, damage.

`check_manifest` decodes every picture once, keeps a few kilobytes of each, and holds the table
against itself and against the pictures. What it finds are suspicions with figures: an error is a
fault that makes figures or training worthless, a warning wants a person to look, a note is for the
record.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mammolens import DISCLAIMER
from mammolens.data._claims import label_findings, patient_findings
from mammolens.data._glance import Glance, Refusal, glance
from mammolens.data._hashes import TURNS, find_same
from mammolens.data._marks import lesion_findings, side_findings
from mammolens.data._probes import Seen, leak_findings, probe_labels, probe_sources
from mammolens.data._report import (
    CheckFinding,
    CheckReport,
    Probe,
    Severity,
    finding,
    image_name,
)
from mammolens.data.manifest import Manifest, Record
from mammolens.data.persons import NOBODY, Patient, person_of
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
    same_person: Mapping[Patient, str] = NOBODY,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> CheckReport:
    """Look for every known way in which a table of mammograms misleads.

    Parameters
    ----------
    jobs
        Pictures that are decoded side by side.
    same_person
        Women known under several identifiers, from `mammolens.data.persons.read_persons`.
    on_progress
        Called with (pictures done, pictures in all).

    Returns
    -------
    The report; a picture that cannot be read is a finding, never a reason to stop.
    """
    records = manifest.records
    looks: list[Glance | Refusal] = []
    for look in prefetch(glance, records, ahead=2 * jobs, workers=jobs):
        looks.append(look)
        on_progress(len(looks), len(records))
    seen = [(r, look) for r, look in zip(records, looks, strict=True) if isinstance(look, Glance)]
    machines = [
        record.machine or (look.manufacturer if isinstance(look, Glance) else None)
        for record, look in zip(records, looks, strict=True)
    ]
    probes = (*probe_labels(seen), *probe_sources(seen))
    findings = (
        *_made_up(records),
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
    """Write a report as JSON and give its path.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    text = json.dumps({**report.to_dict(), "disclaimer": DISCLAIMER}, indent=1)
    with storage(path, "the report"):
        return write_whole(path, text + "\n")


def _made_up(records: Sequence[Record]) -> Iterator[CheckFinding]:
    for words in synthetic_warnings(record.dataset for record in records):
        yield finding(
            Severity.WARNING,
            "synthetic_data",
            words.removeprefix("WARNING: "),
            "Use it to try the commands, and nothing else",
        )


def _unread(records: Sequence[Record], looks: Sequence[Glance | Refusal]) -> Iterator[CheckFinding]:
    refused = [
        (record, look)
        for record, look in zip(records, looks, strict=True)
        if isinstance(look, Refusal)
    ]
    for missing, code, words in (
        (True, "missing_file", "files are not there"),
        (False, "unreadable_image", "pictures cannot be read"),
    ):
        found = [(record, look) for record, look in refused if look.missing is missing]
        if found:
            yield finding(
                Severity.ERROR,
                code,
                f"{len(found)} {words}",
                "Copy them again from the source, or leave their rows out",
                (record for record, _ in found),
                details=(f"{image_name(record)}: {look.reason}" for record, look in found),
            )


def _odd_pictures(seen: Sequence[Seen]) -> Iterator[CheckFinding]:
    if blank := [record for record, picture in seen if not picture.breast_found]:
        yield finding(
            Severity.WARNING,
            "no_breast",
            f"in {len(blank)} pictures nothing could be a breast",
            "Look at them: blank pictures and labels are no cases",
            blank,
        )
    for dataset, total in Counter(record.dataset for record, _ in seen).items():
        dark = [r for r, picture in seen if r.dataset == dataset and picture.inverted]
        if dark:
            yield finding(
                Severity.NOTE,
                "inverted_pictures",
                f"{len(dark)} of {total} pictures of {dataset} are dark on bright, against their"
                " header if they have one",
                "Nothing needs doing here: preparation inverts them; other programs do not",
                dark,
                dataset=dataset,
                share=len(dark) / total,
            )


_COPY_WORDS = {
    "copy_across_sides": (
        Severity.ERROR,
        "pairs of one picture stand on two sides of the split",
        "Put both on one side: the woman is the same under two identifiers, or the file was copied",
    ),
    "copy_with_other_label": (
        Severity.ERROR,
        "pairs of one picture have contradictory labels",
        "Find out from the source which label is right; until then leave both out",
    ),
    "copy_across_patients": (
        Severity.ERROR,
        "pairs of one picture stand under two patients",
        "Drop one, and give the woman one patient_id or name her in a table of persons",
    ),
    "copy_within_patient": (
        Severity.WARNING,
        "pairs of one picture stand under one patient",
        "Drop one, unless it is a second exposure of the same view",
    ),
}


def _copies(seen: Sequence[Seen], same_person: Mapping[Patient, str]) -> Iterator[CheckFinding]:
    """Pairs that show one exposure, under the worst that can be said of them."""
    cases: dict[str, list[tuple[Record, Record, str]]] = defaultdict(list)
    for same in find_same([picture.texture for _, picture in seen]):
        (one, look), (other, further) = seen[same.first], seen[same.second]
        if look.digest == further.digest:
            continue
        turn = "" if same.turn == TURNS[0] else f"the second {same.turn}, "
        how = f"{turn}correlation {same.correlation:.2f}"
        cases[_copy_code(one, other, same_person)].append((one, other, how))
    for one, other in _same_files(seen):
        cases[_copy_code(one, other, same_person)].append((one, other, "the same file"))
    for code, (severity, words, remedy) in _COPY_WORDS.items():
        if pairs := cases.get(code):
            yield finding(
                severity,
                code,
                f"{len(pairs)} {words}",
                remedy,
                (record for one, other, _ in pairs for record in (one, other)),
                details=(f"{image_name(a)} = {image_name(b)}: {how}" for a, b, how in pairs),
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
    if person_of(one.patient, same_person) != person_of(other.patient, same_person):
        return "copy_across_patients"
    return "copy_within_patient"
