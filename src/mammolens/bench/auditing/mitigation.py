"""The effect of a remedy for gaps between groups. It is measured, and never applied.

Everything is cross-fitted over patients: the scores of a fold come from a fit without its patients.
Changes are paired, with intervals over patients; the intervals do not include the uncertainty of
the fit. A remedy may narrow one gap and widen another. Whether a rule may depend on a patient's
group is a decision for people, not for a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.auditing.audit import Rows, rows_of, statistics_of
from mammolens.bench.auditing.groups import (
    GROUP_ORDER,
    Axis,
    axes_between,
    axes_within,
    group_units,
)
from mammolens.bench.settings import Remedy
from mammolens.bench.units import ImageResult, Resample, resampled_json
from mammolens.metrics import (
    Statistic,
    binary_statistic,
    fit_logistic,
    log_odds,
    sigmoid,
    threshold_at_specificity,
)
from mammolens.metrics.bootstrap import FEW
from mammolens.metrics.probability import patient_folds
from mammolens.model import ModelCard
from mammolens.spelling import check_known

__all__ = ["mitigation_section", "refuse_unknown_axis"]

_RIDGE = 1.0
"""Penalty on the shift and stretch of log-odds, towards no change. Chosen by hand; not tuned."""
_Float = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]
_Decided = tuple[_Float, _Bool]
"""Scores and decisions, each (n,)."""

WORDS: Final = {
    Remedy.RECALIBRATE: "log-odds of each group shifted and stretched to fit its labels",
    Remedy.REWEIGHT: "log-odds of all shifted and stretched, every group and class of equal weight",
    Remedy.THRESHOLDS: "a threshold for each group at the specificity that the card's high one "
    "has over all groups",
}


def mitigation_section(
    results: Sequence[ImageResult],
    card: ModelCard,
    remedy: Remedy,
    by: str,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure a remedy on an axis, within each data set (``source``, ``medium``: over all).

    Parameters
    ----------
    card
        The model's; its high threshold decides.
    remedy, by
        The remedy, and the axis of the audit whose groups it treats.

    Returns
    -------
    ``remedy``, ``by``, ``what`` and ``parts``: data set → ``groups`` and ``spread``. Each group,
    and ``all``, has ``n``, ``n_positive`` and, for ``auc``, ``brier``, ``observed_over_expected``,
    ``sensitivity`` and ``specificity``, the figures ``before``, ``after`` and ``change``;
    ``spread`` is the highest minus the lowest figure of the groups. A group of too few patients is
    treated like the whole, and has no figures.

    Raises
    ------
    ConfigError
        If the axis does not exist.
    """
    refuse_unknown_axis(by)
    between = {axis.name: axis for axis in axes_between()}
    sources = sorted({one.record.dataset for one in results})
    parts: dict[str, tuple[Sequence[ImageResult], Axis]] = {}
    if by in between:
        parts["all"] = (results, between[by])
    else:
        for source in sources:
            members = [one for one in results if one.record.dataset == source]
            (axis,) = (one for one in axes_within(members) if one.name == by)
            parts[source] = (members, axis)
    threshold = card.operating_points.high.threshold
    resample = partial(resampled_json, draws=draws, seed=seed)
    return {
        "remedy": remedy.value,
        "by": by,
        "what": WORDS[remedy],
        "applied": False,
        "threshold": threshold,
        "parts": {
            name: _measured(rows_of(group_units(members, axis)), remedy, threshold, resample)
            for name, (members, axis) in parts.items()
        },
    }


def refuse_unknown_axis(by: str) -> None:
    """Refuse a name that no axis of the audit has.

    Raises
    ------
    ConfigError
        If it is unknown; the message lists the axes.
    """
    known = [axis.name for axis in (*axes_within(()), *axes_between())]
    check_known(by, known, "axis", "--mitigate")


def _measured(rows: Rows, remedy: Remedy, threshold: float, resample: Resample) -> dict[str, Any]:
    names = sorted(set(rows.names), key=lambda name: (GROUP_ORDER.get(name, -1), name))
    large = [name for name in names if _enough(rows, rows.in_group(name))]
    if not large:
        return {"note": f"no group has {FEW} patients with a positive and {FEW} with a negative"}
    before = rows.scores, rows.scores >= threshold
    after = _remedied(rows, remedy, threshold)
    everyone = np.ones(len(rows.names), bool)
    groups = [
        {"group": name, **_effect(rows, chosen, before, after, resample)}
        if name in (*large, "all")
        else {"group": name, **_counts(rows, chosen), "note": "too few: treated like the whole"}
        for name, chosen in (
            ("all", everyone),
            *((name, rows.in_group(name)) for name in names),
        )
    ]
    spread = _spread(rows, [rows.in_group(name) for name in large], before, after, resample)
    return {"groups": groups, "spread": spread}


