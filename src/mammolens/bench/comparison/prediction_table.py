"""The table of all predictions of a comparison: one row for each model and image."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mammolens.bench.comparison.candidates import Candidate
from mammolens.bench.units import SCORES, ImageResult

__all__ = ["COLUMNS", "predictions_text"]

COLUMNS = (
    "model",
    "dataset",
    "image_id",
    "patient_id",
    "laterality",
    "view",
    "label_tumour",
    "label_malignant",
    "malignancy",
    "tumour",
    "error",
)


def predictions_text(candidates: Sequence[Candidate]) -> str:
    """One row for each model and image, as CSV; a score that there is not is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in candidates:
        empty: tuple[ImageResult, ...] = ()
        tasks = [one.results.get(task, empty) for task in ("malignancy", "tumour")]
        for place, result in enumerate(tasks[0]):
            record = result.record
            label = (record.tumour, record.malignant)
            scores = [
                SCORES[task](found)
                if place < len(results) and (found := results[place].scores)
                else ""
                for task, results in zip(("malignancy", "tumour"), tasks, strict=True)
            ]
            writer.writerow(
                [
                    one.name,
                    record.dataset,
                    record.image_id,
                    record.patient_id,
                    record.laterality.value if record.laterality else "",
                    record.view_position.value if record.view_position else "",
                    *("" if value is None else int(value) for value in label),
                    *scores,
                    result.unreadable.message if result.unreadable else "",
                ]
            )
    return text.getvalue()
