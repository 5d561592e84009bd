"""Prepare the texts of one exam for the macros of ``exam.html.j2``, the exam page.

Nothing is escaped here: the templates escape every text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mammolens._pages import templates
from mammolens.clinical import ITEMS, show_value
from mammolens.core import (
    Caution,
    ClinicalItem,
    ImagePrediction,
    Laterality,
    ObjectKind,
    Prediction,
    Scores,
    Standing,
    TriageCategory,
    Unreadable,
)
from mammolens.sinks._clinical import fusion_words, risk_words
from mammolens.sinks._density import density_words
from mammolens.sinks._statements import criterion_name, judged_views
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import CATEGORY_WORDS, percent, view_in_exam, view_name

Shown = Mapping[str, Callable[[Scores], float]]
"""The probabilities that the page shows, by the heading of their column."""

_SIDES: Final = {Laterality.RIGHT: "Right", Laterality.LEFT: "Left", None: "Side unknown"}
_DOUBTS: Final = frozenset({"low_withheld", "not_validated", "exam_failed", "model_failed"})
"""Cautions of an exam that give the consequence of a doubt."""
_KINDS: Final = {
    ObjectKind.STACK: "tomosynthesis",
    ObjectKind.OTHER_IMAGE: "not a 2D mammogram",
    ObjectKind.DOCUMENT: "not an image",
}


@dataclass(frozen=True)
class ExamRow:
    """One row of the worklist; `cells` have the heading, the kind and the text of each column.

    The page sorts and filters by `score`: P(malignant), or empty for a failed exam.
    """

    name: str
    category: TriageCategory
    score: str
    cells: tuple[tuple[str, str, str], ...]


def rendered(macro: str, *parts: Any) -> str:
    """Render a macro of ``exam.html.j2``."""
    macros = templates("mammolens.sinks").get_template("exam.html.j2").module
    return str(getattr(macros, macro)(*parts))


def worklist_row(prediction: Prediction, shown: Shown) -> ExamRow:
    """Make the row of an exam on the worklist."""
    scores, images = prediction.scores, images_in_order(prediction)
    breasts = {breast.laterality: breast.scores.malignant for breast in prediction.breasts}
    notes = [
        *_doubts(prediction),
        _count(sum(len(image.findings) for image in prediction.images), "finding"),
        _count(len(prediction.unreadable), "object") + " not analysed"
        if prediction.unreadable
        else "",
        _count(len(_grouped(prediction)), "warning"),
    ]
    cells = (
        ("Exam", "wide", ""),
        ("Triage", "wide", ""),
        *((name, "n", percent(of(scores)) if scores else "unknown") for name, of in shown.items()),
        *(
            (_SIDES[side], "n quiet", percent(breasts[side]) if side in breasts else "–")
            for side in (Laterality.RIGHT, Laterality.LEFT)
        ),
        ("Views", "wide", ", ".join(view_in_exam(i, prediction) for i in images) or "none"),
        ("Notes", "wide quiet", ", ".join(note for note in notes if note)),
    )
    return ExamRow(
        _name(prediction),
        prediction.category,
        f"{scores.malignant:.6f}" if scores else "",
        cells,
    )


def exam_context(prediction: Prediction, shown: Shown) -> dict[str, Any]:
    """Give all texts of an exam, by the names that the macros use; no pictures and no anchor."""
    scores, images = prediction.scores, images_in_order(prediction)
    refused = {True: list[Unreadable](), False: list[Unreadable]()}
    for item in prediction.unreadable:
        refused[item.kind.is_image].append(item)
    notes = [
        _note(caution, views, caution in prediction.cautions)
        for caution, views in _grouped(prediction).items()
    ]
    folder, files = _files(images, prediction)
    factor = prediction.age_odds_factor
    return {
        "name": _name(prediction),
        "category": prediction.category,
        "category_words": CATEGORY_WORDS[prediction.category],
        "malignant": percent(scores.malignant) if scores else "",
        "doubts": _doubts(prediction),
        "cautions": [note for note in notes if note["first"]],
        "warnings": [note for note in notes if not note["first"] and note["views"]],
        "refused_images": refused_inputs(refused[True]),
        "refused_objects": refused_inputs(refused[False]),
        "shown": list(shown),
        "scores": list(_score_rows(prediction, shown)),
        "age_factor": "" if factor is None else f"{factor:.2f}",
        "clinical": [_clinical_row(item) for item in prediction.clinical],
        "fusion": fusion_words(prediction),
        "risk": risk_words(prediction.risk),
        "density": density_words(prediction),
        "findings": list(_findings(images, prediction)),
        "quality": list(_quality(prediction)),
        "folder": folder,
        "files": files,
        "study_uid": prediction.study_instance_uid,
    }


def _clinical_row(item: ClinicalItem) -> dict[str, Any]:
    side = f", {_SIDES[item.laterality].lower()}" if item.laterality else ""
    return {
        "title": ITEMS[item.name].title + side,
        "value": show_value(item.name, item.value),
        "source": item.source,
        "day": item.date.isoformat() if item.date else "no date",
        "is_used": item.is_used,
    }


def refused_inputs(items: Iterable[Unreadable]) -> list[dict[str, str]]:
    """Describe which inputs were refused and why."""
    found = []
    for item in items:
        ref = item.source.ref if item.source else None
        known = ref is not None and (ref.laterality is not None or ref.view_position is not None)
        found.append(
            {
                "view": view_name(ref) if ref is not None and known else "",
                "path": item.path,
                "kind": _KINDS.get(item.kind, ""),
                "error": item.error,
                "message": item.message.removeprefix(f"{item.path}: "),
            }
        )
    return found


def _quality(prediction: Prediction) -> Iterator[tuple[str, str, str, str, str]]:
    """Every poor criterion with its figures, and for each view how many others there are."""
    for view, criteria in judged_views(prediction):
        for one in criteria:
            if one.standing is Standing.POOR:
                figures = ""
                if one.value is not None and one.limit is not None:
                    figures = f" ({one.value:g}, limit {one.limit:g} {one.unit}".rstrip() + ")"
                standing = "doubt" if one.doubts else "poor"
                yield view, criterion_name(one), standing, one.reason, figures
        good = sum(one.standing is Standing.GOOD for one in criteria)
        unknown = [
            criterion_name(one) for one in criteria if one.standing is Standing.NOT_ASSESSABLE
        ]
        words = f"{good} of {len(criteria)} criteria"
        rest = f"; not assessable: {', '.join(unknown)}" if unknown else ""
        yield view, "good", "good", words, rest


def _doubts(prediction: Prediction) -> list[str]:
    """Names of the doubts about the exam and its images, each once."""
    names = (caution.name for caution in _grouped(prediction) if _is_doubt(caution))
    return [name.replace("_", " ") for name in dict.fromkeys(names)]


def _is_doubt(caution: Caution) -> bool:
    return caution.doubt or caution.name in _DOUBTS


def _note(caution: Caution, views: Sequence[str], of_exam: bool) -> dict[str, Any]:
    return {
        "name": caution.name,
        "message": caution.message,
        "views": views,
        "doubt": _is_doubt(caution),
        "first": of_exam or caution.doubt,
    }


def _files(
    images: Sequence[ImagePrediction], prediction: Prediction
) -> tuple[str, list[tuple[str, str]]]:
    """The folder that all files share (or ""), and each view with the rest of its path."""
    folders = {image.ref.path.rpartition("/")[0] for image in images}
    shared = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
    return shared, [
        (view_in_exam(image, prediction), image.ref.path.removeprefix(shared)) for image in images
    ]


def _name(prediction: Prediction) -> str:
    return prediction.patient_id or "no patient ID"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _grouped(prediction: Prediction) -> dict[Caution, list[str]]:
    """Every warning once, with its views; no views if it is about the exam."""
    grouped: dict[Caution, list[str]] = {caution: [] for caution in prediction.cautions}
    for image in prediction.images:
        for caution in image.cautions:
            grouped.setdefault(caution, []).append(view_in_exam(image, prediction))
    return grouped


def _findings(
    images: Sequence[ImagePrediction], prediction: Prediction
) -> Iterator[dict[str, str]]:
    for image in images:
        for finding in sorted(image.findings, key=lambda f: -f.score):
            row0, column0, row1, column1 = finding.box_source_px
            yield {
                "view": view_in_exam(image, prediction),
                "strength": f"{finding.score:.1f}",
                "rows": f"{row0:.0f}–{row1:.0f}",
                "columns": f"{column0:.0f}–{column1:.0f}",
            }


def _score_rows(prediction: Prediction, shown: Shown) -> Iterator[dict[str, Any]]:
    """Rows for the exam, each breast, and its views below it."""

    def row(name: str, scores: Scores, of_view: bool = False) -> dict[str, Any]:
        figures = [percent(of(scores)) for of in shown.values()]
        return {"name": name, "figures": figures, "of_view": of_view}

    if prediction.scores is None:
        return
    yield row("Exam", prediction.scores)
    breasts = {breast.laterality: breast.scores for breast in prediction.breasts}
    for side, name in _SIDES.items():
        if side in breasts:
            yield row(f"{name} breast" if side else name, breasts[side])
        for image in images_in_order(prediction):
            if image.ref.laterality is side:
                yield row(view_in_exam(image, prediction), image.scores, of_view=True)
