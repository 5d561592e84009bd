"""One exam as HTML: its row on the worklist, its facts, and its views as they hang.

Every text from a file passes `text`, which removes what cannot be shown and escapes the rest.
Pictures are inline: a grey JPEG, the map as a small transparent PNG over it, boxes as SVG.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import (
    Caution,
    ImagePrediction,
    Laterality,
    Prediction,
    Scores,
    TriageCategory,
    Unreadable,
)
from mammolens.render import (
    box_to_display,
    display_pixels,
    hanging_order,
    hangs_mirrored,
    heat,
    warp_map,
)
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import CATEGORY_WORDS, Place, percent, printable, view_name

__all__ = [
    "category",
    "exam_facts",
    "exam_head",
    "exam_pictures",
    "text",
    "unreadable",
    "worklist_row",
]

_PICTURE_ROWS: Final = 960
_PICTURE_BYTES: Final = 95_000
_SIDES: Final = {Laterality.RIGHT: "Right", Laterality.LEFT: "Left", None: "Side unknown"}
_BARS: Final = {TriageCategory.HIGH: 3, TriageCategory.INTERMEDIATE: 2, TriageCategory.LOW: 1}


def text(value: object) -> str:
    """Escape anything for HTML, attributes included.

    Examples
    --------
    >>> text('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(printable(str(value)))


def category(value: TriageCategory, words: str | None = None) -> str:
    """Write a category as a sign of one to three bars and its word; a failed one has a cross."""
    if value in _BARS:
        bars = "".join(
            f'<rect x="{6 * n + 0.5}" y="{8 - 4 * n + 0.5}" width="4" height="{4 * n + 3}" '
            f'fill="{"currentColor" if n < _BARS[value] else "none"}"/>'
            for n in range(3)
        )
    else:
        bars = '<path d="M3 1 L13 11 M13 1 L3 11" stroke-width="2.5"/>'
    sign = f'<svg viewBox="0 0 17 12" aria-hidden="true">{bars}</svg>'
    return f'<span class="category {value.value}">{sign}{text(words or value.value)}</span>'


def worklist_row(prediction: Prediction, anchor: str) -> str:
    """One row of the worklist, without its place."""
    scores, images = prediction.scores, images_in_order(prediction)
    breasts = {breast.laterality: breast.scores.malignant for breast in prediction.breasts}
    notes = [
        _count(sum(len(image.findings) for image in prediction.images), "finding"),
        _count(len(prediction.unreadable), "unreadable file"),
        _count(_n_warnings(prediction), "warning"),
    ]
    cells = [
        ("Exam", "wide", f'<a class="id" href="#{anchor}">{_name(prediction)}</a>'),
        ("Triage", "wide", category(prediction.category)),
        ("Malignant", "n", percent(scores.malignant) if scores else "unknown"),
        ("Tumour", "n", percent(scores.tumour) if scores else "unknown"),
        *(
            (_SIDES[side], "n quiet", percent(breasts[side]) if side in breasts else "–")
            for side in (Laterality.RIGHT, Laterality.LEFT)
        ),
        ("Views", "wide", " ".join(text(view_name(i.ref)) for i in images) or "no view read"),
        ("Notes", "wide quiet", ", ".join(note for note in notes if note)),
    ]
    return "".join(
        f'<td role="cell" class="{kind}" data-label="{label}">{cell}</td>'
        for label, kind, cell in cells
    )


def exam_head(prediction: Prediction, anchor: str) -> str:
    """Open the article of an exam and head it."""
    study = prediction.study_instance_uid
    shown = f'<span class="id quiet">{text(study)}</span>' if study else ""
    toggle = (
        '<label class="toggle"><input type="checkbox" checked> Map and boxes</label>'
        if prediction.images
        else ""
    )
    return (
        f'<article id="{anchor}" aria-labelledby="{anchor}-name"><header>'
        f'<h3 id="{anchor}-name">{_name(prediction)}</h3>'
        f"{category(prediction.category, CATEGORY_WORDS[prediction.category])}{shown}{toggle}"
        "</header>"
    )


def exam_pictures(prediction: Prediction) -> str:
    """Hang the views: right at the left, CC above MLO, chest walls at the centre line."""
    panels = []
    for row in hanging_order(prediction):
        alone = " alone" if len(row) == 1 else ""
        panels += [_panel(item, prediction, alone) for item in row]
    return f'<div class="hanging">{"".join(panels)}</div>'


def exam_facts(prediction: Prediction) -> str:
    """Write scores, findings, warnings and refused files of an exam."""
    parts, images = [], images_in_order(prediction)
    if prediction.scores:
        parts.append(_score_table(prediction, prediction.scores))
    if prediction.age_odds_factor is not None:
        parts.append(
            '<p class="quiet">Her age is part of these scores: it multiplies the odds of '
            f"malignancy by {prediction.age_odds_factor:.2f}. Map and boxes are of the pictures "
            "alone.</p>"
        )
    found = [
        f"<li><b>{text(view_name(image.ref))}</b> strength {finding.score:.1f}×, <span>rows "
        f"{finding.box_source_px[0]:.0f}–{finding.box_source_px[2]:.0f},</span> <span>columns "
        f"{finding.box_source_px[1]:.0f}–{finding.box_source_px[3]:.0f}</span></li>"
        for image in images
        for finding in sorted(image.findings, key=lambda f: -f.score)
    ]
    if images:
        listed = f"<ul>{''.join(found)}</ul>" if found else '<p class="quiet">No boxes.</p>'
        parts.append(f"<h4>Findings, in source pixels</h4>{listed}")
    if prediction.unreadable:
        parts.append(f"<h4>Files not read</h4><ul>{unreadable(prediction.unreadable)}</ul>")
    if _n_warnings(prediction):
        parts.append(f"<h4>Warnings</h4><ul>{_warnings(prediction)}</ul>")
    if images:
        parts.append(f"<h4>Files</h4>{_files(images)}")
    return f'<div class="facts">{"".join(parts)}</div>'


def unreadable(items: Iterable[Unreadable]) -> str:
    """List refused files with their reasons."""
    return "".join(
        f'<li><span class="id">{text(item.path)}</span><br>'
        f"{text(item.error)}: {text(item.message.removeprefix(f'{item.path}: '))}</li>"
        for item in items
    )


def _files(images: Sequence[ImagePrediction]) -> str:
    """List the files, their folder once if they share it."""
    folders = {image.ref.path.rpartition("/")[0] for image in images}
    shared = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
    items = "".join(
        f"<li><b>{text(view_name(image.ref))}</b> "
        f'<span class="id">{text(image.ref.path.removeprefix(shared))}</span></li>'
        for image in images
    )
    return f'<ul>{f"""<li class="id">{text(shared)}</li>""" if shared else ""}{items}</ul>'


def _name(prediction: Prediction) -> str:
    return text(prediction.patient_id or "no patient ID")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _n_warnings(prediction: Prediction) -> int:
    return len(_grouped(prediction))


def _grouped(prediction: Prediction) -> dict[Caution, list[str]]:
    """Every warning once, with the views that it is about (none: the exam)."""
    grouped: dict[Caution, list[str]] = {caution: [] for caution in prediction.cautions}
    for image in prediction.images:
        for caution in image.cautions:
            grouped.setdefault(caution, []).append(view_name(image.ref))
    return grouped


def _warnings(prediction: Prediction) -> str:
    return "".join(
        f"<li>{f'<b>{text(chr(32).join(views))}</b> ' if views else ''}"
        f'<span class="id">{text(caution.name)}</span>: {text(caution.message)}</li>'
        for caution, views in _grouped(prediction).items()
    )


def _score_table(prediction: Prediction, scores: Scores) -> str:
    rows = [_score_row("Exam", scores, "")]
    breasts = {breast.laterality: breast.scores for breast in prediction.breasts}
    for side, name in _SIDES.items():
        if side in breasts:
            rows.append(_score_row(f"{name} breast" if side else name, breasts[side], ""))
        rows += [
            _score_row(view_name(image.ref), image.scores, "sub")
            for image in images_in_order(prediction)
            if image.ref.laterality is side
        ]
    return (
        '<table><thead><tr><td></td><th scope="col" class="n">Malignant</th>'
        f'<th scope="col" class="n">Tumour</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _score_row(name: str, scores: Scores, kind: str) -> str:
    return (
        f'<tr class="{kind}"><th scope="row">{text(name)}</th>'
        f'<td class="n">{percent(scores.malignant)}</td>'
        f'<td class="n">{percent(scores.tumour)}</td></tr>'
    )


def _panel(item: ImagePrediction | Place, prediction: Prediction, alone: str) -> str:
    if not isinstance(item, ImagePrediction):
        why = "not read" if prediction.unreadable else "not among the images"
        return f'<figure class="missing"><p>no {text(view_name(item))}<br>{why}</p></figure>'
    mirrored = hangs_mirrored(item.ref.laterality, item.geometry)
    pixels = display_pixels(item)
    shrink = min(1.0, _PICTURE_ROWS / pixels.shape[0])
    shape = max(1, round(pixels.shape[0] * shrink)), max(1, round(pixels.shape[1] * shrink))
    small = max(1, round(shape[0] / 4)), max(1, round(shape[1] / 4))
    tint = heat(warp_map(item.malignancy_map, item.geometry, small) / item.map_level)
    view = text(view_name(item.ref))
    kept = "" if item.display is not None else " The picture was not kept."
    words = (
        f"Mammogram {view}, probability of malignancy {percent(item.scores.malignant)}, "
        f"{_count(len(item.findings), 'finding') or 'no finding'}.{kept}"
    )
    note = " <span>mirrored to hang</span>" if mirrored else ""
    resized = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    grey = np.asarray(resized, dtype=np.uint8)
    return (
        f'<figure class="view{alone}"><div class="film" '
        f'style="aspect-ratio:{shape[1]}/{shape[0]}">'
        f'<img src="{_jpeg(_turned(grey, mirrored))}" alt="{words}">'
        f'<img class="heat" src="{_png(_turned(tint, mirrored))}" alt="">'
        f"{_boxes(item, shape, mirrored)}</div><figcaption><b>{view}</b>"
        f"<span>malignant {percent(item.scores.malignant)}</span> · "
        f"<span>tumour {percent(item.scores.tumour)}</span>{note}{kept}</figcaption></figure>"
    )


def _boxes(item: ImagePrediction, shape: tuple[int, int], mirrored: bool) -> str:
    """Boxes with their strengths, as an SVG over the picture."""
    if not item.findings:
        return ""
    size = shape[0] / 28
    marks = []
    for finding in item.findings:
        r0, c0, r1, c1 = box_to_display(
            finding.box_source_px, item.geometry.source_shape, shape, mirrored
        )
        at = f'x="{c0:.1f}" y="{r0:.1f}" width="{c1 - c0:.1f}" height="{r1 - r0:.1f}"'
        x = min(c0, shape[1] - 2 * size)
        y = r0 - size * 0.35 if r0 > 1.4 * size else min(r1 + size, shape[0] - size * 0.3)
        marks.append(
            f'<rect class="halo" {at}/><rect class="box" {at}/><text x="{x:.1f}" y="{y:.1f}" '
            f'font-size="{size:.1f}" stroke-width="{size / 6:.1f}">{finding.score:.1f}×</text>'
        )
    return (
        f'<svg class="marks" viewBox="0 0 {shape[1]} {shape[0]}" aria-hidden="true">'
        f"{''.join(marks)}</svg>"
    )


def _turned(pixels: npt.NDArray[np.uint8], mirrored: bool) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def _jpeg(grey: npt.NDArray[np.uint8]) -> str:
    """Encode as well as the size limit allows."""
    for quality in (86, 78, 68, 55, 40):
        encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= _PICTURE_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")


def _png(rgba: npt.NDArray[np.uint8]) -> str:
    """Encode with colours only where something is to be seen: the rest compresses to nothing."""
    seen = np.where(rgba[..., 3:] > 0, rgba, np.uint8(0))
    encoded = cv2.imencode(".png", cv2.cvtColor(seen, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(encoded).decode("ascii")
