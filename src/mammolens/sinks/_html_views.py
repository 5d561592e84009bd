"""The views of one exam as HTML, as they hang: reduced pictures in the page, full ones beside it.

A picture in the page is a grey JPEG with lines and boxes as SVG over it, so that marks stay sharp
at any size and the tissue within them is as it was.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
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
from mammolens.wording import Place, percent, printable, view_in_exam, view_name

__all__ = ["FULL_QUALITY", "exam_pictures", "full_pictures", "text"]

FULL_QUALITY: Final = 85
"""JPEG quality of a picture at full resolution: a film of 12 megapixels takes about 0.6 MB."""
_PICTURE_PX: Final = 960
_PICTURE_BYTES: Final = 95_000


def text(value: object) -> str:
    """Escape anything for HTML, attributes included.

    Examples
    --------
    >>> text('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(printable(str(value)))


def full_pictures(prediction: Prediction) -> Iterator[tuple[str, bytes]]:
    """Encode every view that has a picture at its full resolution, as it hangs.

    Yields
    ------
    The name of the view within its exam, and the bytes of a JPEG.
    """
    for image in prediction.images:
        if image.display is not None:
            grey = _hung(image, image.display.pixels)
            yield view_in_exam(image, prediction), _encoded(grey, FULL_QUALITY)


def exam_pictures(prediction: Prediction, full: Mapping[str, str]) -> str:
    """Hang the views: right at the left, CC above MLO, chest walls at the centre line.

    Parameters
    ----------
    full
        Address of the full picture by the name of the view within its exam.
    """
    panels = []
    for row in hanging_order(prediction):
        alone = " alone" if len(row) == 1 else ""
        for item in row:
            if isinstance(item, ImagePrediction):
                panels.append(_panel(item, prediction, alone, full))
            else:
                panels.append(_empty_panel(item, prediction))
    return f'<div class="hanging">{"".join(panels)}</div>'


def _empty_panel(place: Place, prediction: Prediction) -> str:
    refs = [item.source.ref if item.source else None for item in prediction.unreadable]
    if any(ref is not None and _place(ref) == place for ref in refs):
        why = "not analysed"
    elif any(ref is None or None in _place(ref) for ref in refs):
        why = "not among the images that could be analysed"
    elif any(None in _place(image.ref) for image in prediction.images):
        why = "no image is known to be this view"
    else:
        why = "not among the images"
    return f'<figure class="missing"><p>no {text(view_name(place))}<br>{why}</p></figure>'


def _place(ref: ImageRef) -> Place:
    return ref.laterality, ref.view_position


def _panel(
    item: ImagePrediction, prediction: Prediction, alone: str, full: Mapping[str, str]
) -> str:
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    grey = _hung(item, reduced(display_pixels(item), _PICTURE_PX))
    shape = grey.shape[0], grey.shape[1]
    name = view_in_exam(item, prediction)
    view, score = text(name), percent(item.scores.malignant)
    found = len(item.findings)
    findings = f"{found} finding{'' if found == 1 else 's'}" if found else "no finding"
    kept = "" if item.display is not None else " The picture was not kept."
    words = f"Mammogram {view}, probability of malignancy {score}, {findings}.{kept}"
    note = " <span>mirrored to hang</span>" if mirrored else ""
    film = f'<img src="{_jpeg(grey)}" alt="{words}">{_marks(item, shape, mirrored)}'
    style = f'class="film" style="aspect-ratio:{shape[1]}/{shape[0]}"'
    address = full.get(name)
    tag = f'a {style} href="{text(address)}" title="Enlarge {view}"' if address else f"div {style}"
    return (
        f'<figure class="view{alone}"><{tag}>{film}</{tag.split()[0]}><figcaption><b>{view}</b>'
        f"<span>malignant {score}</span>{note}{kept}</figcaption></figure>"
    )


def _marks(item: ImagePrediction, shape: tuple[int, int], mirrored: bool) -> str:
    """Lines around what the map points at, and boxes with their strengths, as SVG."""
    marks = []
    for level, line in outline_of(item, shape, mirrored):
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in line.tolist())
        strong = "" if level <= 1 else " strong"
        marks += [f'<polygon class="{kind}{strong}" points="{path}"/>' for kind in ("halo", "line")]
    size = shape[0] / 28
    for finding in item.findings:
        r0, c0, r1, c1 = box_to_display(
            finding.box_source_px, item.geometry.source_shape, shape, mirrored
        )
        at = f'x="{c0:.1f}" y="{r0:.1f}" width="{c1 - c0:.1f}" height="{r1 - r0:.1f}"'
        x = max(0.0, min(c0, shape[1] - 2 * size))
        y = r0 - size * 0.35 if r0 > 1.4 * size else min(r1 + size, shape[0] - size * 0.3)
        marks.append(
            f'<rect class="halo" {at}/><rect class="box" {at}/><text x="{x:.1f}" y="{y:.1f}" '
            f'font-size="{size:.1f}" stroke-width="{size / 6:.1f}">{finding.score:.1f}×</text>'
        )
    if not marks:
        return ""
    return (
        f'<svg class="marks" viewBox="0 0 {shape[1]} {shape[0]}" aria-hidden="true">'
        f"{''.join(marks)}</svg>"
    )


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
