"""Operations on boolean masks (h, w) that several measurements of the gate use."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_Mask = npt.NDArray[np.bool_]


def as_bytes(mask: _Mask) -> npt.NDArray[np.uint8]:
    """Give the mask as uint8 for OpenCV, without a copy."""
    return mask.view(np.uint8)


def wider(mask: _Mask, size: int) -> _Mask:
    """Grow the mask with a square of `size` pixels."""
    return np.asarray(cv2.dilate(as_bytes(mask), np.ones((size, size), np.uint8))) > 0


def narrower(mask: _Mask, size: int) -> _Mask:
    """Shrink the mask with a square of `size` pixels, but not at the edges of the picture.

    The breast continues beyond the edge of the picture, so the mask has no rim there.
    """
    kernel = np.ones((size, size), np.uint8)
    smaller = cv2.erode(as_bytes(mask), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(smaller) > 0


def part_areas(mask: _Mask, connectivity: int) -> npt.NDArray[np.int32]:
    """Areas of the connected parts in pixels, [0] if there are none."""
    return _areas(_bounding_part(mask), connectivity)


def broad_areas(mask: _Mask) -> npt.NDArray[np.int32]:
    """Areas in pixels of the parts that are at least five pixels wide, [0] if there are none."""
    part = _bounding_part(mask)
    if part.size == 0:
        return np.zeros(1, np.int32)
    kernel = np.ones((5, 5), np.uint8)
    return _areas(np.asarray(cv2.morphologyEx(part, cv2.MORPH_OPEN, kernel), np.uint8), 4)


def _bounding_part(mask: _Mask) -> npt.NDArray[np.uint8]:
    """Cut out the bounding box of the true pixels, with a margin for a filter of five pixels."""
    col, row, wide, tall = cv2.boundingRect(as_bytes(mask))
    if wide == 0:
        return np.zeros((0, 0), np.uint8)
    rows, cols = slice(max(row - 3, 0), row + tall + 3), slice(max(col - 3, 0), col + wide + 3)
    return np.ascontiguousarray(as_bytes(mask)[rows, cols])


def _areas(part: npt.NDArray[np.uint8], connectivity: int) -> npt.NDArray[np.int32]:
    if not part.any():
        return np.zeros(1, np.int32)
    found = cv2.connectedComponentsWithStats(part, connectivity=connectivity, ltype=cv2.CV_16U)
    return np.asarray(found[2][1:, cv2.CC_STAT_AREA], np.int32)


def share(mask: Any) -> float:
    """Share of a bool array that is true, 0–1."""
    return float(np.count_nonzero(mask)) / float(mask.size)


def deviation(values: npt.NDArray[Any], mask: _Mask) -> float:
    """Standard deviation of the values where the mask is true."""
    return float(cv2.meanStdDev(values, mask=as_bytes(mask))[1][0, 0])
