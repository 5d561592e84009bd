"""Write the files of an evaluation: ``predictions.csv`` and ``metrics.json``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammolens import DISCLAIMER, __version__
from mammolens.bench.units import ImageResult
from mammolens.data.synthetic import synthetic_warnings
from mammolens.files import storage, whole_text, write_whole
from mammolens.metrics.bootstrap import LEVEL
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

__all__ = [
    "EvaluationSummary",
    "as_text",
    "bootstrap_facts",
    "document_head",
    "prediction_cells",
    "write_evaluation",
]

_NUMBERS = re.compile(r"\[\n\s+((?:[-+.\deE]+|null)(?:,\s+(?:[-+.\deE]+|null))*)\n\s+\]")


@dataclass(frozen=True)
class EvaluationSummary:
    """The results of an evaluation, and the paths of its files."""

    metrics: dict[str, Any]
    metrics_path: Path
    predictions_path: Path
    n_rows: int
    n_unreadable: int
    report_paths: tuple[Path, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if every image was scored, otherwise 3."""
        return EXIT_INCOMPLETE if self.n_unreadable else EXIT_OK


def document_head(schema: str) -> dict[str, str]:
    """Give the first entries of a JSON document of results: schema, notice, date and software."""
    return {
        "schema": schema,
        "disclaimer": DISCLAIMER,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"mammolens {__version__}",
    }


def bootstrap_facts(draws: int, seed: int) -> dict[str, Any]:
    """Describe the intervals of a document."""
    return {"draws": draws, "seed": seed, "level": LEVEL, "resampled": "patients"}


def write_evaluation(
    out: Path,
    schema: str,
    results: Sequence[ImageResult],
    metrics: Mapping[str, Any],
    columns: Mapping[str, Sequence[str]] | None = None,
) -> EvaluationSummary:
    """Write ``metrics.json`` and ``predictions.csv``.

    Parameters
    ----------
    out
        The folder; it is created if it does not exist.
    results
        The judged images, at least one.
    metrics
        The figures. The number of unreadable images, and the warning about synthetic data, are
        added.
    columns
        Further columns of ``predictions.csv``: heading → the cells of all results.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    failed = [asdict(one.unreadable) for one in results if one.unreadable is not None]
    synthetic = synthetic_warnings(one.record.dataset for one in results)
    whole = {
        **document_head(schema),
        "n_rows": len(results),
        "n_unreadable": len(failed),
        **metrics,
        "unreadable": failed,
        "notes": list(dict.fromkeys([*synthetic, *metrics.get("notes", ())])),
    }
    predictions, path = out / "predictions.csv", out / "metrics.json"
    with storage(out, "the figures", keyword="--out"):
        out.mkdir(parents=True, exist_ok=True)
        _write_predictions(results, predictions, columns or {})
        write_whole(path, as_text(whole))
    return EvaluationSummary(whole, path, predictions, len(results), len(failed))


def _write_predictions(
    results: Sequence[ImageResult], path: Path, columns: Mapping[str, Sequence[str]]
) -> None:
    with whole_text(path, "backslashreplace") as stream:
        writer = csv.DictWriter(stream, [*prediction_cells(results[0]), *columns])
        writer.writeheader()
        for number, result in enumerate(results):
            further = {name: cells[number] for name, cells in columns.items()}
            writer.writerow({**prediction_cells(result), **further})


def prediction_cells(result: ImageResult) -> dict[str, str | float]:
    """Give the cells of one image by column of ``predictions.csv``; unknown cells are empty."""
    record, scores, failure = result.record, result.scores, result.unreadable
    return {
        "dataset": record.dataset,
        "image_id": record.image_id,
        "patient_id": record.patient_id,
        "laterality": record.laterality.value if record.laterality else "",
        "view": record.view_position.value if record.view_position else "",
        "path": str(record.path),
        "label_tumour": "" if record.tumour is None else int(record.tumour),
        "label_malignant": "" if record.malignant is None else int(record.malignant),
        "p_normal": scores.normal if scores else "",
        "p_benign": scores.benign if scores else "",
        "p_malignant": scores.malignant if scores else "",
        "malignancy": scores.malignant if scores else "",
        "tumour": scores.tumour if scores else "",
        "error": f"{failure.error}: {failure.message}" if failure else "",
        "warnings": "; ".join(str(caution) for caution in result.cautions),
    }


def as_text(metrics: Mapping[str, Any]) -> str:
    """Write JSON with every list of numbers on one line.

    Examples
    --------
    >>> print(as_text({"n": [1, 2.5, None]}), end="")
    {
      "n": [1, 2.5, null]
    }
    """
    text = json.dumps(metrics, indent=2, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
