"""The table of all predictions of a comparison: one row for each model and image."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import zip_longest

from mammolens.bench.comparison.candidates import Candidate
from mammolens.bench.evaluation_files import prediction_cells
from mammolens.bench.units import ImageResult

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
    """Write one row for each model and image as CSV; a missing score is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for one in candidates:
        empty: tuple[ImageResult, ...] = ()
        tumours = one.results.get("tumour", empty)
        for malignancy, tumour in zip_longest(one.results.get("malignancy", empty), tumours):
            cells = prediction_cells(malignancy)
            failure = malignancy.unreadable
            writer.writerow(
                {
                    **cells,
                    "model": one.name,
                    "tumour": prediction_cells(tumour)["tumour"] if tumour else "",
                    "error": failure.message if failure else "",
                }
            )
    return text.getvalue()
