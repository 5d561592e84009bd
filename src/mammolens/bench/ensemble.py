"""`mammolens ensemble`: average the probabilities of several runs on their held-out patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mammolens.bench.evaluation_files import EvaluationSummary, bootstrap_facts, write_evaluation
from mammolens.bench.pooled_figures import image_results, pooled_metrics, score_held_out
from mammolens.bench.scoring import results_from_probabilities
from mammolens.bench.units import ImageResult, figures
from mammolens.data.manifest import Split
from mammolens.learn.ensemble import read_members, soft_vote
from mammolens.metrics import softmax

__all__ = ["evaluate_ensemble"]


def evaluate_ensemble(
    runs: Sequence[Path],
    out: Path,
    on_progress: Callable[[str], None] = print,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> EvaluationSummary:
    """Average the probabilities of runs on their common validation side, and judge the mean.

    Parameters
    ----------
    runs
        Folders of finished runs; architectures may differ, tables and split may not.
    out
        Folder for ``metrics.json`` (with each member's own figures) and ``predictions.csv``.
    draws, seed
        Of the bootstrap over patients.

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
        own = figures(results, draws=draws, seed=seed)
        members.append({"run": str(run), "best": summary["best"], **own})
        on_progress(f"{run}: {len(cache.records)} images scored")
    results = [_voted([vote[key] for vote in votes]) for key in votes[0]]
    metrics = {
        "members": members,
        "manifest_digest": named[0][2]["manifest_digest"],
        "split": Split.VALIDATION.value,
        "bootstrap": bootstrap_facts(draws, seed),
        "notes": [
            "probabilities are the mean of the members'; an image that one of them could not read "
            "has no score",
            "the members' passes were chosen on these patients: figures are optimistic",
        ],
        **pooled_metrics(results, draws=draws, seed=seed),
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
