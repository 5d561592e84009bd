"""Lesions as samples: one record for each marked lesion of an image, or for each stored crop.

A table for a lesion model may hold whole mammograms whose lesions are marked (a box, a circle or
a mask: every one of them becomes a record) or pictures that are themselves crops of one lesion,
with or without its mask (each is a record as it is).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mammolens.core import Box, Caution
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InputError, InvalidManifest, NotAnImage

__all__ = ["region_box", "region_records"]

_CROP_SHARE = 0.8
"""A mask that reaches over more of either side than this shows that the picture is the lesion's
crop. On a mammogram no lesion does; and if one did, its box and the picture would be nearly one."""

_REGION_ID = re.compile(r"\[-?[\d.]+(,-?[\d.]+){3}\]$")


@dataclass(frozen=True)
class _Place:
    """Where a lesion lies on its image; no box: the image is the lesion's crop."""

    lesion: Lesion
    box: Box | None


def region_box(record: Record) -> Box | None:
    """The box (row0, col0, row1, col1) of a record of `region_records`; ``None`` for a crop."""
    return record.lesions[0].box_source_px if len(record.lesions) == 1 else None


def region_records(manifest: Manifest) -> Manifest:
    """Turn a manifest of images into one of lesions.

    A lesion's record has the identifier of its image and its box (``film7[120,340,400,610]``),
    its own label, and the box as its only mark. A lesion that says nothing of itself has its
    image's label where that can only be its own: the image has no other lesion, or none that is
    malignant. Images that the table calls normal are left out, and so are images without a mark in
    a data set that marks lesions on others; in a data set that marks none, every image is taken
    for a crop. What was left out is counted in the manifest's cautions. A manifest of regions
    comes back as it is.

    Raises
    ------
    InvalidManifest
        If no lesion is left.
    """
    left_out: Counter[str] = Counter()
    places = {record: list(_places(record, left_out)) for record in manifest.records}
    marking = {
        record.dataset for record, found in places.items() if any(place.box for place in found)
    }
    regions: dict[tuple[str, str], Record] = {}
    for record, found in places.items():
        if record.tumour is False:
            left_out["normal images"] += 1
        elif any(place.box for place in found):
            for place in found:
                region = _region(record, place, alone=len(found) == 1)
                regions[region.dataset, region.image_id] = region
        elif found or (record.dataset not in marking and not record.lesions):
            regions[record.dataset, record.image_id] = replace(record, tumour=True)
        elif not record.lesions:
            left_out["images without a marked lesion"] += 1
    if not regions:
        raise InvalidManifest(
            f"the table holds no lesion: {_counted(left_out) or 'no rows'} left out",
            keyword="lesions",
            remedy="Mark lesions (docs/reference/tables.md), or give crops of lesions",
        )
    notes = (Caution("left_out", f"{_counted(left_out)} left out"),) if left_out else ()
    return Manifest.of(regions.values(), (*manifest.cautions, *notes))


def _places(record: Record, left_out: Counter[str]) -> Iterator[_Place]:
    for lesion in record.lesions:
        if lesion.mask_path is None:
            yield _Place(lesion, lesion.bounds_source_px)
            continue
        try:
            yield _mask_place(lesion)
        except InputError:
            left_out["lesions whose mask cannot be used"] += 1


def _mask_place(lesion: Lesion) -> _Place:
    """The box of the largest piece of a mask: stray pixels are no part of a lesion."""
    from mammolens.images import read_mask

    assert lesion.mask_path is not None
    mask = read_mask(lesion.mask_path)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        raise NotAnImage("the mask is empty", source=str(lesion.mask_path))
    col, row, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())].tolist()
    if max(height / mask.shape[0], width / mask.shape[1]) > _CROP_SHARE:
        return _Place(lesion, None)
    return _Place(lesion, (float(row), float(col), float(row + height), float(col + width)))


def _region(record: Record, place: _Place, *, alone: bool) -> Record:
    box, lesion = place.box, place.lesion
    if box is None or (_REGION_ID.search(record.image_id) and alone):
        return replace(record, tumour=True)
    malignant = lesion.malignant
    if malignant is None and (alone or record.malignant is False):
        malignant = record.malignant
    corners = ",".join(f"{edge:.1f}".removesuffix(".0") for edge in box)
    return replace(
        record,
        image_id=f"{record.image_id}[{corners}]",
        tumour=True,
        malignant=malignant,
        lesion_centre_px=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        lesions=(Lesion(lesion.kind, malignant, box),),
    )


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