def _remedied(rows: Rows, remedy: Remedy, threshold: float) -> tuple[_Float, _Bool]:
    """Give scores and decisions of every row, from fits without its patient's fold.

    A group with too few patients outside the fold is treated like the whole.
    """
    folds = patient_folds(rows.patients)
    scores, called = rows.scores.copy(), rows.scores >= threshold
    for fold in np.unique(folds):
        seen, held = folds != fold, folds == fold
        if len(set(rows.labels[seen].tolist())) < 2:
            continue
        for name in sorted(set(rows.names)):
            member = rows.in_group(name)
            own = seen & member if _enough(rows, seen & member) else seen
            here = held & member
            if remedy is Remedy.THRESHOLDS:
                specificity = float(np.mean(rows.scores[seen & ~rows.labels] < threshold))
                group_threshold = _threshold_at(rows, own, specificity, threshold)
                called[here] = rows.scores[here] >= group_threshold
                continue
            if remedy is Remedy.REWEIGHT:
                line = _line(rows.labels[seen], rows.scores[seen], _balance(rows.where(seen)))
            else:
                line = _line(rows.labels[own], rows.scores[own], np.ones(own.sum()))
            scores[here] = sigmoid(line[0] + line[1] * log_odds(rows.scores[here]))
            called[here] = scores[here] >= threshold
    return scores, called


def _threshold_at(rows: Rows, chosen: _Bool, specificity: float, threshold: float) -> float:
    """Give the threshold of a specificity; that of the card if the specificity is 0 or 1."""
    if not 0.0 < specificity < 1.0:
        return threshold
    return threshold_at_specificity(rows.labels[chosen], rows.scores[chosen], specificity)


def _balance(rows: Rows) -> _Float:
    """Give weights of mean 1 with the same sum for every class of every group."""
    keys = list(zip(rows.names, rows.labels.tolist(), strict=True))
    weights = np.array([1.0 / keys.count(key) for key in keys])
    balanced: _Float = weights / weights.mean()
    return balanced


def _line(labels: _Bool, scores: _Float, weights: _Float) -> tuple[float, float]:
    """Give intercept and slope of a logistic fit on log-odds, with a penalty towards 0 and 1."""
    odds = log_odds(scores)
    design = np.column_stack([np.ones(labels.size), odds])
    ridge = _RIDGE / weights.sum()
    fits = fit_logistic(design, labels, weights[None], offsets=odds, ridge=ridge)
    intercept, stretch = fits.coefficients[0]
    return float(intercept), 1.0 + float(stretch)


def _effect(
    rows: Rows, chosen: _Bool, before: _Decided, after: _Decided, resample: Resample
) -> dict[str, Any]:
    part = rows.where(chosen)
    first, second = (
        _statistics(part, scores[chosen], called[chosen]) for scores, called in (before, after)
    )
    return {**_counts(rows, chosen), **_compared(part, first, second, resample)}


def _spread(
    rows: Rows,
    groups: Sequence[_Bool],
    before: _Decided,
    after: _Decided,
    resample: Resample,
) -> dict[str, Any]:
    """Compare the highest minus the lowest sensitivity and specificity of the large groups."""

    def spreads(called: _Bool) -> dict[str, Statistic]:
        return {
            name: _range_of(binary_statistic(metric, rows.labels, called), groups)
            for name, metric in (("sensitivity", "recall"), ("specificity", "specificity"))
        }

    return _compared(rows, spreads(before[1]), spreads(after[1]), resample)


def _range_of(statistic: Statistic, groups: Sequence[_Bool]) -> Statistic:
    def spread(weights: _Float) -> _Float:
        found: _Float = np.ptp([statistic(weights * member) for member in groups], axis=0)
        return found

    return spread


def _compared(
    rows: Rows, first: dict[str, Statistic], second: dict[str, Statistic], resample: Resample
) -> dict[str, Any]:
    """Give name → ``before``, ``after`` and ``change``."""

    def change(name: str) -> Statistic:
        return lambda weights: second[name](weights) - first[name](weights)

    statistics: dict[str, Statistic] = {}
    for name, before in first.items():
        statistics |= {f"{name}/before": before, f"{name}/after": second[name]}
        statistics[f"{name}/change"] = change(name)
    return resample(statistics, rows.labels, rows.patients)


def _statistics(rows: Rows, scores: _Float, called: _Bool) -> dict[str, Statistic]:
    return {
        **statistics_of(replace(rows, scores=scores), {}),
        "sensitivity": binary_statistic("recall", rows.labels, called),
        "specificity": binary_statistic("specificity", rows.labels, called),
    }


def _counts(rows: Rows, chosen: _Bool) -> dict[str, int]:
    return {"n": int(chosen.sum()), "n_positive": int(rows.labels[chosen].sum())}


def _enough(rows: Rows, chosen: _Bool) -> bool:
    part = rows.where(chosen)
    return min(part.n_patients(True), part.n_patients(False)) >= FEW
