"""One exam as HTML: its row on the worklist, its heading, what must be known of it, its facts.

Every text from a file passes `text`, which removes what cannot be shown and escapes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from mammolens.core import (
    Caution,
    ImagePrediction,
    Laterality,
    ObjectKind,
    Prediction,
    Scores,
    TriageCategory,
    Unreadable,
)
from mammolens.sinks._html_views import text
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import CATEGORY_WORDS, percent, view_in_exam, view_name

__all__ = [
    "Shown",
    "category",
    "exam_cautions",
    "exam_facts",
    "exam_head",
    "unreadable",
    "worklist_row",
]

Shown = Mapping[str, Callable[[Scores], float]]
"""The probabilities that the page shows, by the heading of their column."""

_SIDES: Final = {Laterality.RIGHT: "Right", Laterality.LEFT: "Left", None: "Side unknown"}
_DOUBTS: Final = frozenset({"low_withheld", "not_validated", "exam_failed", "model_failed"})
"""Cautions of an exam that say what came of a doubt."""
_BARS: Final = {TriageCategory.HIGH: 3, TriageCategory.INTERMEDIATE: 2, TriageCategory.LOW: 1}
_KINDS: Final = {
    ObjectKind.STACK: "tomosynthesis",
    ObjectKind.OTHER_IMAGE: "not a 2D mammogram",
    ObjectKind.DOCUMENT: "not an image",
}


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


def worklist_row(prediction: Prediction, anchor: str, shown: Shown) -> tuple[str, str]:
    """One row of the worklist: its attributes, by which it is sorted, and its cells."""
    scores, images = prediction.scores, images_in_order(prediction)
    breasts = {breast.laterality: breast.scores.malignant for breast in prediction.breasts}
    notes = [
        *(text(name.replace("_", " ")) for name in _doubt_names(prediction)),
        _count(sum(len(image.findings) for image in prediction.images), "finding"),
        _count(len(prediction.unreadable), "object") + " not analysed"
        if prediction.unreadable
        else "",
        _count(len(_grouped(prediction)), "warning"),
    ]
    cells = [
        ("Exam", "wide", f'<a class="id" href="#{anchor}">{_name(prediction)}</a>'),
        ("Triage", "wide", category(prediction.category)),
        *((name, "n", percent(of(scores)) if scores else "unknown") for name, of in shown.items()),
        *(
            (_SIDES[side], "n quiet", percent(breasts[side]) if side in breasts else "–")
            for side in (Laterality.RIGHT, Laterality.LEFT)
        ),
        ("Views", "wide", ", ".join(text(view_in_exam(i, prediction)) for i in images) or "none"),
        ("Notes", "wide quiet", ", ".join(note for note in notes if note)),
    ]
    keys = {
        "exam": anchor,
        "patient": _name(prediction),
        "category": prediction.category.value,
        "score": f"{scores.malignant:.6f}" if scores else "",
    }
    data = " ".join(f'data-{key}="{value}"' for key, value in keys.items())
    return data, "".join(
        f'<td role="cell" class="{kind}" data-label="{label}">{cell}</td>'
        for label, kind, cell in cells
    )


def exam_head(prediction: Prediction, anchor: str) -> str:
    """Head an exam: what stands in its place while it is closed."""
    scores = prediction.scores
    score = f"<span>malignant {percent(scores.malignant)}</span>" if scores else ""
    doubts = "".join(f"<span>{text(n.replace('_', ' '))}</span>" for n in _doubt_names(prediction))
    return (
        f'<h3 id="{anchor}-name">{_name(prediction)}</h3>'
        f"{category(prediction.category, CATEGORY_WORDS[prediction.category])}{score}{doubts}"
    )


def exam_cautions(prediction: Prediction) -> str:
    """Say what the reader of the result must know first: doubts, and what was not analysed."""
    items = "".join(
        f'<li class="{"doubt" if _is_doubt(caution) else "quiet"}"><b class="id">'
        f"{text(caution.name)}</b> {_views(views)}{text(caution.message)}</li>"
        for caution, views in _grouped(prediction).items()
        if caution in prediction.cautions or caution.doubt
    )
    refused = [item for item in prediction.unreadable if item.kind.is_image]
    parts = [f"<ul>{items}</ul>"] if items else []
    if refused:
        parts.append(f"<h4>Images not analysed</h4><ul>{unreadable(refused)}</ul>")
    return f'<div class="cautions">{"".join(parts)}</div>' if parts else ""


def exam_facts(prediction: Prediction, shown: Shown) -> str:
    """Write scores, findings, warnings of single views and files of an exam."""
    parts, images = [], images_in_order(prediction)
    if prediction.scores:
        parts.append(_score_table(prediction, prediction.scores, shown))
    if prediction.age_odds_factor is not None:
        parts.append(
            '<p class="quiet">The age of the patient is part of these scores: it multiplies the '
            f"odds of malignancy by {prediction.age_odds_factor:.2f}. Lines and boxes are of the "
            "pictures alone.</p>"
        )
    found = [
        f"<li><b>{text(view_in_exam(image, prediction))}</b> strength {finding.score:.1f}×, "
        f"<span>rows {finding.box_source_px[0]:.0f}–{finding.box_source_px[2]:.0f},</span> "
        f"<span>columns {finding.box_source_px[1]:.0f}–{finding.box_source_px[3]:.0f}</span></li>"
        for image in images
        for finding in sorted(image.findings, key=lambda f: -f.score)
    ]
    if images:
        listed = f"<ul>{''.join(found)}</ul>" if found else '<p class="quiet">No boxes.</p>'
        parts.append(f"<h4>Findings, in source pixels</h4>{listed}")
    warnings = "".join(
        f'<li>{_views(views)}<span class="id">{text(caution.name)}</span>: '
        f"{text(caution.message)}</li>"
        for caution, views in _grouped(prediction).items()
        if views and not caution.doubt and caution not in prediction.cautions
    )
    if warnings:
        parts.append(f"<h4>Warnings of single views</h4><ul>{warnings}</ul>")
    if images:
        parts.append(f"<h4>Files</h4>{_files(images, prediction)}")
    documents = [item for item in prediction.unreadable if not item.kind.is_image]
    if documents:
        parts.append(f"<h4>Objects that are not images</h4><ul>{unreadable(documents)}</ul>")
    if prediction.study_instance_uid:
        uid = text(prediction.study_instance_uid)
        parts.append(f'<h4>Study Instance UID</h4><p class="id">{uid}</p>')
    return f'<div class="facts">{"".join(parts)}</div>'


def unreadable(items: Iterable[Unreadable]) -> str:
    """List refused inputs with their reasons."""
    lines = []
    for item in items:
        ref = item.source.ref if item.source else None
        known = ref is not None and (ref.laterality is not None or ref.view_position is not None)
        view = f"<b>{text(view_name(ref))}</b> " if ref is not None and known else ""
        kind = f" ({_KINDS[item.kind]})" if item.kind in _KINDS else ""
        lines.append(
            f'<li>{view}<span class="id">{text(item.path)}</span>{kind}<br>'
            f"{text(item.error)}: {text(item.message.removeprefix(f'{item.path}: '))}</li>"
        )
    return "".join(lines)


def _doubt_names(prediction: Prediction) -> list[str]:
    """Names of what could change the answer, of the exam and its images, each once."""
    return list(dict.fromkeys(c.name for c in _grouped(prediction) if _is_doubt(c)))


def _is_doubt(caution: Caution) -> bool:
    return caution.doubt or caution.name in _DOUBTS


def _views(views: Sequence[str]) -> str:
    return f"<b>{text(', '.join(views))}</b> " if views else ""


def _files(images: Sequence[ImagePrediction], prediction: Prediction) -> str:
    """List the files, their folder once if they share it."""
    folders = {image.ref.path.rpartition("/")[0] for image in images}
    shared = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
    items = "".join(
        f"<li><b>{text(view_in_exam(image, prediction))}</b> "
        f'<span class="id">{text(image.ref.path.removeprefix(shared))}</span></li>'
        for image in images
    )
    return f'<ul>{f"""<li class="id">{text(shared)}</li>""" if shared else ""}{items}</ul>'


def _name(prediction: Prediction) -> str:
    return text(prediction.patient_id or "no patient ID")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _grouped(prediction: Prediction) -> dict[Caution, list[str]]:
    """Every warning once, with the views that it is about (none: the exam)."""
    grouped: dict[Caution, list[str]] = {caution: [] for caution in prediction.cautions}
    for image in prediction.images:
        for caution in image.cautions:
            grouped.setdefault(caution, []).append(view_in_exam(image, prediction))
    return grouped


def _score_table(prediction: Prediction, scores: Scores, shown: Shown) -> str:
    rows = [_score_row("Exam", scores, "", shown)]
    breasts = {breast.laterality: breast.scores for breast in prediction.breasts}
    for side, name in _SIDES.items():
        if side in breasts:
            rows.append(_score_row(f"{name} breast" if side else name, breasts[side], "", shown))
        rows += [
            _score_row(view_in_exam(image, prediction), image.scores, "sub", shown)
            for image in images_in_order(prediction)
            if image.ref.laterality is side
        ]
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in shown)
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _score_row(name: str, scores: Scores, kind: str, shown: Shown) -> str:
    cells = "".join(f'<td class="n">{percent(of(scores))}</td>' for of in shown.values())
    return f'<tr class="{kind}"><th scope="row">{text(name)}</th>{cells}</tr>'
