"""One exam as HTML: its row on the worklist, its facts, and its views as they hang.

Every text from a file passes `text`, which removes what cannot be shown and escapes the rest.
Pictures are inline: a grey JPEG, the map as a small transparent PNG over it, boxes as SVG.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
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
from mammolens.wording import CATEGORY_WORDS, Place, percent, printable, view_name

__all__ = ["category", "exam_facts", "exam_head", "exam_pictures", "text", "unreadable", "worklist_row"]

_PICTURE_ROWS: Final = 960
_PICTURE_BYTES: Final = 95_000
_HEAT_ROWS: Final = 240
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
    scores = prediction.scores
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
            (f"{_SIDES[side]} mal.", "n", percent(breasts[side]) if side in breasts else "–")
            for side in (Laterality.RIGHT, Laterality.LEFT)
        ),
        ("Views", "wide", " ".join(text(view_name(i.ref)) for i in prediction.images) or "none"),
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
    parts = []
    if prediction.scores:
        parts.append(_score_table(prediction, prediction.scores))
    found = [
        f"<li><b>{text(view_name(image.ref))}</b> strength {finding.score:.1f}×, rows "
        f"{finding.box_source_px[0]:.0f}–{finding.box_source_px[2]:.0f}, columns "
        f"{finding.box_source_px[1]:.0f}–{finding.box_source_px[3]:.0f}</li>"
        for image in prediction.images
        for finding in sorted(image.findings, key=lambda f: -f.score)
    ]
    if prediction.images:
        listed = f"<ul>{''.join(found)}</ul>" if found else '<p class="quiet">No boxes.</p>'
        parts.append(f"<h4>Findings, in source pixels</h4>{listed}")
    if prediction.unreadable:
        parts.append(f"<h4>Files not read</h4><ul>{unreadable(prediction.unreadable)}</ul>")
    if _n_warnings(prediction):
        parts.append(f"<h4>Warnings</h4><ul>{_warnings(prediction)}</ul>")
    if prediction.images:
        files = "".join(
            f'<li><b>{text(view_name(i.ref))}</b> <span class="id">{text(i.ref.path)}</span></li>'
            for i in prediction.images
        )
        parts.append(f"<h4>Files</h4><ul>{files}</ul>")
    return f'<div class="facts">{"".join(parts)}</div>'


def unreadable(items: Iterable[Unreadable]) -> str:
    """List refused files with their reasons."""
    return "".join(
        f'<li><span class="id">{text(item.path)}</span><br>'
        f"{text(item.error)}: {text(item.message)}</li>"
        for item in items
    )


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
    sides = [breast.laterality for breast in prediction.breasts]
    for breast in prediction.breasts:
        name = f"{_SIDES[breast.laterality]}{' breast' if breast.laterality else ''}"
        rows.append(_score_row(name, breast.scores, ""))
        rows += [
            _score_row(view_name(image.ref), image.scores, "sub")
            for image in prediction.images
            if image.ref.laterality is breast.laterality
        ]
    rows += [
        _score_row(view_name(image.ref), image.scores, "sub")
        for image in prediction.images
        if image.ref.laterality not in sides
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
    grey = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    return (
        f'<figure class="view{alone}"><div class="film" '
        f'style="aspect-ratio:{shape[1]}/{shape[0]}">'
        f'<img src="{_jpeg(_turned(grey, mirrored))}" alt="{words}">'
        f'<img class="heat" src="{_png(_turned(tint, mirrored))}" alt="">'
        f"{_boxes(item, shape, mirrored)}</div><figcaption><b>{view}</b>"
        f"<span>malignant {percent(item.scores.malignant)}</span> · "
        f"<span>tumour {percent(item.scores.tumour)}</span>{note}{kept}</figcaption></figure>"
    )
