"""Regions, the samples of a lesion model: one record for each marked lesion or stored crop.

A table for a lesion model may hold whole mammograms with marked lesions (boxes, circles or masks);
each lesion becomes a record. Or it may hold pictures that are crops of one lesion, with or without
a mask; each picture stays one record.
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
"""If a mask covers more than this share of the picture's height or width, the picture is taken as
a crop of the lesion. No lesion on a mammogram is so large; and if one were, its box and the whole
picture would be nearly the same."""

_REGION_ID = re.compile(r"\[-?[\d.]+(,-?[\d.]+){3}\]$")
"""The box at the end of a region's identifier."""


@dataclass(frozen=True)
class _Place:
    """A lesion and its box on the image; ``None`` if the image is a crop of the lesion."""

    lesion: Lesion
    box: Box | None


def region_box(record: Record) -> Box | None:
    """Give the box (row0, col0, row1, col1) of a region's record; ``None`` for a crop."""
    return record.lesions[0].box_source_px if len(record.lesions) == 1 else None


def region_records(manifest: Manifest) -> Manifest:
    """Turn a manifest of images into one of lesions.

    The record of a lesion has the identifier of its image with its box
    (``film7[120,340,400,610]``), its own label, and the box as its only mark. If the lesion has no
    label, it gets the label of its image where that is certain: the lesion is the only one, or the
    image is not malignant. Images labelled normal are left out. Images without a marked lesion are
    left out if their data set marks lesions on other images. If a data set marks no lesion at all,
    every image is taken as a crop. The cautions of the manifest count the images that are left out.
    A manifest of regions is returned as it is.

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
            regions[record.key] = replace(record, tumour=True)
        elif not record.lesions:
            left_out["images without a marked lesion"] += 1
    if not regions:
        raise InvalidManifest(
            f"the table has no lesion: {_counts(left_out) or 'no rows'} left out",
            keyword="lesions",
            remedy="Mark lesions (docs/reference/tables.md), or give crops of lesions",
        )
    notes = (Caution("left_out", f"{_counts(left_out)} left out"),) if left_out else ()
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
    """Find the box of the largest connected part of a mask; stray pixels are ignored."""
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


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
