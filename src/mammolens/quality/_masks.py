"""Small operations on masks that the gate's measurements share."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["areas", "as_bytes", "narrower", "opened", "wider"]

_Mask = npt.NDArray[np.bool_]


def as_bytes(mask: _Mask) -> npt.NDArray[np.uint8]:
    """The mask as OpenCV takes it, not copied."""
    return mask.view(np.uint8)


def wider(mask: _Mask, size: int) -> _Mask:
    """The mask and what lies within half of `size` pixels of it."""
    return np.asarray(cv2.dilate(as_bytes(mask), np.ones((size, size), np.uint8))) > 0


def narrower(mask: _Mask, size: int) -> _Mask:
    """The mask less its rim; the picture's edges are no rim, the breast goes on there."""
    kernel = np.ones((size, size), np.uint8)
    smaller = cv2.erode(as_bytes(mask), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(smaller) > 0


def opened(mask: _Mask) -> _Mask:
    """The mask less everything that is thinner than five pixels."""
    kernel = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.morphologyEx(as_bytes(mask), cv2.MORPH_OPEN, kernel)) > 0


def areas(mask: _Mask, connectivity: int) -> npt.NDArray[np.int32]:
    """Areas of the connected parts, [0] if there are none."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(as_bytes(mask), connectivity=connectivity)
    return np.asarray(stats[1:, cv2.CC_STAT_AREA] if count > 1 else np.zeros(1), np.int32)
