"""Figures of predictions that come from several runs: cross-validation, or votes of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from mammolens.bench.scoring import results_from_probabilities
from mammolens.bench.sections.calibration import calibration_figures
from mammolens.bench.units import ImageResult, figures
from mammolens.core import Unreadable
from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Manifest, Record

__all__ = ["image_results", "pooled_metrics"]


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


def _unreadable(record: Record, cache: PreparedCache) -> Unreadable:
    path = str(record.path)
    return Unreadable(path, "InputError", cache.refused.get(path, "it could not be prepared"))
