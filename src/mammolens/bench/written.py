"""How an evaluation is written: one row an image, and one JSON document."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mammolens.bench.units import ImageResult

__all__ = ["PREDICTION_COLUMNS", "as_text", "prediction_row", "write_predictions"]

_NUMBERS = re.compile(r"\[\n\s+((?:[-+.\deE]+|null)(?:,\s+(?:[-+.\deE]+|null))*)\n\s+\]")

PREDICTION_COLUMNS = (
    "dataset",
    "image_id",
    "patient_id",
    "laterality",
    "view",
    "path",
    "label_tumour",
    "label_malignant",
    "p_normal",
    "p_benign",
    "p_malignant",
    "malignancy",
    "tumour",
    "error",
    "warnings",
)


def write_predictions(results: Iterable[ImageResult], path: Path) -> None:
    """Write one row an image; raises `OSError` if that cannot be done."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(PREDICTION_COLUMNS)
        writer.writerows(prediction_row(result) for result in results)


def prediction_row(result: ImageResult) -> list[str | float]:
    """The cells of one image, in the order of `PREDICTION_COLUMNS`."""
    record, scores, failure = result.record, result.scores, result.unreadable
    return [
        record.dataset,
        record.image_id,
        record.patient_id,
        record.laterality.value if record.laterality else "",
        record.view_position.value if record.view_position else "",
        str(record.path),
        "" if record.tumour is None else int(record.tumour),
        "" if record.malignant is None else int(record.malignant),
        *(
            ("",) * 5
            if scores is None
            else (scores.normal, scores.benign, scores.malignant, scores.malignant, scores.tumour)
        ),
        "" if failure is None else f"{failure.error}: {failure.message}",
        "; ".join(str(caution) for caution in result.cautions),
    ]


def as_text(metrics: Mapping[str, Any]) -> str:
    """JSON with every list of numbers on one line.

    Examples
    --------
    >>> print(as_text({"n": [1, 2.5, None]}), end="")
    {
      "n": [1, 2.5, null]
    }
    """
    text = json.dumps(metrics, indent=2, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
