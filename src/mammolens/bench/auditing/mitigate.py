"""What a remedy for gaps would change: measured, never applied to a score that is given out.

Everything is cross-fitted over women: a fold's scores come from a fit that saw none of its women.
Changes are paired, with intervals over women; that of the fit itself is not in them. A remedy may
narrow one gap and widen another, and a rule that depends on a woman's group must be wanted, not
only measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.auditing.audit import Rows, rows_of
from mammolens.bench.auditing.groups import (
    GROUP_ORDER,
    Axis,
    axes_between,
    axes_within,
    group_units,
)
from mammolens.bench.settings import Remedy
from mammolens.bench.units import ImageResult, interval_json
from mammolens.data.shortcut_probes import patient_folds
from mammolens.errors import ConfigError
from mammolens.metrics import (
    Statistic,
    auc_statistic,
    binary_statistic,
    brier_statistic,
    patient_bootstraps,
    side_by_side,
    threshold_at_specificity,
)
from mammolens.metrics.bootstrap import FEW
from mammolens.model import ModelCard

__all__ = ["mitigation_section", "refuse_unknown_axis"]

_RIDGE = 1.0
_STEPS = 50
_Float = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]


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
    results
        Scored images.
    card
        The model's; its high threshold decides.
    remedy, by
        What is tried, and the axis of the audit on which.
    draws, seed
        Of the bootstrap over women.

    Returns
    -------
    ``remedy``, ``by``, ``what`` and ``parts``: data set → ``groups`` and ``spread``. Each group,
    and ``all``, has ``n``, ``n_positive`` and, for ``auc``, ``brier``, ``observed_over_expected``,
    ``sensitivity`` and ``specificity``, the figures ``before``, ``after`` and ``change``;
    ``spread`` is the highest minus the lowest of groups. A group of too few women is treated as
    the whole, and has no figures.

    Raises
    ------
    ConfigError
        If there is no such axis.
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
    return {
        "remedy": remedy.value,
        "by": by,
        "what": WORDS[remedy],
        "applied": False,
        "threshold": threshold,
        "parts": {
            name: _measured(rows_of(group_units(members, axis)), remedy, threshold, draws, seed)
            for name, (members, axis) in parts.items()
        },
    }


def refuse_unknown_axis(by: str) -> None:
    """Refuse a name that no axis of the audit has.

    Raises
    ------
    ConfigError
        Names the axes that there are.
    """
    known = [axis.name for axis in (*axes_within(()), *axes_between())]
    if by not in known:
        raise ConfigError(
            f"there is no axis called {by!r}",
            keyword="--mitigate",
            remedy=f"Use one of {', '.join(known)}",
        )


def _measured(
    rows: Rows, remedy: Remedy, threshold: float, draws: int, seed: int
) -> dict[str, Any]:
    names = sorted(set(rows.names), key=lambda name: (GROUP_ORDER.get(name, -1), name))
    large = [name for name in names if _enough(rows, rows.in_group(name))]
    if not large:
        return {"note": f"no group has {FEW} women with a positive and {FEW} with a negative"}
    before = rows.scores, rows.scores >= threshold
    after = _remedied(rows, remedy, threshold)
    everyone = np.ones(len(rows.names), bool)
    groups = [
        {"group": name, **_effect(rows, chosen, before, after, draws, seed)}
        if name in (*large, "all")
        else {"group": name, **_counts(rows, chosen), "note": "too few: treated as the whole"}
        for name, chosen in (
            ("all", everyone),
            *((name, rows.in_group(name)) for name in names),
        )
    ]
    spread = _spread(rows, [rows.in_group(name) for name in large], before, after, draws, seed)
    return {"groups": groups, "spread": spread}


def _remedied(rows: Rows, remedy: Remedy, threshold: float) -> tuple[_Float, _Bool]:
    """Scores and decisions of every row, from fits without its woman's fold."""
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
                wanted = float(np.mean(rows.scores[seen & ~rows.labels] < threshold))
                called[here] = rows.scores[here] >= _at(rows, own, wanted, threshold)
                continue
            if remedy is Remedy.REWEIGHT:
                line = _line(rows.labels[seen], rows.scores[seen], _balance(rows.select(seen)))
            else:
                line = _line(rows.labels[own], rows.scores[own], np.ones(own.sum()))
            scores[here] = _expit(line[0] + line[1] * _logit(rows.scores[here]))
            called[here] = scores[here] >= threshold
    return scores, called


