"""The sheet of `mammolens explain`: images beside their maps from every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, INK, QUIET, band, measure, write
from mammolens._outlines import STRONGEST, tinted
from mammolens.core import PreparedView
from mammolens.data.lesions import draw_lesion
from mammolens.data.manifest import Record

__all__ = ["draw_sheet"]

Rgb = npt.NDArray[np.uint8]
Row = tuple[Record, PreparedView, Mapping[str, npt.NDArray[np.float32]]]

_HIGH: Final = 360
_OUTLINE: Final = (255, 64, 200)
_LETTERS: Final = 13
_NAMES_HIGH: Final = 26
_GAP: Final = 4


def draw_sheet(rows: Sequence[Row], columns: Mapping[str, str]) -> Rgb:
    """Draw each prepared image with outlined lesions, then the same with each method's map.

    Parameters
    ----------
    rows
        One row or more. If a method has no map of an image, its place is empty.

    Returns
    -------
    Uint8 RGB. Every map is scaled to its own maximum, so that colours compare places, not
    strengths.
    """
    lines = [_line(record, view, heats, columns) for record, view, heats in rows]
    width = max(line.shape[1] for line in lines)
    names = _names(["as prepared", *columns.values()], width)
    note = "Lesions outlined; each map is scaled to its own maximum"
    return np.vstack([band([note, DISCLAIMER], width), names, *lines])


def _line(
    record: Record,
    view: PreparedView,
    heats: Mapping[str, npt.NDArray[np.float32]],
    columns: Mapping[str, str],
) -> Rgb:
    wide = round(_HIGH * view.pixels.shape[1] / view.pixels.shape[0])
    grey = np.asarray(
        cv2.resize(view.pixels, (wide, _HIGH), interpolation=cv2.INTER_AREA), np.uint8
    )
    outlines = [
        cv2.resize(draw_lesion(lesion, view.geometry), (wide, _HIGH)) for lesion in record.lesions
    ]
    cells = [_framed(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), outlines)]
    for name in columns:
        if name not in heats:
            cells.append(np.full((_HIGH, wide, 3), GROUND, np.uint8))
            continue
        fine = cv2.resize(heats[name], (wide, _HIGH), interpolation=cv2.INTER_LINEAR)
        peak = max(float(fine.max()), 1e-12)
        cells.append(_framed(tinted(grey, fine * (STRONGEST / peak)), outlines))
    gap = np.full((_HIGH, _GAP, 3), GROUND, np.uint8)
    row = np.hstack([part for cell in cells for part in (cell, gap)])
    word = f"{record.dataset} {record.image_id}"
    write(row, word[-40:], (4, _HIGH - 6), _LETTERS, QUIET)
    return np.vstack([row, np.full((_GAP, row.shape[1], 3), GROUND, np.uint8)])


def _framed(picture: Any, outlines: Sequence[Any]) -> Rgb:
    drawn = np.ascontiguousarray(picture, np.uint8)
    for outline in outlines:
        edges, _ = cv2.findContours(
            (outline >= 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, edges, -1, _OUTLINE, 1, cv2.LINE_AA)
    return drawn


def _names(titles: Sequence[str], width: int) -> Rgb:
    strip = np.full((_NAMES_HIGH, width, 3), GROUND, np.uint8)
    step = width // len(titles)
    for number, title in enumerate(titles):
        size = float(_LETTERS)
        while measure(title, size)[0] > step - 6 and size > 6:
            size -= 0.5
        write(strip, title, (number * step + 3, _NAMES_HIGH - 8), size, INK)
    return strip
