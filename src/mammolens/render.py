"""Draws results into arrays: the map over a mammogram, boxes, labels, the 2×2 hanging.

An `ImagePrediction` flows in, uint8 RGB (rows, columns, 3) flows out; nothing is read or written.
Maps are drawn by their strength, the raw value divided by the model's validated level, so the same
colour means the same evidence on every image, and an image without activation stays grey.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, QUIET, band, measure, write
from mammolens.core import (
    Box,
    Geometry,
    ImagePrediction,
    Laterality,
    Prediction,
    ViewPosition,
)
from mammolens.wording import CATEGORY_WORDS, Place, percent, view_name

__all__ = [
    "FAINTEST",
    "STRONGEST",
    "box_to_display",
    "display_pixels",
    "frame",
    "hanging",
    "hanging_order",
    "hangs_mirrored",
    "heat",
    "overlay",
    "tinted",
    "warp_map",
]

FAINTEST: Final = 0.4
"""Strength below which the map is not drawn."""
STRONGEST: Final = 2.0
"""Strength at which the colours end."""

Rgb = npt.NDArray[np.uint8]

_OPACITY: Final = 0.5
_STEPS: Final = 255
_LINE: Final = (92, 98, 104)
_GAP: Final = 4
_MARK: Final = (255, 255, 255)
_STANDARD: Final = (ViewPosition.CC, ViewPosition.MLO)
_NO_PICTURE_ROWS: Final = 1000


def hangs_mirrored(laterality: Laterality | None, geometry: Geometry) -> bool:
    """Say whether the source must be mirrored so that its chest wall meets the centre line.

    The right breast hangs at the left with its chest wall at its right edge, the left breast
    opposite. An image of unknown side stays as it is, and so does one stored lying on its side.

    Examples
    --------
    >>> g = Geometry((4, 4), (0, 0, 4, 4), (4, 4), (0, 0), (4, 4), flipped=True)
    >>> hangs_mirrored(Laterality.RIGHT, g), hangs_mirrored(Laterality.LEFT, g)
    (False, True)
    """
    outer = {Laterality.RIGHT: "left", Laterality.LEFT: "right"}
    return laterality is not None and geometry.chest_wall_edge == outer[laterality]


def warp_map(
    activation: npt.NDArray[np.float32], geometry: Geometry, display_shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Lay a map of the prepared frame over the whole source image, seen at another size.

    Parameters
    ----------
    activation
        (h, w), covering the prepared frame evenly; any unit.
    geometry
        How the prepared frame was cut from the source.
    display_shape
        Rows and columns of the picture of the whole source.

    Returns
    -------
    float32 `display_shape`, bilinear, in the source's orientation and the map's unit; zero
    outside the crop, of which the model saw nothing.
    """
    if geometry.quarter_turns:
        shape = display_shape[::-1] if geometry.quarter_turns % 2 else display_shape
        return np.rot90(warp_map(activation, geometry.upright, shape), geometry.quarter_turns)
    r0, c0, r1, c1 = geometry.crop_source_px
    (scale_r, scale_c), (shift_r, shift_c) = geometry.scale, geometry.offset_px
    row = _centres(display_shape[0], geometry.source_shape[0])
    col = _centres(display_shape[1], geometry.source_shape[1])
    prepared_col = (col - c0) * scale_c
    if geometry.flipped:
        prepared_col = geometry.scaled_shape[1] - prepared_col
    rows, cols = geometry.prepared_shape
    h, w = activation.shape
    down = _weights(((row - r0) * scale_r + shift_r) * h / rows, h, (row >= r0) & (row < r1))
    across = _weights((prepared_col + shift_c) * w / cols, w, (col >= c0) & (col < c1))
    return np.asarray(down @ activation.astype(np.float32) @ across.T, dtype=np.float32)


def _centres(count: int, extent: int) -> npt.NDArray[np.float64]:
    return np.asarray((np.arange(count) + 0.5) * (extent / count), dtype=np.float64)


