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
from mammolens.data._check_report import CheckFinding, CheckReport, Severity, finding
from mammolens.data._picture_measures import (
    MaskFacts,
    PictureMeasures,
    Seen,
    Unreadable,
    measure_picture,
)
from mammolens.data._same_pictures import TURNS, find_same_pictures
from mammolens.data._table_checks import label_findings, patient_findings
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest, Record
from mammolens.data.persons import NO_LINKS, Patient, person_key
from mammolens.data.shortcut_probes import leak_findings, probe_labels, probe_sources
from mammolens.data.summary import synthetic_warnings
from mammolens.files import storage, write_whole
from mammolens.prefetching import prefetch

__all__ = ["CheckReport", "Severity", "check_manifest", "write_report"]

_ORDER = tuple(Severity)
_COPY_CODES = (
    "copy_across_sides",
    "copy_with_other_label",
    "copy_across_patients",
    "copy_within_patient",
)
"""From the most to the least serious."""
_FEWEST_SIDES = 10
"""Pictures with a clear chest wall that a group must have to be judged."""
_WHOLE_PICTURE = 0.95
"""Share of the picture from which a mask counts as covering all of it."""


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
        *(
            finding("synthetic_data", words={"words": words.removeprefix("WARNING: ")})
            for words in synthetic_warnings(record.dataset for record in records)
        ),
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


def lesion_findings(seen: Sequence[Seen]) -> Iterator[CheckFinding]:
    """Find lesions whose place or label cannot be right."""
    cases: dict[str, list[tuple[Record, str]]] = defaultdict(list)
    for record, picture in seen:
        for code, words in _lesion_faults(record, picture):
            cases[code].append((record, words))
    for code, found in cases.items():
        yield finding(
            code,
            (record for record, _ in found),
            details=(f"{record.image_name}: {words}" for record, words in found),
        )


def side_findings(seen: Sequence[Seen]) -> Iterator[CheckFinding]:
    """Find lateralities and views that contradict the file, or the place of the chest wall."""
    for name, code in (("laterality", "laterality"), ("view_position", "view")):
        wrong = [
            (record, picture)
            for record, picture in seen
            if None not in (values := {getattr(record, name), getattr(picture, name)})
            and len(values) == 2
        ]
        if wrong:
            yield finding(
                f"{code}_contradicts_file",
                (record for record, _ in wrong),
                details=(
                    f"{r.image_name}: table {getattr(r, name).value}, file {getattr(p, name).value}"
                    for r, p in wrong
                ),
            )
    groups: dict[tuple[str, str | None], list[Seen]] = defaultdict(list)
    for record, picture in seen:
        machine = record.machine or picture.manufacturer
        groups[record.dataset, machine].append((record, picture))
    for (dataset, machine), kept in groups.items():
        place = dataset if machine is None else f"{dataset}, machine {machine}"
        yield from _chest_walls(place, dataset, kept)


def _lesion_faults(record: Record, picture: PictureMeasures) -> Iterator[tuple[str, str]]:
    marked = bool(record.lesions) or record.lesion_centre_px is not None
    if marked and record.tumour is False:
        yield "lesion_on_normal", "labelled normal"
    if record.malignant is False and any(lesion.malignant for lesion in record.lesions):
        yield "lesion_contradicts_label", "labelled not malignant"
    if record.lesion_centre_px is not None and not record.lesions:
        yield from _outside((*record.lesion_centre_px, *record.lesion_centre_px), picture)
    for lesion, mask in zip(record.lesions, picture.masks, strict=True):
        yield from _mask_faults(mask, picture) if mask is not None else _extent(lesion, picture)


def _extent(lesion: Lesion, picture: PictureMeasures) -> Iterator[tuple[str, str]]:
    if lesion.circle_source_px is not None and not lesion.circle_source_px[2] > 0:
        yield "lesion_without_extent", f"a radius of {lesion.circle_source_px[2]:g}"
        return
    box = lesion.bounds_source_px
    if box is None:
        return
    if not (box[2] > box[0] and box[3] > box[1]):
        yield "lesion_without_extent", f"a box {box}"
        return
    yield from _outside(box, picture)


def _outside(
    box: tuple[float, float, float, float], picture: PictureMeasures
) -> Iterator[tuple[str, str]]:
    """Yield a fault if the centre is outside the picture; a part of a lesion may be outside."""
    row, col = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    rows, cols = picture.shape_px
    if not (0 <= row <= rows and 0 <= col <= cols):
        yield "lesion_outside", f"centre at row {row:g}, column {col:g} of {rows} x {cols}"


def _mask_faults(
    mask: MaskFacts | Unreadable, picture: PictureMeasures
) -> Iterator[tuple[str, str]]:
    if isinstance(mask, Unreadable):
        yield "mask_unreadable", mask.reason
        return
    if mask.shape != picture.shape_px:
        sizes = (" x ".join(map(str, shape)) for shape in (mask.shape, picture.shape_px))
        yield "mask_of_other_size", " on ".join(sizes)
    if mask.share == 0:
        yield "mask_empty", "no pixel is marked"
    elif mask.share > _WHOLE_PICTURE:
        yield "mask_covers_all", f"{mask.share:.0%} of it is marked"


def _chest_walls(place: str, dataset: str, seen: Sequence[Seen]) -> Iterator[CheckFinding]:
    """Compare the edge at which the chest wall is seen with the laterality.

    In stored pictures a left breast has its chest wall at the left edge (PS3.3 C.7.6.1.1.1, with a
    patient orientation of anterior along the rows). The shares 0.2 and 0.8 are chosen by hand.
    """
    clear = [(r, p) for r, p in seen if r.laterality is not None and p.chest_wall is not None]
    if len(clear) < _FEWEST_SIDES:
        return
    odd = [r for r, p in clear if p.chest_wall is not r.laterality]
    if not odd:
        return
    share = len(odd) / len(clear)
    single = share <= 0.2
    code = "mirrored_set" if share > 0.8 else "sides_unrelated"
    yield finding(
        "side_contradicts_picture" if single else code,
        odd if single else (),
        dataset=dataset,
        words={"place": place},
        share=share,
        n=len(clear),
    )
