"""Pictures of a report: each view small, with the numbered marks of the reader drawn on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens._lettering import encode_rgb
from mammolens.core import Display, Mammogram, Source
from mammolens.errors import InputError
from mammolens.preprocess import make_display
from mammolens.readings import Mark, MarkShape, SignedReading
from mammolens.sinks.reading._common import corners, tip

__all__ = ["Picture", "draw_pictures"]

LONGEST_PX: Final = 900
"""As large as a preview: enough to see where a mark is, not to read from."""
_INK: Final = (255, 214, 0)
_EDGE: Final = (0, 0, 0)


@dataclass(frozen=True)
class Picture:
    """A view as PNG, and the numbers of the marks on it."""

    source: Source
    png: bytes
    numbers: tuple[int, ...]


def draw_pictures(reading: SignedReading) -> Iterator[Picture]:
    """Draw every picture of a reading that was decoded and shows something."""
    for source in reading.images:
        mammogram = reading.pictures.get(str(source.ref.sop_instance_uid))
        if mammogram is None:
            continue
        try:
            display = make_display(mammogram, mammogram.photometric, LONGEST_PX)
        except InputError:
            continue
        marks = [
            (number, mark)
            for number, mark in enumerate(reading.answer.findings, start=1)
            if mark.image == source.ref.sop_instance_uid
        ]
        picture = _drawn(display, mammogram, marks)
        yield Picture(source, encode_rgb(picture), tuple(number for number, _ in marks))


def _drawn(
    display: Display, mammogram: Mammogram, marks: list[tuple[int, Mark]]
) -> npt.NDArray[np.uint8]:
    picture = np.repeat(display.pixels[..., None], 3, axis=2)
    down, across = display.scale
    assert mammogram.pixels.ndim == 2
    for number, mark in marks:
        for ink, width in ((_EDGE, 4), (_INK, 2)):
            _draw(picture, mark, (across, down), ink, width)
            _number(picture, number, mark, (across, down), ink, width)
    return picture


def _draw(
    picture: npt.NDArray[np.uint8],
    mark: Mark,
    scale: tuple[float, float],
    ink: tuple[int, int, int],
    width: int,
) -> None:
    points = [_place(point, scale) for point in mark.points_source_px]
    if mark.shape is MarkShape.ELLIPSE:
        left, top, right, bottom = corners(mark)
        middle = _place(((left + right) / 2, (top + bottom) / 2), scale)
        axes = round((right - left) / 2 * scale[0]), round((bottom - top) / 2 * scale[1])
        cv2.ellipse(picture, middle, axes, 0, 0, 360, ink, width, cv2.LINE_AA)
    elif mark.shape is MarkShape.ARROW:
        cv2.arrowedLine(picture, points[0], points[1], ink, width, cv2.LINE_AA, tipLength=0.2)
    elif mark.shape is MarkShape.LENGTH:
        cv2.line(picture, points[0], points[1], ink, width, cv2.LINE_AA)
    elif mark.shape is MarkShape.POINT:
        cv2.circle(picture, points[0], 8, ink, width, cv2.LINE_AA)


def _number(
    picture: npt.NDArray[np.uint8],
    number: int,
    mark: Mark,
    scale: tuple[float, float],
    ink: tuple[int, int, int],
    width: int,
) -> None:
    """Write the number beside a mark, within the picture."""
    _, _, right, bottom = corners(mark)
    beside = {MarkShape.ELLIPSE: (right, bottom), MarkShape.ARROW: mark.points_source_px[0]}
    x, y = _place(beside.get(mark.shape, tip(mark)), scale)
    rows, columns = picture.shape[:2]
    at = min(max(x + 10, 4), columns - 34), min(max(y + 10, 24), rows - 6)
    cv2.putText(picture, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, width, cv2.LINE_AA)


def _place(point: tuple[float, float], scale: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * scale[0]), round(point[1] * scale[1])
