"""Draws results into arrays: outlines and boxes on a mammogram, labels, the 2×2 hanging.

An `ImagePrediction` flows in, uint8 RGB (rows, columns, 3) flows out; nothing is read or written.
Maps are drawn by their strength, the raw value divided by the model's validated level, as lines
around the places that reach `LEVELS`: the same line means the same evidence on every image, and
the tissue within stays as it is.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, QUIET, band, measure, write
from mammolens._outlines import LEVELS_MEAN, Outline, draw_outlines, outline, warp_map
from mammolens.core import (
    Box,
    Geometry,
    ImagePrediction,
    Laterality,
    Prediction,
    ViewPosition,
)
from mammolens.wording import CATEGORY_WORDS, Place, percent, view_in_exam, view_name

__all__ = [
    "LEVELS_MEAN",
    "PICTURE_PX",
    "box_to_display",
    "display_pixels",
    "frame",
    "hanging",
    "hanging_order",
    "hangs_mirrored",
    "outline_of",
    "overlay",
    "reduced",
    "warp_map",
]

PICTURE_PX: Final = 1280
"""Longest side of a drawn picture."""

Rgb = npt.NDArray[np.uint8]

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


def reduced(pixels: npt.NDArray[np.uint8], longest_px: int = PICTURE_PX) -> npt.NDArray[np.uint8]:
    """Shrink a grey picture (rows, columns) so that its longest side is at most `longest_px`."""
    factor = longest_px / max(pixels.shape)
    if factor >= 1:
        return pixels
    shape = max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor))
    small = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def overlay(image: ImagePrediction, prediction: Prediction) -> Rgb:
    """Draw one mammogram with outlines, finding boxes and a band of words beneath.

    Returns
    -------
    uint8 RGB, the image's display with its longest side at most `PICTURE_PX`, in the source's
    orientation; the band stands below the picture and covers nothing of it.
    """
    picture = _marked(image, reduced(display_pixels(image)), mirrored=False)
    lines = [
        f"{view_in_exam(image, prediction)}   P(malignant) {percent(image.scores.malignant)}",
        f"Triage of the exam: {CATEGORY_WORDS[prediction.category]}",
        f"Lines enclose where the map reaches {LEVELS_MEAN}",
        f"{_spoken_by(prediction)}. {DISCLAIMER}",
    ]
    return np.vstack([picture, band(lines, picture.shape[1])])


def hanging_order(prediction: Prediction) -> list[tuple[ImagePrediction | Place, ...]]:
    """Pair the views of an exam as they hang: right at the left, CC above MLO, others beneath.

    Returns
    -------
    Rows of two: an image, or the place (laterality, view position) that has none. The two rows
    of the standard views are always there. A repeated view without a partner, and one of unknown
    side, has a row of its own.
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
            if n and n >= min(len(right), len(left)):
                rows.append((right[n] if n < len(right) else left[n],))
                continue
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
    sheet += [_pair(row, panel_rows, width, prediction) for row in rows]
    sheet.append(band([f"{_spoken_by(prediction)}. {DISCLAIMER}"], whole))
    return np.vstack(sheet)


def _pair(
    row: tuple[ImagePrediction | Place, ...], panel_rows: int, width: int, prediction: Prediction
) -> Rgb:
    whole = 2 * width + _GAP
    if len(row) == 1:
        legend = _legend(row[0], whole, prediction)
        return np.vstack([_panel(row[0], (panel_rows, whole), 0.5), legend])
    seam = np.full((panel_rows, _GAP, 3), _LINE, dtype=np.uint8)
    pictures = [_panel(item, (panel_rows, width), 1.0 - n) for n, item in enumerate(row)]
    legends = [_legend(item, width, prediction) for item in row]
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
        grey = _resized(display_pixels(item), (shape[0], _width_at(item, shape[0])))
        picture = _marked(item, grey, mirrored)
        return _padded(picture, shape, rest_before)
    panel = np.full((*shape, 3), GROUND, dtype=np.uint8)
    text, size = f"no {view_name(item)}", shape[1] / 14
    wide, high = measure(text, size)
    write(panel, text, ((shape[1] - wide) // 2, (shape[0] + high) // 2), size, QUIET)
    return panel


def _legend(item: ImagePrediction | Place, width: int, prediction: Prediction) -> Rgb:
    if not isinstance(item, ImagePrediction):
        return band([view_name(item), "not among the images"], width)
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    return band(
        [
            view_in_exam(item, prediction) + ("   (mirrored to hang)" if mirrored else ""),
            f"P(malignant) {percent(item.scores.malignant)}",
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


def outline_of(image: ImagePrediction, shape: tuple[int, int], mirrored: bool) -> list[Outline]:
    """Enclose what the map of an image points at, on a picture of the whole source of `shape`."""
    return outline(image.malignancy_map / image.map_level, image.geometry, shape, mirrored)


def _resized(grey: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if grey.shape == shape:
        return grey
    way = cv2.INTER_AREA if shape[0] < grey.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, shape[::-1], interpolation=way), dtype=np.uint8)


def _marked(image: ImagePrediction, grey: npt.NDArray[np.uint8], mirrored: bool) -> Rgb:
    """A picture (rows, columns) with outlines and boxes, words upright even where mirrored."""
    shape = (grey.shape[0], grey.shape[1])
    turned = np.ascontiguousarray(grey[:, ::-1] if mirrored else grey)
    picture = np.asarray(cv2.cvtColor(turned, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    size = float(np.clip(shape[1] / 45, 13, 34))
    draw_outlines(picture, outline_of(image, shape, mirrored), size)
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