def _weights(
    position: npt.NDArray[np.float64], count: int, inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix (positions, count); cell `i` has its centre at i + ½."""
    distance = np.clip(position - 0.5, 0, count - 1)[:, None] - np.arange(count)[None, :]
    return (np.maximum(0.0, 1.0 - np.abs(distance)) * inside[:, None]).astype(np.float32)


def heat(strength: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Colour a map of strengths (1 = the validated level).

    Returns
    -------
    uint8 RGBA (rows, columns, 4): viridis, perceptually even and safe for the colour-blind, from
    `FAINTEST` (wholly transparent) to `STRONGEST` (half opaque).
    """
    step = np.clip(strength * (_STEPS / STRONGEST), 0, _STEPS).astype(np.uint8)
    return np.asarray(_ramp()[step], dtype=np.uint8)


@lru_cache(maxsize=1)
def _ramp() -> npt.NDArray[np.uint8]:
    strength = np.arange(_STEPS + 1) * (STRONGEST / _STEPS)
    share = np.clip((strength - FAINTEST) / (STRONGEST - FAINTEST), 0.0, 1.0)
    colour = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    rise = np.clip((strength - FAINTEST) / (1.0 - FAINTEST), 0.0, 1.0)
    alpha = rise * rise * (3 - 2 * rise) * _OPACITY
    opaque = np.rint(alpha * 255).astype(np.uint8)
    return np.column_stack([colour.reshape(-1, 3)[:, ::-1], opaque]).astype(np.uint8)


def tinted(grey: npt.NDArray[np.uint8], strength: npt.NDArray[np.float32]) -> Rgb:
    """Lay a map of strengths over a grey picture of the same shape; uint8 RGB."""
    tint = heat(strength)
    mixed = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    seen = tint[..., 3] > 0
    alpha = tint[seen, 3:].astype(np.float32) / 255
    mixed[seen] = np.rint(mixed[seen] * (1 - alpha) + tint[seen, :3] * alpha)
    return mixed


def box_to_display(
    box_source_px: Box, source_shape: tuple[int, int], shape: tuple[int, int], mirrored: bool
) -> Box:
    """Carry a box from the source to a picture of the whole source of `shape`.

    Examples
    --------
    >>> box_to_display((10.0, 20.0, 30.0, 40.0), (100, 100), (50, 50), mirrored=True)
    (5.0, 30.0, 15.0, 40.0)
    """
    sr, sc = shape[0] / source_shape[0], shape[1] / source_shape[1]
    r0, c0, r1, c1 = (edge * s for edge, s in zip(box_source_px, (sr, sc, sr, sc), strict=True))
    return (r0, shape[1] - c1, r1, shape[1] - c0) if mirrored else (r0, c0, r1, c1)


def display_pixels(image: ImagePrediction) -> npt.NDArray[np.uint8]:
    """Give the picture that was kept of an image, or a black one of its shape if none was."""
    if image.display is not None:
        return image.display.pixels
    rows, cols = image.geometry.source_shape
    shrink = min(1.0, _NO_PICTURE_ROWS / rows)
    aspect = image.ref.pixel_aspect
    shape = max(1, round(rows * shrink)), max(1, round(cols * shrink / aspect))
    return np.zeros(shape, dtype=np.uint8)


def overlay(image: ImagePrediction, prediction: Prediction) -> Rgb:
    """Draw one mammogram with its malignancy map, finding boxes and a band of words beneath.

    Returns
    -------
    uint8 RGB, as wide as the image's display and in the source's orientation; the band stands
    below the picture and covers nothing of it.
    """
    picture = _marked(image, display_pixels(image).shape, mirrored=False)
    lines = [
        f"{view_name(image.ref)}   P(malignant) {percent(image.scores.malignant)}"
        f"   P(tumour) {percent(image.scores.tumour)}",
        f"Triage of the exam: {CATEGORY_WORDS[prediction.category]}",
        f"Tint from {FAINTEST}x to {STRONGEST}x the level from which a finding counts",
        f"{_spoken_by(prediction)}. {DISCLAIMER}",
    ]
    return np.vstack([picture, band(lines, picture.shape[1])])


def hanging_order(prediction: Prediction) -> list[tuple[ImagePrediction | Place, ...]]:
    """Pair the views of an exam as they hang: right at the left, CC above MLO, others beneath.

    Returns
    -------
    Rows of two: an image, or the place (laterality, view position) that has none. The two rows
    of the standard views are always there.
    """
    rows: list[tuple[ImagePrediction | Place, ...]] = []
    others = sorted(
        {i.ref.view_position for i in prediction.images} - set(_STANDARD),
        key=lambda view: view.value if view else "~",
    )
    for view in (*_STANDARD, *others):
        here = [i for i in prediction.images if i.ref.view_position is view]
        right = [i for i in here if i.ref.laterality is Laterality.RIGHT]
        left = [i for i in here if i.ref.laterality is Laterality.LEFT]
        for n in range(max(len(right), len(left), 1 if view in _STANDARD else 0)):
            rows.append(
                (
                    right[n] if n < len(right) else (Laterality.RIGHT, view),
                    left[n] if n < len(left) else (Laterality.LEFT, view),
                )
            )
        rows.extend((i,) for i in here if i.ref.laterality is None)
    return rows


def hanging(prediction: Prediction, panel_rows: int = 800) -> Rgb:
    """Hang an exam: RCC LCC / RMLO LMLO back to back, chest walls at the centre line.

    Parameters
    ----------
    prediction
        One exam; a view that it lacks is drawn as an empty panel that says so, and views other
        than the four follow beneath.
    panel_rows
        Height of every picture in pixels.
    """
    rows = hanging_order(prediction)
    width = max([_width_at(item, panel_rows) for row in rows for item in row])
    width = width or round(panel_rows * 0.75)
    scores = prediction.scores
    known = f"   P(malignant) {percent(scores.malignant)}" if scores else ""
    title = f"Exam {prediction.patient_id or 'without patient ID'}{known}"
    whole = 2 * width + _GAP
    sheet = [band([title, f"Triage of the exam: {CATEGORY_WORDS[prediction.category]}"], whole)]
    sheet += [_pair(row, panel_rows, width) for row in rows]
    sheet.append(band([f"{_spoken_by(prediction)}. {DISCLAIMER}"], whole))
    return np.vstack(sheet)


def _pair(row: tuple[ImagePrediction | Place, ...], panel_rows: int, width: int) -> Rgb:
    whole = 2 * width + _GAP
    if len(row) == 1:
        return np.vstack([_panel(row[0], (panel_rows, whole), 0.5), _legend(row[0], whole)])
    seam = np.full((panel_rows, _GAP, 3), _LINE, dtype=np.uint8)
    pictures = [_panel(item, (panel_rows, width), 1.0 - n) for n, item in enumerate(row)]
    legends = [_legend(item, width) for item in row]
    deep = max(legend.shape[0] for legend in legends)
    legends = [_padded(legend, (deep, width), 0.0) for legend in legends]
    seam_below = np.full((deep, _GAP, 3), _LINE, dtype=np.uint8)
    return np.vstack(
        [
            np.hstack([pictures[0], seam, pictures[1]]),
            np.hstack([legends[0], seam_below, legends[1]]),
        ]
    )


def _panel(item: ImagePrediction | Place, shape: tuple[int, int], rest_before: float) -> Rgb:
    """One picture in its panel; `rest_before` is the share of the spare width at its left."""
    if isinstance(item, ImagePrediction):
        mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
        picture = _marked(item, (shape[0], _width_at(item, shape[0])), mirrored)
        return _padded(picture, shape, rest_before)
    panel = np.full((*shape, 3), GROUND, dtype=np.uint8)
    text, size = f"no {view_name(item)}", shape[1] / 14
    wide, high = measure(text, size)
    write(panel, text, ((shape[1] - wide) // 2, (shape[0] + high) // 2), size, QUIET)
    return panel


def _legend(item: ImagePrediction | Place, width: int) -> Rgb:
    if not isinstance(item, ImagePrediction):
        return band([view_name(item), "not among the images"], width)
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    return band(
        [
            view_name(item.ref) + ("   (mirrored to hang)" if mirrored else ""),
            f"P(malignant) {percent(item.scores.malignant)}"
            f"   P(tumour) {percent(item.scores.tumour)}",
        ],
        width,
    )


def _padded(picture: Rgb, shape: tuple[int, int], rest_before: float) -> Rgb:
    sheet = np.full((*shape, 3), GROUND, dtype=np.uint8)
    start = round((shape[1] - picture.shape[1]) * rest_before)
    sheet[: picture.shape[0], start : start + picture.shape[1]] = picture
    return sheet


def _width_at(item: ImagePrediction | Place, rows: int) -> int:
    if not isinstance(item, ImagePrediction):
        return 0
    height, width = display_pixels(item).shape
    return max(1, round(int(width) * rows / int(height)))


def _marked(image: ImagePrediction, shape: tuple[int, int], mirrored: bool) -> Rgb:
    """The picture at `shape` with map and boxes, words upright even where it is mirrored."""
    grey = display_pixels(image)
    if grey.shape != shape:
        shrinks = shape[0] < grey.shape[0]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        grey = np.asarray(cv2.resize(grey, shape[::-1], interpolation=way), dtype=np.uint8)
    mixed = tinted(grey, warp_map(image.malignancy_map, image.geometry, shape) / image.map_level)
    picture = np.ascontiguousarray(mixed[:, ::-1] if mirrored else mixed)
    size = float(np.clip(shape[1] / 45, 13, 34))
    if image.display is None:
        write(picture, "picture not kept", (round(size), round(2 * size)), size, QUIET)
    for finding in image.findings:
        box = box_to_display(finding.box_source_px, image.geometry.source_shape, shape, mirrored)
        frame(picture, box, f"{finding.score:.1f}x", size)
    return picture


def frame(picture: Rgb, box: Box, text: str, size: float) -> None:
    """Draw a white box with a black halo and words above it, or inside where cut off."""
    thick = max(1, round(size / 12))
    top, left, bottom, right = (round(edge) for edge in box)
    for colour, line in ((GROUND, 3 * thick), (_MARK, thick)):
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, line, cv2.LINE_AA)
    wide, high = measure(text, size)
    x = min(max(left, 2), max(2, picture.shape[1] - wide - 2))
    y = top - high // 2 if top - 2 * high > 0 else min(bottom, picture.shape[0]) - high // 2
    plate = (x - 2, y + high // 4), (x + wide + 1, y - high - high // 4)
    cv2.rectangle(picture, *plate, GROUND, cv2.FILLED)
    write(picture, text, (x, y), size, _MARK)


def _spoken_by(prediction: Prediction) -> str:
    model = prediction.model
    return f"{model.name} {model.version}, for a prevalence of {percent(prediction.prevalence)}"
