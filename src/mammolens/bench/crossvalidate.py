"""Judge several runs together: `mammolens crossvalidate`, and the mean vote of `ensemble`.

In a cross-validation, every patient is held out once, and judged by the run of that fold. Folds are
trained one after the other into ``fold-0``, ``fold-1`` and so on; an interrupted fold continues. A
fold can also be trained elsewhere, by `mammolens train` with the same settings ``data.folds`` and
``data.fold``; a finished folder is only judged. Inner folds are cut out of the training side of a
run (``data.inner_folds``, ``data.inner_fold``). The patients that the run holds out stay unused, so
inner folds can serve to choose settings and to train teachers.

An ensemble averages the probabilities of several runs on the patients that all of them held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.evaluation_files import EvaluationSummary, bootstrap_facts, write_evaluation
from mammolens.bench.scoring import refused_result, results_from_probabilities
from mammolens.bench.sections.figures import calibration_figures
from mammolens.bench.units import ImageResult, figures
from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Manifest, Split
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.config import RunConfig, load_manifest, read_run
from mammolens.learn.ensemble import read_members, soft_vote
from mammolens.learn.lineage import read_sides
from mammolens.learn.predict import load_network, predict_logits
from mammolens.learn.train import train
from mammolens.metrics import fit_temperature, softmax

__all__ = [
    "crossvalidate",
    "evaluate_ensemble",
    "image_results",
    "pooled_metrics",
    "score_held_out",
]


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

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak, StorageError
        As the training of a fold; with `trained`, if a folder does not have this fold.
    """
    parts: list[_Fold] = []
    key = "data.inner_fold" if inner else "data.fold"
    for number in range(folds):
        run = out / f"fold-{number}"
        settings = [*overrides, f"{key}s={folds}", f"{key}={number}"]  # data.folds, data.fold
        if trained:
            _refuse_other_fold(run, read_run(config_path, settings))
        else:
            train(
                config_path,
                run,
                settings,
                lambda line, number=number: on_progress(f"fold {number}: {line}"),  # type: ignore[misc]
            )
        config, summary = read_run_folder(run)
        parts.append(_Fold(*score_held_out(run, config, summary), summary["best"]))
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


def _temperature(others: Sequence[_Fold]) -> float:
    logits = np.concatenate([fold.logits for fold in others])
    allowed = np.array([record.allowed for fold in others for record in fold.cache.records])
    return fit_temperature(logits, allowed)


def _pool(parts: Sequence[_Fold], temperatures: Sequence[float]) -> list[list[ImageResult]]:
    return [
        image_results(fold.manifest, fold.cache, softmax(fold.logits / temperature))
        for fold, temperature in zip(parts, temperatures, strict=True)
    ]


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

    def judged(group: Sequence[ImageResult]) -> dict[str, Any]:
        calibration = calibration_figures(group, draws=draws, seed=seed)
        return {**figures(group, draws=draws, seed=seed), "calibration": calibration}

    names = sorted({one.record.dataset for one in results})
    parts = {n: judged([one for one in results if one.record.dataset == n]) for n in names}
    return {**judged(results), "datasets": parts}


def evaluate_ensemble(
    runs: Sequence[Path],
    out: Path,
    on_progress: Callable[[str], None] = print,
    *,
    draws: int = 2000,
) -> EvaluationSummary:
    """Average the probabilities of runs on their common validation side, and judge the mean.

    Parameters
    ----------
    runs
        Folders of finished runs; architectures may differ, tables and split may not.
    out
        Folder for ``metrics.json`` (with each member's own figures) and ``predictions.csv``.

    Raises
    ------
    ConfigError
        If a folder has no finished run, or the runs hold out different patients.
    StorageError
        If `out` cannot be written.
    """
    votes: list[dict[tuple[str, str], ImageResult]] = []
    members: list[dict[str, Any]] = []
    named = read_members(runs)
    for run, config, summary in named:
        held_out, cache, logits = score_held_out(run, config, summary)
        results = image_results(held_out, cache, softmax(logits))
        votes.append({one.record.key: one for one in results})
        own = figures(results, draws=draws)
        members.append({"run": str(run), "best": summary["best"], **own})
        on_progress(f"{run}: {len(cache.records)} images scored")
    results = [_voted([vote[key] for vote in votes]) for key in votes[0]]
    metrics = {
        "members": members,
        "manifest_digest": named[0][2]["manifest_digest"],
        "split": Split.VALIDATION.value,
        "bootstrap": bootstrap_facts(draws, 0),
        "notes": [
            "probabilities are the mean of the members'; an image that one of them could not read "
            "has no score",
            "the members' passes were chosen on these patients: figures are optimistic",
        ],
        **pooled_metrics(results, draws=draws),
    }
    return write_evaluation(out, "mammolens.ensemble/1", results, metrics)


def _voted(members: Sequence[ImageResult]) -> ImageResult:
    """Give one image with the mean of all probabilities, or the first reason for no score."""
    for one in members:
        if one.unreadable is not None:
            return one
    scores = [one.scores for one in members if one.scores is not None]
    rows = [[(s.normal, s.benign, s.malignant)] for s in scores]
    return results_from_probabilities([members[0].record], soft_vote(rows))[0]
