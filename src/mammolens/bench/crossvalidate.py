"""`mammolens crossvalidate`: every patient is held out once, and judged by the run of that fold.

Folds are trained one after the other into ``fold-0``, ``fold-1`` and so on; an interrupted fold
continues. A fold can also be trained elsewhere, by `mammolens train` with the same settings
``data.folds`` and ``data.fold``; a finished folder is only judged. Inner folds are cut out of the
training side of a run (``data.inner_folds``, ``data.inner_fold``). The patients that the run holds
out stay unused, so inner folds can serve to choose settings and to train teachers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.evaluation_files import EvaluationSummary, bootstrap_facts, write_evaluation
from mammolens.bench.pooled_figures import image_results, pooled_metrics, score_held_out
from mammolens.bench.sections.calibration import calibration_figures
from mammolens.bench.units import ImageResult
from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Manifest
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.config import RunConfig, load_manifest, read_run
from mammolens.learn.train import train
from mammolens.metrics import fit_temperature, softmax

__all__ = ["crossvalidate"]


@dataclass(frozen=True)
class _Fold:
    """The held-out patients of a fold, and the logits (n, 3) of its run for them."""

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
    inner: bool = False,
    trained: bool = False,
    draws: int = 2000,
    seed: int = 0,
) -> EvaluationSummary:
    """Train and judge every fold, and pool the scores of the held-out patients.

    The temperature of a fold is fitted on the other folds' predictions, never on its own, so that
    the calibration of the pooled probabilities is out-of-fold as well. The pass of a fold is
    chosen on the patients that it held out, which is optimistic.

    Parameters
    ----------
    config_path, overrides
        The run, as for `mammolens.learn.train.train`.
    out
        Folder for the folds' run folders, ``metrics.json`` and ``predictions.csv``.
    folds
        2 or more.
    inner
        Cut the folds out of the run's training side.
    trained
        Judge folds that were trained elsewhere, with their best passes, and train nothing.
        Otherwise a fold whose folder has no checkpoint is trained.
    draws, seed
        Of the bootstrap over patients.

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak, StorageError
        As the training of a fold; with `trained`, if a folder does not have this fold.
    """
    parts: list[_Fold] = []
    key = "data.inner_fold" if inner else "data.fold"
    for number in range(folds):
        run = out / f"fold-{number}"
        settings = [*overrides, f"{key}s={folds}", f"{key}={number}"]
        if trained:
            _refuse_other_fold(run, read_run(config_path, settings))
        else:
            train(
                config_path,
                run,
                settings,
                lambda line, number=number: on_progress(f"fold {number}: {line}"),  # type: ignore[misc]
            )
        parts.append(_judge(run))
    temperatures = [_temperature(parts[:number] + parts[number + 1 :]) for number in range(folds)]
    raw = _pool(parts, [1.0] * folds)
    pooled = _pool(parts, temperatures)
    results = [result for fold in pooled for result in fold]
    metrics = {
        "name": read_run(config_path, overrides).name,
        "folds": [
            {"best": fold.best, "images": len(fold.cache.records), "temperature": temperature}
            for fold, temperature in zip(parts, temperatures, strict=True)
        ],
        "manifest_digest": parts[0].manifest.digest,
        "bootstrap": bootstrap_facts(draws, seed),
        "notes": [
            "every patient was scored by the one run that held the patient out",
            "probabilities were divided by a temperature fitted on the other folds",
            "the pass of a fold was chosen on the patients held out by it: figures are optimistic",
        ],
        **pooled_metrics(results, draws=draws, seed=seed),
        "calibration_before_temperature": calibration_figures(
            [result for fold in raw for result in fold], draws=draws, seed=seed
        ),
    }
    numbers = [str(number) for number, fold in enumerate(pooled) for _ in fold]
    return write_evaluation(out, "mammolens.crossvalidation/1", results, metrics, {"fold": numbers})


def _refuse_other_fold(run: Path, wanted: RunConfig) -> None:
    """Refuse a folder that holds out other patients than the requested fold."""
    _, summary = read_run_folder(run)
    if split_digest(load_manifest(wanted)) != summary["split_digest"]:
        raise ConfigError(
            "it holds out other patients than this fold does",
            source=str(run),
            keyword="data",
            remedy="Give the number of folds, and --inner or not, with which it was trained",
        )


def _judge(run: Path) -> _Fold:
    """Score the patients that a run held out, with the weights of its best pass."""
    config, summary = read_run_folder(run)
    return _Fold(*score_held_out(run, config, summary), summary["best"])


def _temperature(others: Sequence[_Fold]) -> float:
    logits = np.concatenate([fold.logits for fold in others])
    allowed = np.array([record.allowed for fold in others for record in fold.cache.records])
    return fit_temperature(logits, allowed)


def _pool(parts: Sequence[_Fold], temperatures: Sequence[float]) -> list[list[ImageResult]]:
    return [
        image_results(fold.manifest, fold.cache, softmax(fold.logits / temperature))
        for fold, temperature in zip(parts, temperatures, strict=True)
    ]
