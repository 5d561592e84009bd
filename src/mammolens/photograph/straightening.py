"""`straighten`: from a photograph in colour to one straight grey film, or the reasons why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core.images import freeze
from mammolens.photograph.edges import film_outlines, four_corners, is_too_steep, side_lengths
from mammolens.photograph.faults import Fault, refusal
from mammolens.photograph.light import fit_light, linear_light
from mammolens.photograph.sharpness import edge_blur_px

__all__ = ["Film", "straighten"]

_OVERVIEW_PX: Final = 900
"""Longer side of the reduced photograph in which the film is looked for."""
_FILM_PX: Final = 1600
"""Longest side of the straight film: the model reads at most 640 × 352 pixels of it."""
_LEAST_FILM_PX: Final = 1280
"""Least pixels along the film: twice the 640 pixels that the model reads along a breast, so that
noise and moiré are averaged."""
_BLUR_SHARE: Final = 0.002
"""Greatest standard deviation of the blur, as a share of the film's longer side: 1.3 pixels of the
model's input, 0.5 mm of a film of 24 cm. Smaller detail, such as calcifications, is lost with it.
"""
_GLARE_LIGHT: Final = 0.85
"""A film cannot let more light through than this share of the bare box (unexposed film: 0.7); more
is a reflection, or a hole."""
_GLARE_SHARE: Final = 0.002
"""Share of the film with such light that is refused: 0.9 cm² of 18 × 24 cm."""
_VEIL_LIGHT: Final = 0.1
"""The darkest hundredth of a film lets through less: an exposed film has an optical density of 2 or
more beside the breast. More is a veil of stray light, or a print on paper. Chosen by hand."""
_COLOUR: Final = 0.2
"""Mean saturation, once the colour of the box is taken out; a film is grey. Chosen by hand."""
_DENSITY: Final = 2.4
"""Greatest optical density of the grey scale. Darker parts, 0.4 % of the box's light, are noise in
8 bits."""
_RIM: Final = 0.006
"""Rim of the film that is left out, as a share of its longer side: 1.4 mm of 24 cm."""
_BARE: Final = 0.78
"""Light of a place at the border that no film covers; unexposed film lets 0.7 through."""
_STRAY_PERCENTILE: Final = 0.5
_STRAY_SHARE: Final = 0.75
_BLACK_SHARE: Final = 0.5
"""Three quarters of the darkest light are taken for stray light, and what is left of half of it is
black. With less, dark fat becomes black; with more, the air beside the breast becomes grey. Chosen
on films of patients that the model was trained on."""
_WHITE: Final = 4095


@dataclass(frozen=True)
class Film:
    """A straight film.

    `pixels` (rows, columns) uint16, 0 to 4095, falls linearly with optical density, like a scanned
    film. `corners_px` (4, 2) are (x, y) in the photograph, from the top left one clockwise.
    `blur_share` is the standard deviation of the blur as a share of its longer side.
    """

    pixels: npt.NDArray[np.uint16]
    corners_px: npt.NDArray[np.float64]
    blur_share: float

    def __post_init__(self) -> None:
        freeze(self.pixels)
        freeze(self.corners_px)


def straighten(rgb: npt.NDArray[np.uint8], source: str | None = None) -> Film:
    """Find the film in a photograph, check it, straighten it, and correct the light of the box.

    Parameters
    ----------
    rgb
        (rows, columns, 3), upright.
    source
        Name of the photograph in errors.

    Raises
    ------
    BadPhotograph
        With every fault that was found, see `Fault`.
    """
    scale = min(1.0, _OVERVIEW_PX / max(rgb.shape[:2]))
    reduced = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = np.asarray(reduced, np.uint8)
    light = linear_light(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8))
    fitted = fit_light(light)
    if fitted is None:
        raise refusal([Fault.EDGES_NOT_FOUND], source)
    box, lit = fitted
    outlines = film_outlines(lit)
    if len(outlines) > 1:
        raise refusal([Fault.SEVERAL_FILMS], source)
    small_corners = four_corners(outlines[0]) if outlines else None
    if small_corners is None:
        raise refusal([Fault.EDGES_NOT_FOUND], source)
    # The centre of a small pixel is not the centre of a large one.
    corners = (small_corners + 0.5) / scale - 0.5
    longest = max(side_lengths(corners))
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    blur = edge_blur_px(grey, corners, longest)
    flat = _warped(grey, corners, _FILM_PX)
    through = linear_light(np.asarray(flat, np.uint8)) / np.maximum(
        _warped(np.asarray(box), small_corners, _FILM_PX, flat.shape), 1e-3
    )
    faults = [
        fault
        for fault, is_there in (
            (Fault.NOT_A_FILM, _is_coloured(small, lit, small_corners)),
            (Fault.PERSPECTIVE, is_too_steep(corners)),
            (Fault.LOW_RESOLUTION, longest < _LEAST_FILM_PX),
            (Fault.BLURRED, blur is None or blur > _BLUR_SHARE * longest),
            (Fault.GLARE, _has_glare(through)),
        )
        if is_there
    ]
    if faults:
        raise refusal(faults, source)
    return Film(_scanned(through), corners, (blur or 0.0) / longest)


def _scanned(through: npt.NDArray[np.generic]) -> npt.NDArray[np.uint16]:
    """Turn the light that a film lets through into greys that are linear in optical density.

    Most of the darkest light is stray light from in front of the film, and is subtracted.
    """
    stray = float(np.percentile(_inner(through), _STRAY_PERCENTILE))
    darkest = max(10.0**-_DENSITY, _BLACK_SHARE * stray)
    rows, columns = through.shape
    rim = max(1, round(_RIM * max(rows, columns)))
    seen = np.asarray(through[rim : rows - rim, rim : columns - rim], np.float32)
    light = np.maximum(seen - np.float32(_STRAY_SHARE * stray), darkest)
    light[_bare_box(seen)] = darkest
    share = 1.0 - np.log10(light) / math.log10(darkest)
    return np.asarray(np.round(np.clip(share, 0.0, 1.0) * _WHITE), np.uint16)


def _bare_box(through: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where the box shines past a rounded corner or a bent edge: bright parts at the border."""
    bright = np.pad((through > _BARE).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(bright, None, 4)
    at_border = (labels == labels[0, 0]).astype(np.uint8)
    reach = 2 * max(1, round(_RIM * max(through.shape))) + 1
    return cv2.dilate(at_border, np.ones((reach, reach), np.uint8))[1:-1, 1:-1] > 0


def _warped(
    picture: npt.NDArray[np.uint8] | npt.NDArray[np.float32],
    corners: npt.NDArray[np.float64],
    longest: int,
    shape: tuple[int, ...] | None = None,
) -> npt.NDArray[np.generic]:
    """Straighten the quadrilateral; its sides keep their mean lengths, `longest` at most."""
    top, right, bottom, left = side_lengths(corners)
    wide, tall = (top + bottom) / 2, (left + right) / 2
    if shape is None:
        shrink = min(1.0, longest / max(wide, tall))
        # Twice the size first: averaging afterwards takes noise away that sampling would keep.
        finer = min(2.0, 1.0 / shrink)
        shape = round(tall * shrink), round(wide * shrink)
    else:
        finer = 1.0
    rows, columns = (round(length * finer) for length in shape[:2])
    ends = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), ends)
    flat = cv2.warpPerspective(
        picture, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if finer > 1.0:
        flat = cv2.resize(flat, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(flat, picture.dtype)


def _has_glare(through: npt.NDArray[np.generic]) -> bool:
    inner = _inner(cv2.resize(np.asarray(through, np.float32), (384, 512), None, 0, 0, 3))
    too_bright = float((inner > _GLARE_LIGHT).mean())
    return too_bright > _GLARE_SHARE or float(np.percentile(inner, 1.0)) > _VEIL_LIGHT


def _is_coloured(
    small: npt.NDArray[np.uint8],
    lit: npt.NDArray[np.bool_],
    corners: npt.NDArray[np.float64],
) -> bool:
    """Say whether the film has colours of its own, beside that of the box."""
    light = linear_light(small)
    white = np.maximum(light[lit].mean(axis=0), 1e-3)
    film = _inner(_warped(np.asarray(light / white, np.float32), corners, 400))
    brightest = film.max(axis=2)
    seen = brightest > 0.05  # darker pixels have no reliable colour in 8 bits
    if seen.mean() < 0.01:
        return False
    spread = (brightest - film.min(axis=2))[seen] / brightest[seen]
    return float(spread.mean()) > _COLOUR


def _inner(film: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Leave a border of 2 % out, where the box may shine past a bent edge."""
    rows, columns = film.shape[:2]
    edge_r, edge_c = max(1, rows // 50), max(1, columns // 50)
    return np.asarray(film[edge_r : rows - edge_r, edge_c : columns - edge_c], np.float32)
