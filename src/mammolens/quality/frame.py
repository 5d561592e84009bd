"""Exposure, clipping and cut-off tissue, measured on the overview and the breast found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Overview
from mammolens.preprocess import BreastRegion, find_breast

__all__ = ["Frame", "measure_frame"]

VERSION: Final = 2
"""Version of the masks that the verdict uses, whatever the model's card says."""
_WHITE, _BLACK = 254, 1
"""Greys (0–255) that count as white and black, as in `preprocess.picture_trust`."""

_TISSUE: Final = 0.35
"""Tissue at a cut edge is at least this bright, by the breast's median. Below it lies haze of the
film that the mask took in: seen on 2 of 9 straight outlines of MIAS and DDSM. Chosen by hand."""


@dataclass(frozen=True)
class Frame:
    """The breast in the overview, chest wall at the left.

    `grey` (h, w, 0–255) and `mask` (h, w) are the overview, mirrored if need be; `box` is the
    breast's (row0, col0, row1, col1). `last` (rows of the box,) is the outline: the last column of
    the breast in each row. `median` and `contrast` (percentiles 5 to 95) are greys of the breast,
    0–1; `white` and `black` are shares of it. `cut_far` says how much of the breast's height lies
    straight along the edge opposite the chest wall, 0–1.
    """

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]
    last: npt.NDArray[np.intp]
    mirrored: bool
    median: float
    contrast: float
    white: float
    black: float
    cut_far: float

    def clipped(self) -> list[tuple[int, int, int, int]]:
        """Boxes of the largest parts of the breast that are pure white or black, at most three."""
        lost = ((self.grey >= _WHITE) | (self.grey <= _BLACK)) & self.mask
        count, _, stats, _ = cv2.connectedComponentsWithStats(
            np.ascontiguousarray(lost).view(np.uint8), connectivity=8
        )
        largest = sorted(stats[1:count].tolist(), key=lambda part: -part[4])[:3]
        return [(y, x, y + h, x + w) for x, y, w, h, _ in largest]


def measure_frame(overview: Overview) -> Frame | None:
    """Find the breast by the newest masks and measure it; ``None`` if none is found."""
    region = find_breast(overview.grey.astype(np.float32) / np.float32(255.0), VERSION)
    if region is None:
        return None
    grey, mask, box = _to_the_left(overview.grey, region)
    row0, col0, row1, col1 = box
    inside = mask[row0:row1, col0:col1]
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    last = np.where(inside.any(1), last, -1)
    counts = np.cumsum(np.bincount(grey[mask], minlength=256))
    low, middle, high = (
        int(np.searchsorted(counts, share * counts[-1])) for share in (0.05, 0.5, 0.95)
    )
    total = float(counts[-1])
    return Frame(
        grey=grey,
        mask=mask,
        box=box,
        last=last,
        mirrored=region.chest_wall_right,
        median=middle / 255.0,
        contrast=(high - low) / 255.0,
        white=1.0 - float(counts[_WHITE - 1]) / total,
        black=float(counts[_BLACK]) / total,
        cut_far=_straight_share(grey[row0:row1, col0:col1], last, middle),
    )


def _straight_share(
    inside: npt.NDArray[np.uint8], last: npt.NDArray[np.intp], median: int
) -> float:
    """Share of the rows whose outline lies in the two outermost columns, on tissue, not haze."""
    edge = inside[np.arange(len(last)), np.maximum(last - 2, 0)]
    return float(np.mean((last >= last.max() - 1) & (edge > _TISSUE * median)))


def _to_the_left(
    grey: npt.NDArray[np.uint8], region: BreastRegion
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], tuple[int, int, int, int]]:
    if not region.chest_wall_right:
        return grey, region.mask, region.box
    row0, col0, row1, col1 = region.box
    width = grey.shape[1]
    box = row0, width - col1, row1, width - col0
    return grey[:, ::-1], region.mask[:, ::-1], box
