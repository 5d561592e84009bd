"""Figures of predictions that no package made: out-of-fold, or the votes of several runs.

What is written is what `mammolens evaluate` writes, as far as there is no card to speak of.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER, __version__
from mammolens.bench.evaluate import EvaluationSummary
from mammolens.bench.scoring import results_from_probabilities
from mammolens.bench.sections.calibration import calibration_figures
from mammolens.bench.units import ImageResult, figures
from mammolens.bench.written import PREDICTION_COLUMNS, prediction_row
from mammolens.core import Unreadable
from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Manifest, Record
from mammolens.data.synthetic import synthetic_warnings
from mammolens.errors import StorageError

__all__ = [
    "image_results",
    "pooled_metrics",
    "softmax",
    "write_pooled",
]

_Float = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> _Float:
    """Probabilities (n, k) of logits (n, k)."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(-1, keepdims=True))
    shares: _Float = powers / powers.sum(-1, keepdims=True)
    return shares


def image_results(
    manifest: Manifest, cache: PreparedCache, probabilities: npt.ArrayLike
) -> list[ImageResult]:
    """Pair a cache's records with probabilities (n, 3); refused images follow without scores.

    Parameters
    ----------
    manifest
        What the cache was built of.
    """
    scored = results_from_probabilities(cache.records, probabilities)
    there = {(record.dataset, record.image_id) for record in cache.records}
    return [
        *scored,
        *(
            ImageResult(record, None, _unreadable(record, cache))
            for record in manifest.records
            if (record.dataset, record.image_id) not in there
        ),
    ]


def pooled_metrics(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Figures over all data sets and within each, and calibration; ready for JSON."""
    names = sorted({one.record.dataset for one in results})
    groups = {name: [one for one in results if one.record.dataset == name] for name in names}
    return {
        **figures(results, draws=draws, seed=seed),
        "calibration": calibration_figures(results, draws=draws, seed=seed),
        "datasets": {
            name: {
                **figures(members, draws=draws, seed=seed),
                "calibration": calibration_figures(members, draws=draws, seed=seed),
            }
            for name, members in groups.items()
        },
    }


def write_pooled(
    out: Path,
    schema: str,
    results: Sequence[ImageResult],
    metrics: dict[str, Any],
    further: Sequence[str] = (),
    column: str = "fold",
) -> EvaluationSummary:
    """Write ``metrics.json`` and ``predictions.csv``.

    Parameters
    ----------
    further
        A further cell for each result, under the heading `column`; none leaves the column out.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    failed = [asdict(one.unreadable) for one in results if one.unreadable is not None]
    whole = {
        "schema": schema,
        "disclaimer": DISCLAIMER,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"mammolens {__version__}",
        "n_rows": len(results),
        "n_unreadable": len(failed),
        **metrics,
        "unreadable": failed,
        "notes": [
            *synthetic_warnings(one.record.dataset for one in results),
            *metrics.get("notes", ()),
        ],
    }
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*PREDICTION_COLUMNS, *([column] if further else [])])
    for number, result in enumerate(results):
        writer.writerow([*prediction_row(result), *further[number : number + 1]])
    predictions, path = out / "predictions.csv", out / "metrics.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        predictions.write_text(text.getvalue(), "utf-8", "backslashreplace", newline="")
        path.write_text(json.dumps(whole, indent=2, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise StorageError(
            f"the figures cannot be written: {error.strerror or error}",
            source=str(out),
            keyword="--out",
            remedy="Make room, or give a folder that you may write to",
        ) from error
    return EvaluationSummary(whole, path, predictions, len(results), len(failed))


def _unreadable(record: Record, cache: PreparedCache) -> Unreadable:
    path = str(record.path)
    return Unreadable(path, "InputError", cache.refused.get(path, "it could not be prepared"))
