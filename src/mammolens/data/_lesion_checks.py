"""Checks of marked lesions, lateralities and views of a table against the pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mammolens.data._check_report import CheckFinding, finding
from mammolens.data._picture_measures import MaskFacts, PictureMeasures, Seen, Unreadable
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Record

__all__ = ["lesion_findings", "side_findings"]

_FEWEST_SIDES = 10
"""Pictures with a clear chest wall that a group must have to be judged."""
_WHOLE_PICTURE = 0.95
"""Share of the picture from which a mask counts as covering all of it."""


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
