"""`mammolens crossvalidate`: every patient is held out once, and judged by the run that did so.

Folds are trained one after the other into ``fold-0``, ``fold-1`` and so on, and go on where they
were cut off. A fold may as well be trained elsewhere, by `mammolens train` with the same two
settings, ``data.folds`` and ``data.fold``: a folder that is finished is only judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.evaluate import EvaluationSummary
from mammolens.bench.pooled import (
    image_results,
    pooled_metrics,
    softmax,
    write_pooled,
)
from mammolens.bench.sections.calibration import calibration_figures
from mammolens.bench.units import ImageResult
from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Manifest, Split
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.config import load_manifest
from mammolens.learn.frozen import train_run
from mammolens.learn.predict import load_network, predict_logits
from mammolens.metrics import fit_temperature

__all__ = ["crossvalidate"]


@dataclass(frozen=True)
class _Fold:
    """What the run of a fold says of the patients that it held out: logits (n, 3)."""

    manifest: Manifest
    cache: PreparedCache
    logits: npt.NDArray[np.float64]
    best: dict[str, Any]


def crossvalidate(
    config_path: Path,
    out: Path,
    folds: int,
    overrides: Sequence[str] = (),
    on_progress: Callable[[str], None] = print,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> EvaluationSummary:
    """Train and judge every fold, and pool what they say of the patients they held out.

    The temperature of a fold is fitted on the other folds' predictions, never on its own, so that
    the calibration of the pooled probabilities is out-of-fold as well. The pass of a fold is
    chosen on the patients that it held out, which leans to the bright side.

    Parameters
    ----------
    config_path, overrides
        The run, as for `mammolens.learn.train.train`.
    out
        Folder for the folds' run folders, ``metrics.json`` and ``predictions.csv``.
    folds
        2 or more.
    draws, seed
        Of the bootstrap over patients.

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak, StorageError
        As the training of a fold.
    """
    parts: list[_Fold] = []
    for number in range(folds):
        settings = [*overrides, f"data.folds={folds}", f"data.fold={number}"]
        train_run(
            config_path,
            out / f"fold-{number}",
            settings,
            lambda line, number=number: on_progress(f"fold {number}: {line}"),  # type: ignore[misc]
        )
        parts.append(_judge(out / f"fold-{number}"))
    temperatures = [_temperature(parts[:number] + parts[number + 1 :]) for number in range(folds)]
    raw = _pool(parts, [1.0] * folds)
    pooled = _pool(parts, temperatures)
    results = [result for fold in pooled for result in fold]
    metrics = {
        "folds": [
            {"best": fold.best, "images": len(fold.cache.records), "temperature": temperature}
            for fold, temperature in zip(parts, temperatures, strict=True)
        ],
        "manifest_digest": parts[0].manifest.digest,
        "bootstrap": {"draws": draws, "seed": seed, "level": 0.95, "resampled": "patients"},
        "notes": [
            "every patient was scored by the one run that held her out",
            "probabilities were divided by a temperature fitted on the other folds",
            "the pass of a fold was chosen on the patients that it held out: figures lean to the "
            "bright side",
        ],
        **pooled_metrics(results, draws=draws, seed=seed),
        "calibration_before_temperature": calibration_figures(
            [result for fold in raw for result in fold], draws=draws, seed=seed
        ),
    }
    numbers = [str(number) for number, fold in enumerate(pooled) for _ in fold]
    return write_pooled(out, "mammolens.crossvalidation/1", results, metrics, numbers)


def _judge(run: Path) -> _Fold:
    """Score what a run held out, by the weights of its best pass."""
    config, summary = read_run_folder(run)
    manifest = load_manifest(config)
    held_out = manifest.select(split=Split.VALIDATION)
    cache = build_side(manifest, Split.VALIDATION, config.preprocess, config.data.cache)
    net = load_network(config, run / "best.safetensors")
    logits = predict_logits(net, cache, mirrored=False).astype(np.float64)
    return _Fold(held_out, cache, logits, summary["best"])


def _temperature(others: Sequence[_Fold]) -> float:
    logits = np.concatenate([fold.logits for fold in others])
    allowed = np.array([record.allowed for fold in others for record in fold.cache.records])
    return fit_temperature(logits, allowed).value


def _pool(parts: Sequence[_Fold], temperatures: Sequence[float]) -> list[list[ImageResult]]:
    return [
        image_results(fold.manifest, fold.cache, softmax(fold.logits / temperature))
        for fold, temperature in zip(parts, temperatures, strict=True)
    ]