def _at(rows: Rows, chosen: _Bool, specificity: float, threshold: float) -> float:
    """The threshold of a specificity; that of the card where it is none or all."""
    if not 0.0 < specificity < 1.0:
        return threshold
    return threshold_at_specificity(rows.labels[chosen], rows.scores[chosen], specificity)


def _balance(rows: Rows) -> _Float:
    """Weights of mean 1 that give every group and class in it the same sum."""
    keys = list(zip(rows.names, rows.labels.tolist(), strict=True))
    weights = np.array([1.0 / keys.count(key) for key in keys])
    balanced: _Float = weights / weights.mean()
    return balanced


def _line(labels: _Bool, scores: _Float, weights: _Float) -> tuple[float, float]:
    """Intercept and slope of a logistic fit on log-odds, drawn a little towards 0 and 1."""
    design = np.column_stack([np.ones(labels.size), _logit(scores)])
    found = start = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        fitted = _expit(design @ found)
        pull = design.T @ (weights * (labels - fitted)) - _RIDGE * (found - start)
        spread = (design * (weights * fitted * (1 - fitted))[:, None]).T @ design
        step = np.clip(np.linalg.solve(spread + _RIDGE * np.eye(2), pull), -1.0, 1.0)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def _effect(
    rows: Rows,
    chosen: _Bool,
    before: tuple[_Float, _Bool],
    after: tuple[_Float, _Bool],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    part = rows.select(chosen)
    first, second = (
        _statistics(part.labels, scores[chosen], called[chosen])
        for scores, called in (before, after)
    )
    return {**_counts(rows, chosen), **_compared(part, first, second, draws, seed)}


def _spread(
    rows: Rows,
    groups: Sequence[_Bool],
    before: tuple[_Float, _Bool],
    after: tuple[_Float, _Bool],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Highest minus lowest sensitivity and specificity of the groups that are large enough."""

    def spreads(called: _Bool) -> dict[str, Statistic]:
        return {
            name: _range_of(binary_statistic(metric, rows.labels, called), groups)
            for name, metric in (("sensitivity", "recall"), ("specificity", "specificity"))
        }

    return _compared(rows, spreads(before[1]), spreads(after[1]), draws, seed)


def _range_of(statistic: Statistic, groups: Sequence[_Bool]) -> Statistic:
    def spread(weights: _Float) -> _Float:
        found: _Float = np.ptp([statistic(weights * member) for member in groups], axis=0)
        return found

    return spread


def _compared(
    rows: Rows,
    first: dict[str, Statistic],
    second: dict[str, Statistic],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    def change(name: str) -> Statistic:
        return lambda weights: second[name](weights) - first[name](weights)

    found: dict[str, dict[str, Any]] = {}
    kinds = {"before": first, "after": second, "change": {name: change(name) for name in first}}
    for kind, statistics in kinds.items():
        intervals = patient_bootstraps(
            side_by_side(statistics), rows.labels, rows.patients, draws=draws, seed=seed
        )
        for name, one in intervals.items():
            found.setdefault(name, {})[kind] = interval_json(one) if one else None
    return found


def _statistics(labels: _Bool, scores: _Float, called: _Bool) -> dict[str, Statistic]:
    return {
        "auc": auc_statistic(labels, scores),
        "brier": brier_statistic(labels, scores),
        "observed_over_expected": lambda weights: (
            (weights @ labels.astype(np.float64)) / np.maximum(weights @ scores, 1e-12)
        ),
        "sensitivity": binary_statistic("recall", labels, called),
        "specificity": binary_statistic("specificity", labels, called),
    }


def _counts(rows: Rows, chosen: _Bool) -> dict[str, int]:
    return {"n": int(chosen.sum()), "n_positive": int(rows.labels[chosen].sum())}


def _enough(rows: Rows, chosen: _Bool) -> bool:
    part = rows.select(chosen)
    return min(part.women(True), part.women(False)) >= FEW


def _logit(values: _Float) -> _Float:
    clipped = np.clip(values, 1e-9, 1 - 1e-9)
    odds: _Float = np.log(clipped / (1 - clipped))
    return odds


def _expit(values: _Float) -> _Float:
    shares: _Float = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return shares
