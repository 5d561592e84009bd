"""Figures of predictions from several runs: a cross-validation, or the votes of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.scoring import refused_result, results_from_probabilities
from mammolens.bench.sections.calibration import calibration_figures
from mammolens.bench.units import ImageResult, figures
from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Manifest, Split
from mammolens.learn.config import RunConfig
from mammolens.learn.lineage import read_sides
from mammolens.learn.predict import load_network, predict_logits

__all__ = ["image_results", "pooled_metrics", "score_held_out"]


def image_results(
    manifest: Manifest, cache: PreparedCache, probabilities: npt.ArrayLike
) -> list[ImageResult]:
    """Pair a cache's records with probabilities (n, 3); refused images follow without scores.

    Parameters
    ----------
    manifest
        The manifest that the cache was built from.
    """
    scored = results_from_probabilities(cache.records, probabilities)
    there = {record.key for record in cache.records}
    return [
        *scored,
        *(refused_result(record, cache) for record in manifest.records if record.key not in there),
    ]


def score_held_out(
    run: Path, config: RunConfig, summary: dict[str, Any]
) -> tuple[Manifest, PreparedCache, npt.NDArray[np.float64]]:
    """Score the patients that a run held out, with the weights of its best pass.

    Parameters
    ----------
    run, config, summary
        A run folder, and the result of `read_run_folder` for it.

    Returns
    -------
    The rows that the run held out, their pictures, and logits (n, 3) of the pictures.

    Raises
    ------
    ConfigError
        If tables or split have changed since the training.
    """
    manifest = read_sides(run, config, summary)
    cache = build_side(manifest, Split.VALIDATION, config.preprocess, config.data.cache)
    net = load_network(config, run / "best.safetensors")
    logits = predict_logits(net, cache, mirrored=False).astype(np.float64)
    return manifest.select(split=Split.VALIDATION), cache, logits


def pooled_metrics(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Give figures and calibration over all data sets and within each; ready for JSON."""
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
