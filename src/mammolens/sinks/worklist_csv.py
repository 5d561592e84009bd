"""``worklist.csv``: one row per exam, in the order in which to read them.

Failed exams come first, because nothing is known about them; then high, intermediate and low, each
by falling malignancy. `COLUMNS` has the columns. Empty means unknown. Text that a spreadsheet would
treat as a formula (it begins with ``=``, ``+``, ``-`` or ``@``) is preceded by an apostrophe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mammolens.clinical import item_words
from mammolens.core import Laterality, Prediction, Unreadable
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._clinical import contribution_words
from mammolens.sinks._density import density_cell
from mammolens.sinks._finite import fail_if_not_finite
from mammolens.sinks._statements import poor_words, refused_words, sort_refused
from mammolens.sinks._worklist import images_in_order, reading_key
from mammolens.wording import CATEGORY_WORDS, table_text, view_name

__all__ = ["COLUMNS", "exam_cells", "worklist", "worklist_row"]

COLUMNS: Final = {
    "position": "place on the worklist, from 1",
    "category": "failed, high, intermediate or low",
    "read_as": "the category in words",
    "malignancy": "probability of malignancy, 0–1",
    "tumour": "probability of any tumour, 0–1; empty unless the model card vouches for it",
    "malignancy_right": "probability of malignancy of the right breast",
    "malignancy_left": "probability of malignancy of the left breast",
    "patient_id": "Patient ID (0010,0020)",
    "study_instance_uid": "Study Instance UID (0020,000D)",
    "views": "the views analysed, such as RCC LCC RMLO LMLO",
    "n_images": "number of images analysed",
    "n_findings": "number of boxes",
    "n_unreadable": "number of images that may show a breast and were not analysed",
    "not_analysed": "those images by their views, and why; what else was passed over",
    "warnings": "names of the warnings of the exam and its images",
    "quality": "what is poor about the pictures, such as RCC: sharpness, motion",
    "malignancy_images": "probability of malignancy from the images alone, if a fusion was used",
    "contributions": "what each input of the fusion added to the log-odds, such as age +0.21",
    "clinical": "clinical data with value, source and date",
    "risk": "5-year risk of BCRAT, 0–1; no part of the scores",
    "density": "breast density by the model: BI-RADS a to d, not sure; empty if unknown",
    "elapsed_s": "seconds of analysis",
    "prevalence": "share of malignant breasts that the probabilities stand for",
    "prevalence_from": "site, where it was stated; else model: that of the model's own data",
    "model": "name and version of the model",
    "notice": "research use only",
}

_Cells = list[str | int | float | None]
_Row = tuple[tuple[int, float], _Cells]


def worklist_row(item: Prediction | Unreadable, run: RunInfo, place: int) -> _Row | None:  # noqa: ARG001
    """Give the sort key and the cells of an exam; other inputs are listed in `results.json`."""
    if isinstance(item, Unreadable):
        return None
    return reading_key(item), list(exam_cells(item, run).values())


def worklist(rows: Sequence[_Row], run: RunInfo) -> Iterator[Artefact]:  # noqa: ARG001
    """Sort the rows and write ``worklist.csv``."""
    ordered = sorted(rows, key=lambda row: row[0])
    numbered = ([position, *cells] for position, (_, cells) in enumerate(ordered, start=1))
    text = table_text([COLUMNS, *numbered], end="\r\n")
    yield Artefact("worklist.csv", "text/csv", text.encode("utf-8"))


def exam_cells(prediction: Prediction, run: RunInfo) -> dict[str, str | int | float | None]:
    """Give the cells of an exam by `COLUMNS`, without its position; text is as it was found."""
    prediction = fail_if_not_finite(prediction)
    scores, model = prediction.scores, prediction.model
    breasts = {breast.laterality: breast.scores.malignant for breast in prediction.breasts}
    cautions = [*prediction.cautions, *(c for image in prediction.images for c in image.cautions)]
    values: _Cells = [
        prediction.category.value,
        CATEGORY_WORDS[prediction.category],
        _rounded(scores.malignant if scores else None),
        _rounded(scores.tumour if scores and run.tumour_vouched else None),
        _rounded(breasts.get(Laterality.RIGHT)),
        _rounded(breasts.get(Laterality.LEFT)),
        prediction.patient_id or "",
        prediction.study_instance_uid or "",
        " ".join(view_name(image.ref) for image in images_in_order(prediction)),
        len(prediction.images),
        sum(len(image.findings) for image in prediction.images),
        len(sort_refused(prediction).missed),
        " ".join(refused_words(prediction)),
        " ".join(dict.fromkeys(caution.name for caution in cautions)),
        "; ".join(poor_words(prediction)),
        _rounded(prediction.fusion.images_malignant if prediction.fusion else None),
        "; ".join(contribution_words(prediction.fusion)),
        "; ".join(map(item_words, prediction.clinical)),
        _rounded(prediction.risk.risk if prediction.risk else None),
        density_cell(prediction.density),
        round(prediction.elapsed_s, 2),
        prediction.prevalence,
        "site" if run.prevalence_stated else "model",
        f"{model.name} {model.version}",
        run.disclaimer,
    ]
    return dict(zip(list(COLUMNS)[1:], values, strict=True))


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(float(probability), 5)
