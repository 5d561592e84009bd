"""The views of one exam in hanging order: reduced pictures in the page, full ones in a folder.

A picture in the page is a grey JPEG. Lines and boxes are drawn over it as SVG, so marks are sharp
at any size and do not change the tissue inside them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import ImagePrediction, ImageRef, Prediction
from mammolens.render import (
    box_to_display,
    display_pixels,
    hanging_order,
    hangs_mirrored,
    outline_of,
    reduced,
)
from mammolens.sinks._statements import mark_lines
from mammolens.wording import Place, percent, view_in_exam, view_name

FULL_QUALITY: Final = 85
"""JPEG quality of a picture at full resolution: a film of 12 megapixels takes about 0.6 MB."""
_PICTURE_PX: Final = 960
_PICTURE_BYTES: Final = 95_000
_LINES_OF_LETTERS: Final = 28
"""Height of a picture divided by the height of the letters at marks."""


@dataclass(frozen=True)
class Line:
    """A line around a strong part of the map, as points of a polygon in the picture."""

    points: str
    strong: bool


@dataclass(frozen=True)
class Box:
    """The box of a finding in pixels of the picture, and the position of its text."""

    x: float
    y: float
    width: float
    height: float
    text_x: float
    text_y: float
    strength: str


@dataclass(frozen=True)
class Panel:
    """One view of the hanging; `picture` is its data address, `words` describe it.

    `quality` has the name and the points of each line that shows a poor criterion of quality.
    """

    name: str
    malignant: str
    words: str
    picture: str
    rows: int
    columns: int
    address: str
    alone: bool
    mirrored: bool
    kept: bool
    lines: tuple[Line, ...]
    boxes: tuple[Box, ...]
    quality: tuple[tuple[str, str], ...]
    missing: str = ""

    @property
    def letters(self) -> float:
        """Height of the letters at marks, in pixels of the picture."""
        return self.rows / _LINES_OF_LETTERS


@dataclass(frozen=True)
class MissingPanel:
    """The place of a missing view, with the reason."""

    name: str
    missing: str


def full_pictures(prediction: Prediction) -> Iterator[tuple[str, bytes]]:
    """Encode every view that has a picture at its full resolution, turned for hanging.

    Yields
    ------
    The name of the view within its exam, and the bytes of a JPEG.
    """
    for image in prediction.images:
        if image.display is not None:
            grey = _hung(image, image.display.pixels)
            yield view_in_exam(image, prediction), _encoded(grey, FULL_QUALITY)


def exam_panels(prediction: Prediction) -> list[Panel | MissingPanel]:
    """Arrange the views: right breast left, CC above MLO, chest walls at the centre line."""
    return [
        _panel(item, prediction, len(row) == 1)
        if isinstance(item, ImagePrediction)
        else _missing(item, prediction)
        for row in hanging_order(prediction)
        for item in row
    ]


def with_addresses(
    panels: Sequence[Panel | MissingPanel], full: Mapping[str, str]
) -> list[Panel | MissingPanel]:
    """Add the address of the full picture to each panel; `full` gives it by view."""
    return [
        replace(panel, address=full.get(panel.name, "")) if isinstance(panel, Panel) else panel
        for panel in panels
    ]


def _missing(place: Place, prediction: Prediction) -> MissingPanel:
    refs = [item.source.ref if item.source else None for item in prediction.unreadable]
    if any(ref is not None and _place(ref) == place for ref in refs):
        why = "not analysed"
    elif any(ref is None or None in _place(ref) for ref in refs):
        why = "not among the images that could be analysed"
    elif any(None in _place(image.ref) for image in prediction.images):
        why = "no image is known to be this view"
    else:
        why = "not among the images"
    return MissingPanel(view_name(place), why)


def _place(ref: ImageRef) -> Place:
    return ref.laterality, ref.view_position


def _panel(item: ImagePrediction, prediction: Prediction, alone: bool) -> Panel:
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    grey = _hung(item, reduced(display_pixels(item), _PICTURE_PX))
    shape = grey.shape[0], grey.shape[1]
    name, score = view_in_exam(item, prediction), percent(item.scores.malignant)
    found = len(item.findings)
    findings = f"{found} finding{'' if found == 1 else 's'}" if found else "no finding"
    kept = item.display is not None
    lost = "" if kept else " The picture was not kept."
    return Panel(
        name=name,
        malignant=score,
        words=f"Mammogram {name}, probability of malignancy {score}, {findings}.{lost}",
        picture=_jpeg(grey),
        rows=shape[0],
        columns=shape[1],
        address="",
        alone=alone,
        mirrored=mirrored,
        kept=kept,
        lines=tuple(
            Line(" ".join(f"{x:.0f},{y:.0f}" for x, y in line.tolist()), level > 1)
            for level, line in outline_of(item, shape, mirrored)
        ),
        boxes=tuple(_boxes(item, shape, mirrored)),
        quality=tuple(
            (criterion, " ".join(f"{x:.0f},{y:.0f}" for x, y in line))
            for criterion, line in mark_lines(item, shape, mirrored)
        ),
    )


def _boxes(item: ImagePrediction, shape: tuple[int, int], mirrored: bool) -> Iterator[Box]:
    size = shape[0] / _LINES_OF_LETTERS
    for finding in item.findings:
        r0, c0, r1, c1 = box_to_display(
            finding.box_source_px, item.geometry.source_shape, shape, mirrored
        )
        x = max(0.0, min(c0, shape[1] - 2 * size))
        y = r0 - size * 0.35 if r0 > 1.4 * size else min(r1 + size, shape[0] - size * 0.3)
        yield Box(c0, r0, c1 - c0, r1 - r0, x, y, f"{finding.score:.1f}")


def _hung(item: ImagePrediction, grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    return np.ascontiguousarray(grey[:, ::-1] if mirrored else grey)


def _encoded(grey: npt.NDArray[np.uint8], quality: int) -> bytes:
    made: bytes = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return made


def _jpeg(grey: npt.NDArray[np.uint8]) -> str:
    """Encode as well as the size limit allows."""
    for quality in (86, 78, 68, 55, 40):
        encoded = _encoded(grey, quality)
        if len(encoded) <= _PICTURE_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")
