"""Findings on the map of one image, and how they match the lesions that are marked in it.

A rule (`RULES`) decides when a finding is on a lesion. A target (`TARGETS`) decides which lesions
should be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.analysis import locate
from mammolens.core import Box, Finding, PreparedView
from mammolens.data.lesions import Lesion, draw_lesion
from mammolens.data.manifest import Record
from mammolens.metrics import MarkedImage, energy_in_lesion, points_at_lesion

__all__ = [
    "RULES",
    "TARGETS",
    "LesionReading",
    "MapReading",
    "box_holds",
    "marked_image",
    "read_map",
    "wanted_lesions",
]

TARGETS: Final = ("malignant", "any")
"""The lesions that should be found: only malignant ones, or every marked one."""

RULES: Final = {
    "box_holds_centre": "a finding is on a lesion if its box holds the lesion's centre",
    "centre_in_lesion": "a finding is on a lesion if its box's centre lies within the lesion",
}

_FAINTEST = 0.01
"""Share of the map's peak down to which findings are made. Chosen by hand; not tuned."""
_COVERED = 128
"""Grey value from which a pixel of a drawn lesion (0–255) belongs to it."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LesionReading:
    """One marked lesion, and the numbers of the findings on it.

    `malignant` is ``None`` if the source does not say it. `inside` and `overlaps` are ``None`` if
    only the lesion's centre is known, and not its extent.

    Parameters
    ----------
    around
        Findings whose box holds the lesion's centre.
    inside
        Findings whose box's centre lies within the lesion.
    overlaps
        Intersection over union of every finding's box with the lesion.
    """

    malignant: bool | None
    around: tuple[int, ...]
    inside: tuple[int, ...] | None
    overlaps: tuple[float, ...] | None

    def met_by(self, rule: str) -> tuple[int, ...] | None:
        """The findings on the lesion by one of `RULES`."""
        return self.around if rule == "box_holds_centre" else self.inside


@dataclass(frozen=True)
class Aim:
    """How well a map aims at lesions.

    `points` says whether its highest point is in a lesion, `energy` is the share of its sum in
    lesions. `share` is the lesions' share of the breast's area: a map without information would
    reach it in both.
    """

    points: bool
    energy: float
    share: float


@dataclass(frozen=True)
class MapReading:
    """Findings, strongest first and down to 1 % of the map's peak, and the lesions of the image.

    The `score` of a finding is the value of the map there, divided by the level from which a
    finding counts. `aims` has an entry for each of `TARGETS` if the image has such lesions of known
    extent.
    """

    findings: tuple[Finding, ...]
    lesions: tuple[LesionReading, ...]
    aims: dict[str, Aim]


def read_map(
    record: Record, view: PreparedView, heat: npt.NDArray[np.float32], level: float = 1.0
) -> MapReading:
    """Locate findings on a map and match them with the record's lesions.

    Parameters
    ----------
    heat
        Float32 (h, w) ≥ 0 over the prepared frame.
    level
        Value of the map from which on a finding counts; scores are multiples of it.

    Raises
    ------
    InputError, InvalidManifest
        If the mask of a lesion cannot be read or does not fit its image.
    """
    faintest = max(_FAINTEST * float(heat.max()), 1e-12)
    findings = tuple(
        replace(finding, score=finding.score * faintest / level)
        for finding in locate(view, heat, faintest)
    )
    outlines = tuple(_outlines(record, view))
    readings = tuple(
        _reading(malignant, centre, extent, findings, view)
        for malignant, centre, extent in outlines
    )
    regions = {
        "malignant": [e for m, _, e in outlines if m and e is not None],
        "any": [e for _, _, e in outlines if e is not None],
    }
    aims = {target: _aim(heat, view, parts) for target, parts in regions.items() if parts}
    return MapReading(findings, readings, aims)


def wanted_lesions(
    record: Record, reading: MapReading, target: str
) -> tuple[LesionReading, ...] | None:
    """Give the lesions of an image that a map should find; ``None`` if the image cannot be used.

    An image is used if it has marked lesions of this kind, or is known to have none. A malignant
    image without a marked malignant lesion gives no information.
    """
    wanted = tuple(one for one in reading.lesions if target == "any" or one.malignant)
    free = record.tumour is False if target == "any" else record.malignant is False
    return wanted if wanted or free else None


def marked_image(record: Record, reading: MapReading, target: str, rule: str) -> MarkedImage | None:
    """Give the hits and false marks for the FROC curve; ``None`` if the image cannot be used.

    If only malignant lesions should be found, a finding on a lesion that may be malignant or not is
    neither a hit nor a false mark.
    """
    wanted = wanted_lesions(record, reading, target)
    if wanted is None or any(one.met_by(rule) is None for one in wanted):
        return None
    open_ones = () if target == "any" else [one for one in reading.lesions if one.malignant is None]
    excused = {number for one in (*wanted, *open_ones) for number in one.met_by(rule) or ()}
    scores = [finding.score for finding in reading.findings]
    return MarkedImage(
        lesions=tuple(
            max((scores[number] for number in one.met_by(rule) or ()), default=-np.inf)
            for one in wanted
        ),
        false_marks=tuple(s for number, s in enumerate(scores) if number not in excused),
    )


def _outlines(
    record: Record, view: PreparedView
) -> Iterator[tuple[bool | None, tuple[float, float] | None, Mask | None]]:
    """Malignancy, centre in source pixels, and extent in the prepared frame of each lesion."""
    if not record.lesions and record.lesion_centre_px is not None:
        yield record.malignant, record.lesion_centre_px, None
    for lesion in record.lesions:
        drawn = draw_lesion(lesion, view.geometry)
        extent = drawn >= min(_COVERED, max(1, int(drawn.max())))
        alone = len(record.lesions) == 1 and record.lesion_centre_px is not None
        centre = record.lesion_centre_px if alone else _centre(lesion, extent, view)
        yield _malignancy(lesion, record), centre, extent


def _malignancy(lesion: Lesion, record: Record) -> bool | None:
    if lesion.malignant is not None:
        return lesion.malignant
    if record.malignant is False:
        return False
    return True if record.malignant and len(record.lesions) == 1 else None


def _centre(lesion: Lesion, extent: Mask, view: PreparedView) -> tuple[float, float] | None:
    """Centre in source pixels; ``None`` for a mask that lies outside the prepared picture."""
    if (bounds := lesion.bounds_source_px) is not None:
        return (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    if not extent.any():
        return None
    row, col = (float(places.mean()) + 0.5 for places in np.nonzero(extent))
    found = view.geometry.box_to_source((row, col, row, col))
    return found[0], found[1]


def _reading(
    malignant: bool | None,
    centre: tuple[float, float] | None,
    extent: Mask | None,
    findings: tuple[Finding, ...],
    view: PreparedView,
) -> LesionReading:
    around = tuple(n for n, one in enumerate(findings) if box_holds(one.box_source_px, centre))
    if extent is None:
        return LesionReading(malignant, around, None, None)
    boxes = [view.geometry.box_to_prepared(one.box_source_px) for one in findings]
    inside = tuple(n for n, box in enumerate(boxes) if _at_centre(extent, box))
    overlaps = tuple(_overlap(extent, box) for box in boxes)
    return LesionReading(malignant, around, inside, overlaps)


def box_holds(box: Box, point: tuple[float, float] | None) -> bool:
    """Say whether a point (row, column) is in a box; an unknown point is in no box."""
    return point is not None and box[0] <= point[0] < box[2] and box[1] <= point[1] < box[3]


def _at_centre(extent: Mask, box: Box) -> bool:
    row, col = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
    within = 0 <= row < extent.shape[0] and 0 <= col < extent.shape[1]
    return within and bool(extent[row, col])


def _overlap(extent: Mask, box: Box) -> float:
    row0, col0, row1, col1 = (max(0, round(side)) for side in box)
    shared = int(np.count_nonzero(extent[row0:row1, col0:col1]))
    either = int(np.count_nonzero(extent)) + (row1 - row0) * (col1 - col0) - shared
    return shared / either if either else 0.0


def _aim(heat: npt.NDArray[np.float32], view: PreparedView, parts: list[Mask]) -> Aim:
    """A map misses a lesion outside the prepared picture; a constant map misses every lesion."""
    lesion = np.logical_or.reduce(parts) & view.mask
    if not lesion.any():
        return Aim(points=False, energy=0.0, share=0.0)
    rows, cols = lesion.shape
    fine = cv2.resize(heat, (cols, rows), interpolation=cv2.INTER_LINEAR)
    shown = np.where(view.mask, fine, np.float32(0.0))
    return Aim(
        points=bool(points_at_lesion(shown, lesion)),
        energy=energy_in_lesion(shown, lesion) or 0.0,
        share=float(np.count_nonzero(lesion) / np.count_nonzero(view.mask)),
    )
