"""Find the strong places of a malignancy map, as boxes in source pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Finding, PreparedView

__all__ = ["CORE_SHARE", "locate"]

CORE_SHARE = 0.6
"""A finding is the area around a peak where the map is above this share of the peak."""

_FINER = 9  # odd, so that the centre of a cell keeps its value
_MOST = 4


def locate(
    view: PreparedView, malignancy_map: npt.NDArray[np.float32], level: float
) -> tuple[Finding, ...]:
    """Turn the connected maxima of a map above a level into findings, strongest first.

    The map is refined bilinearly. A finding is the region of the breast around a maximum where the
    map is above 60 % of the maximum. Findings are at least one cell of the map apart.

    Parameters
    ----------
    malignancy_map
        Float32 (h, w), raw Grad-CAM over the prepared frame.
    level
        Smallest raw value of a maximum that counts (`ModelCard.finding_level`).

    Returns
    -------
    At most four findings; `score` is the maximum divided by the level.
    """
    if not malignancy_map.max() >= level:
        return ()
    rows, cols = (_FINER * side for side in malignancy_map.shape)
    fine = cv2.resize(malignancy_map, (cols, rows), interpolation=cv2.INTER_LINEAR)
    inside = cv2.resize(view.mask.astype(np.uint8), (cols, rows), interpolation=cv2.INTER_NEAREST)
    left = np.where(inside > 0, fine, 0.0)
    cell = view.pixels.shape[0] / rows, view.pixels.shape[1] / cols
    found: list[Finding] = []
    while len(found) < _MOST and (peak := float(left.max())) >= level:
        place = np.unravel_index(int(left.argmax()), left.shape)
        region = _component(left >= CORE_SHARE * peak, (int(place[0]), int(place[1])))
        at_rows, at_cols = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
        box = view.geometry.box_to_source(
            (
                at_rows[0] * cell[0],
                at_cols[0] * cell[1],
                (at_rows[-1] + 1) * cell[0],
                (at_cols[-1] + 1) * cell[1],
            )
        )
        if box[0] < box[2] and box[1] < box[3]:
            found.append(Finding(tuple(round(float(side), 2) for side in box), peak / level))  # type: ignore[arg-type]
        left[
            max(0, at_rows[0] - _FINER) : at_rows[-1] + 1 + _FINER,
            max(0, at_cols[0] - _FINER) : at_cols[-1] + 1 + _FINER,
        ] = 0.0
    return tuple(found)


def _component(mask: npt.NDArray[np.bool_], seed: tuple[int, int]) -> npt.NDArray[np.bool_]:
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    component: npt.NDArray[np.bool_] = labels == labels[seed]
    return component
