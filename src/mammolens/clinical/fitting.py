"""Fit and judge a fusion: ridge logistic regression with the images' log-odds, by patient folds.

Fitted is ``log-odds = intercept of the data set + slope × (images + contributions) + masks``. The
slope and the intercepts take up how a table differs from the population of the model's card.
A mask is the effect of knowing a value at all, whatever it is. This belongs to the table, so it is
fitted and not applied. What is applied is ``images + contributions``, and this is what is judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens import __version__
from mammolens.clinical.fusion import Fusion, FusionInput
from mammolens.clinical.fusion_table import FusionTable, read_fusion_table
from mammolens.clinical.records import last_day
from mammolens.core import ModelId
from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    Interval,
    auc_statistic,
    auc_within,
    fit_logistic,
    patient_bootstraps,
    sigmoid,
)
from mammolens.metrics.probability import patient_folds

__all__ = ["added_log_odds", "evaluate_fusion", "fit_fusion", "judge", "out_of_fold_fusion"]

FloatArray = npt.NDArray[np.float64]
Fitter = Callable[[FusionTable, FusionTable], FloatArray]
"""(table to learn from, table to score) → log-odds (n,) of the second."""

PENALTIES: Final = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
"""Weights of the ridge on standardised inputs. The last one leaves almost the images alone."""
LEAST_KNOWN: Final = 30
"""Fewest breasts with a known value of an input; with fewer it is refused. Chosen by hand: a slope
of fewer cases has an interval wider than any effect that is expected."""
_LOOSE: Final = 1e-4
"""Penalty of what is not an input: it only keeps the intercept of a set with one class finite."""
_LEAST_SLOPE: Final = 0.05
"""Below this slope the image scores do not rank the breasts; a contribution is divided by it."""


@dataclass(frozen=True)
class _Fit:
    inputs: tuple[FusionInput, ...]
    slope: float
    intercepts: dict[str, float]


def fit_fusion(
    path: Path, model: ModelId, inputs: Sequence[str] = (), today: date | None = None
) -> Fusion:
    """Fit a fusion on a table of breasts, and judge it out of fold.

    Raises
    ------
    InvalidManifest
        The table has a fault, an input is hardly ever known or always the same, or the image scores
        do not rank the breasts.
    """
    table = read_fusion_table(path, today or last_day(), inputs)
    penalty = _choose_penalty(table)
    fit = _fit(table, penalty)
    folds = patient_folds(table.patients.tolist())
    scores = out_of_fold_fusion(table, folds)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return Fusion(
        created=datetime.now(UTC),
        software=f"mammolens {__version__}",
        model_name=model.name,
        model_version=model.version,
        model_digest=model.digest,
        inputs=fit.inputs,
        image_slope=fit.slope,
        intercepts=fit.intercepts,
        penalty=penalty,
        n_breasts=len(table.labels),
        n_malignant=int(table.labels.sum()),
        n_patients=len(set(table.patients.tolist())),
        fitted_on=f"{path.name} {content}",
        evaluation=judge(table, scores, folds),
    )


def evaluate_fusion(
    path: Path,
    fusion: Fusion | None = None,
    inputs: Sequence[str] = (),
    today: date | None = None,
) -> dict[str, Any]:
    """Judge a fusion against the images alone: AUC by fold, paired difference, interval by patient.

    Parameters
    ----------
    path
        A table of breasts. With a `fusion` they must be of other patients than those of the fit.
    fusion
        The fusion to apply; ``None`` fits one in each fold on the other folds.

    Raises
    ------
    InvalidManifest
        The table has a fault, or is the one that the fusion was fitted on.
    """
    names = inputs if fusion is None else [one.name for one in fusion.inputs]
    table = read_fusion_table(path, today or last_day(), names)
    folds = patient_folds(table.patients.tolist())
    if fusion is None:
        return judge(table, out_of_fold_fusion(table, folds), folds)
    if fusion.fitted_on.endswith(hashlib.sha256(path.read_bytes()).hexdigest()):
        raise InvalidManifest(
            "the fusion was fitted on this table, so the figures would be too good",
            source=str(path),
            remedy="Leave out --fusion (folds are then fitted apart), or give other patients",
        )
    return judge(table, table.image + added_log_odds(table, fusion.inputs), folds)


def added_log_odds(table: FusionTable, inputs: Sequence[FusionInput]) -> FloatArray:
    """Give the sum of the contributions of each row, (n,)."""
    added = np.zeros(len(table.labels))
    for one in inputs:
        column = table.values[:, table.names.index(one.name)]
        known = np.isfinite(column)
        bounded = np.clip(column[known], one.low, one.high)
        added[known] += one.log_odds * (bounded - one.centre) / one.scale
    return added


def out_of_fold_fusion(table: FusionTable, folds: npt.NDArray[np.int64]) -> FloatArray:
    """Give the fused log-odds (n,) of each row by a fit without its patient's fold.

    The penalty of each fit is chosen by inner folds of its own patients.
    """
    scores = table.image.copy()
    for fold in np.unique(folds):
        held = folds == fold
        taught = table.rows(~held)
        fit = _fit(taught, _choose_penalty(taught))
        scores[held] += added_log_odds(table.rows(held), fit.inputs)
    return scores


def judge(
    table: FusionTable, scores: FloatArray, folds: npt.NDArray[np.int64], *, draws: int = 2000
) -> dict[str, Any]:
    """Compare scores with the images alone, by data set and out of fold.

    Each AUC is the mean of the folds: scores of two folds come from two fits, and are not compared
    with each other. Intervals are over patients.
    """
    found: dict[str, Any] = {}
    for name in np.unique(table.datasets).tolist():
        here = table.datasets == name
        labels, patients = table.labels[here], table.patients[here]
        own_folds, image, fused = folds[here], table.image[here], scores[here]
        shown: dict[str, Any] = {
            "n_breasts": int(here.sum()),
            "n_malignant": int(labels.sum()),
            "n_patients": len(set(patients.tolist())),
            "n_known": {
                n: int(np.isfinite(c).sum())
                for n, c in zip(table.names, table.values[here].T, strict=True)
            },
        }
        if labels.all() or not labels.any():
            found[name] = {**shown, "note": "the labels are of one class"}
            continue
        alone, with_data = (auc_within(labels, s, own_folds) for s in (image, fused))
        shown["folds"] = [
            {"fold": int(key), "n": n, "image": value, "fused": with_data[key][0]}
            for key, (value, n) in alone.items()
        ]
        means = {
            "image": _mean_of_folds(labels, image, own_folds),
            "fused": _mean_of_folds(labels, fused, own_folds),
        }

        def statistics(weights: FloatArray, means: dict[str, Any] = means) -> dict[str, FloatArray]:
            both = {key: one(weights) for key, one in means.items()}
            return {**both, "difference": both["fused"] - both["image"]}

        drawn = patient_bootstraps(statistics, labels, patients, draws=draws)
        shown |= {key: _interval(value) for key, value in drawn.items()}
        found[name] = shown
    return found


def _mean_of_folds(
    labels: npt.NDArray[np.bool_], scores: FloatArray, folds: npt.NDArray[np.int64]
) -> Callable[[FloatArray], FloatArray]:
    """Give the mean AUC of the folds that have both labels, as a function of row weights."""
    parts = []
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if labels[rows].any() and not labels[rows].all():
            parts.append((rows, auc_statistic(labels[rows], scores[rows])))
    return lambda weights: np.mean([one(weights[:, rows]) for rows, one in parts], axis=0)


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    return None if found is None else {k: getattr(found, k) for k in ("value", "low", "high")}


def _choose_penalty(table: FusionTable) -> float:
    """Choose the penalty with the least log-loss over inner folds of patients."""
    folds = patient_folds(table.patients.tolist())
    losses = np.zeros(len(PENALTIES))
    for fold in np.unique(folds):
        held = folds == fold
        taught, rest = table.rows(~held), table.rows(held)
        if taught.labels.all() or not taught.labels.any():
            continue
        for number, penalty in enumerate(PENALTIES):
            fit = _fit(taught, penalty, partial=True)
            raised = fit.slope * (rest.image + added_log_odds(rest, fit.inputs))
            mean = float(np.mean([*fit.intercepts.values()]))
            base = np.array([fit.intercepts.get(name, mean) for name in rest.datasets.tolist()])
            p = np.clip(sigmoid(base + raised), 1e-9, 1 - 1e-9)
            losses[number] -= np.log(np.where(rest.labels, p, 1 - p)).sum()
    return PENALTIES[len(PENALTIES) - 1 - int(np.argmin(losses[::-1]))]  # Equal: the larger one.


def _fit(table: FusionTable, penalty: float, *, partial: bool = False) -> _Fit:
    """Fit the coefficients; a `partial` table may lack a value that the whole table has."""
    known = np.isfinite(table.values)
    sets = np.unique(table.datasets).tolist()
    columns = [table.image, *(table.datasets == name for name in sets)]
    facts = []
    for number, name in enumerate(table.names):
        column, has = table.values[:, number], known[:, number]
        spread = float(column[has].std()) if has.any() else 0.0
        if not partial and (has.sum() < LEAST_KNOWN or spread == 0.0):
            raise InvalidManifest(
                f"{name} is known for {int(has.sum())} breasts"
                + (", and always the same" if has.any() and spread == 0.0 else ""),
                keyword="inputs",
                remedy=f"Leave it out with --inputs; an input needs {LEAST_KNOWN} different cases",
            )
        centre = float(column[has].mean()) if has.any() else 0.0
        scale = spread or 1.0
        low, high = np.quantile(column[has], (0.01, 0.99)) if has.any() else (0.0, 0.0)
        centred = np.where(has, (np.clip(column, low, high) - centre) / scale, 0.0)
        columns += [centred, has - has.mean()]
        facts.append((name, centre, scale, float(low), float(high), int(has.sum())))
    design = np.column_stack([np.asarray(column, np.float64) for column in columns])
    ridge = np.r_[np.full(1 + len(sets), _LOOSE), np.full(2 * len(facts), penalty)]
    start = np.r_[1.0, np.zeros(design.shape[1] - 1)]
    found = fit_logistic(
        design, table.labels, np.ones((1, len(table.labels))), ridge=ridge, start=start
    )
    slope = float(found.coefficients[0, 0])
    if partial:
        slope = max(slope, _LEAST_SLOPE)
    if not found.converged[0] or slope < _LEAST_SLOPE:
        raise InvalidManifest(
            "the image scores do not rank these breasts, so nothing can be added to them",
            keyword="image_log_odds",
            remedy="Check that scores and labels are of the same breasts",
        )
    rest = found.coefficients[0, 1 + len(sets) :]
    inputs = tuple(
        FusionInput(
            name=name,
            centre=centre,
            scale=scale,
            low=low,
            high=high,
            log_odds=float(rest[2 * number]) / slope,
            mask_log_odds=float(rest[2 * number + 1]),
            n_known=n,
        )
        for number, (name, centre, scale, low, high, n) in enumerate(facts)
    )
    intercepts = dict(zip(sets, map(float, found.coefficients[0, 1 : 1 + len(sets)]), strict=True))
    return _Fit(inputs, slope, intercepts)
