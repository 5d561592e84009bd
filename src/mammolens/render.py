"""Draw results into pictures: outlines and boxes on a mammogram, labels, the 2×2 hanging.

The input is an `ImagePrediction` or a `Prediction`, the output uint8 RGB (rows, columns, 3). No
file is read or written. A map is drawn as lines around the places whose strength reaches `LEVELS`.
The strength is the raw value divided by the validated level of the model, so the same line means
the same evidence on every image. The tissue inside a line is not changed.
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
"""Pixels between two pictures of the hanging."""
_MARK: Final = (255, 255, 255)
_STANDARD: Final = (ViewPosition.CC, ViewPosition.MLO)
_NO_PICTURE_ROWS: Final = 1000
"""Largest height of the black picture that replaces a picture that was not kept."""


def hangs_mirrored(laterality: Laterality | None, geometry: Geometry) -> bool:
    """Return whether an image must be mirrored so that its chest wall is at the centre line.

    The right breast hangs at the left, with its chest wall at its right edge; the left breast hangs
    opposite. An image of unknown side is not mirrored, and neither is an image that is stored lying
    on its side.

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
    """Convert a box from source pixels to pixels of a picture of the whole source.

    Parameters
    ----------
    box_source_px
        (row0, col0, row1, col1), half-open.
    source_shape, shape
        Rows and columns of the source and of the picture.
    mirrored
        Whether the picture is mirrored left to right.

    Examples
    --------
    >>> box_to_display((10.0, 20.0, 30.0, 40.0), (100, 100), (50, 50), mirrored=True)
    (5.0, 30.0, 15.0, 40.0)
    """
    sr, sc = shape[0] / source_shape[0], shape[1] / source_shape[1]
    r0, c0, r1, c1 = (edge * s for edge, s in zip(box_source_px, (sr, sc, sr, sc), strict=True))
    return (r0, shape[1] - c1, r1, shape[1] - c0) if mirrored else (r0, c0, r1, c1)


def display_pixels(image: ImagePrediction) -> npt.NDArray[np.uint8]:
    """Give the kept picture of an image, or a black picture of its shape if none was kept."""
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
    """Draw one mammogram with outlines and finding boxes, and a band of text below it.

    Returns
    -------
    uint8 RGB (rows, columns, 3): the displayed picture, as it is stored, its longest side at most
    `PICTURE_PX`, and the band below it.
    """
    picture = _marked(image, reduced(display_pixels(image)), mirrored=False)
    lines = [
        f"{view_in_exam(image, prediction)}   P(malignant) {percent(image.scores.malignant)}",
        f"Triage of the exam: {CATEGORY_WORDS[prediction.category]}",
        f"Lines enclose where the map reaches {LEVELS_MEAN}",
        f"{_model_line(prediction)}. {DISCLAIMER}",
    ]
    return np.vstack([picture, band(lines, picture.shape[1])])


def hanging_order(prediction: Prediction) -> list[tuple[ImagePrediction | Place, ...]]:
    """Arrange the views of an exam for hanging: right breast left, CC above MLO, others below.

    Returns
    -------
    Rows with two items: images, or the place (laterality, view position) of a missing image. The
    two rows of the standard views are always there. A repeated view without a partner and a view of
    unknown side have a row with one item.
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
    """Draw the hanging of an exam: RCC and LCC above RMLO and LMLO, chest walls at the centre.

    Parameters
    ----------
    prediction
        One exam. A missing standard view is drawn as an empty panel with its name. Other views
        follow below.

    Returns
    -------
    uint8 RGB (rows, columns, 3).
    """
    rows = hanging_order(prediction)
    width = max([_width_at(item, panel_rows) for row in rows for item in row])
    width = width or round(panel_rows * 0.75)
    scores = prediction.scores
    score = f"   P(malignant) {percent(scores.malignant)}" if scores else ""
    title = f"Exam {prediction.patient_id or 'without patient ID'}{score}"
    whole = 2 * width + _GAP
    sheet = [band([title, f"Triage of the exam: {CATEGORY_WORDS[prediction.category]}"], whole)]
    sheet += [_pair(row, panel_rows, width, prediction) for row in rows]
    sheet.append(band([f"{_model_line(prediction)}. {DISCLAIMER}"], whole))
    return np.vstack(sheet)


def _pair(
    row: tuple[ImagePrediction | Place, ...], panel_rows: int, width: int, prediction: Prediction
) -> Rgb:
    """Draw one row of the hanging: two pictures side by side, or one alone, with their legends."""
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
    """Draw one picture in its panel; `rest_before` is the share of the free width at its left."""
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
    """Put a picture at the top of a larger one; `rest_before` as in `_panel`."""
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
    """Outline the places where the map of an image is strong, on a picture of `shape`.

    The picture shows the whole source, mirrored left to right if `mirrored`.
    """
    return outline(image.malignancy_map / image.map_level, image.geometry, shape, mirrored)


def _resized(grey: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if grey.shape == shape:
        return grey
    way = cv2.INTER_AREA if shape[0] < grey.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, shape[::-1], interpolation=way), dtype=np.uint8)


def _marked(image: ImagePrediction, grey: npt.NDArray[np.uint8], mirrored: bool) -> Rgb:
    """Draw outlines and boxes on a grey picture (rows, columns); text is never mirrored."""
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
    """Draw a white box with a black halo, and text above it, or inside if there is no space."""
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


def _model_line(prediction: Prediction) -> str:
    model = prediction.model
    return f"{model.name} {model.version}, for a prevalence of {percent(prediction.prevalence)}"
