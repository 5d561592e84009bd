"""What recalibration on other patients would improve, and answers that may say "unsure".

Both are fitted as `bench.evidence` says, and measured on patients that they were not fitted on. The
intervals resample those patients; the rules stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence, FittedElsewhere
from mammolens.bench.sections.figures import calibration_errors, quality_statistics
from mammolens.bench.units import intervals_json
from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    ConformalAnswer,
    Interval,
    Statistics,
    conformal_answers,
    fit_conformal,
    fit_isotonic,
    fit_temperature,
    log_odds,
    sigmoid,
)
from mammolens.metrics.checks import require_both_classes
from mammolens.metrics.probability import shares

__all__ = ["conformal", "recalibration"]

_Bool = npt.NDArray[np.bool_]
_Float = npt.NDArray[np.float64]
_Recalibrate = Callable[[_Float], _Float]

_PLAIN: Final = ("brier", "log_loss", "slope")


def recalibration(evidence: Evidence) -> dict[str, Any]:
    """Give unit → figures of P(malignant) before, and after each method with the difference.

    The methods are ``temperature`` (log-odds divided by one number) and ``isotonic`` (any rising
    function). A difference below 0 is a gain for every figure but the slope.
    """
    units = ("image",) if evidence.of_lesions else ("image", "patient")
    return {unit: _recalibrated(evidence, unit) for unit in units}


def conformal(evidence: Evidence) -> dict[str, Any]:
    """Give task → unit → coverage of each class and the share of units that are left unsure."""
    return {
        task: {unit: _answered(evidence, task, unit) for unit in evidence.decided_units}
        for task in evidence.tasks
    }


def _fit_temperature(labels: _Bool, values: _Float) -> _Recalibrate:
    require_both_classes(labels)
    odds = log_odds(values)
    allowed = np.stack([~labels, labels], axis=1)
    temperature = fit_temperature(np.stack([np.zeros(odds.size), odds], axis=1), allowed)
    return lambda others: sigmoid(log_odds(others) / temperature)


def _fit_isotonic(labels: _Bool, values: _Float) -> _Recalibrate:
    """A share of 0 or 1 among m rows is not a certainty: it is kept 1 / (m + 2) away from both."""
    found, edge = fit_isotonic(labels, values), 1 / (labels.size + 2)
    return lambda others: np.clip(found.apply(others), edge, 1 - edge)


_METHODS: Final = {"temperature": _fit_temperature, "isotonic": _fit_isotonic}


def _recalibrated(evidence: Evidence, unit: str) -> dict[str, Any]:
    sample = evidence.sample("malignancy", unit)
    counts = {name: sample.counts[name] for name in ("n", "n_positive", "n_patients")}
    if sample.one_class:
        return {**counts, "note": f"no recalibration: {sample.one_class}"}
    other = evidence.other_sample("malignancy", unit)
    try:
        fitted = {
            name: evidence.fit_elsewhere(sample, fit, lambda rule, values: rule(values), other)
            for name, fit in _METHODS.items()
        }
    except InvalidManifest as error:
        return {**counts, "note": f"no recalibration: {error.message}"}
    before = quality_statistics(sample.labels, sample.scores)
    after = {n: quality_statistics(sample.labels, one.values) for n, one in fitted.items()}

    def statistics(weights: _Float) -> dict[str, _Float]:
        plain = before(weights)
        found = {f"before/{figure}": values for figure, values in plain.items()}
        for name, quality in after.items():
            for figure, values in quality(weights).items():
                found[f"{name}/after/{figure}"] = values
                found[f"{name}/difference/{figure}"] = values - plain[figure]
        return found

    grouped: dict[str, dict[str, Interval | None]] = {}
    for key, interval in evidence.intervals(sample, statistics).items():
        place, _, figure = key.rpartition("/")
        grouped.setdefault(place, {})[figure] = interval
    written: dict[str, Any] = {"before": _written(grouped["before"])}
    for name in after:
        apart = grouped[f"{name}/difference"]
        written[name] = {
            "after": _written(grouped[f"{name}/after"]),
            "difference": intervals_json({k: v for k, v in apart.items() if k in (*_PLAIN, "ece")}),
        }
    return {"fitted_on": fitted["isotonic"].fitted_on, **counts, **written}


def _written(intervals: dict[str, Interval | None]) -> dict[str, Any]:
    found = intervals_json({k: one for k, one in intervals.items() if k in _PLAIN})
    errors = calibration_errors(intervals.get("ece"), intervals.get("squared_error"))
    return found | ({} if errors["ece"] is None else errors)


def _answered(evidence: Evidence, task: str, unit: str) -> dict[str, Any]:
    sample, coverage = evidence.sample(task, unit), evidence.settings.coverage
    found: dict[str, Any] = {
        "promised": coverage,
        **{name: sample.counts[name] for name in ("n", "n_positive", "n_patients")},
    }
    if sample.one_class:
        return {**found, "note": f"no answers: {sample.one_class}"}
    try:
        answers: FittedElsewhere[Any] = evidence.fit_elsewhere(
            sample,
            lambda labels, values: fit_conformal(labels, values, coverage),
            conformal_answers,
            evidence.other_sample(task, unit),
        )
    except InvalidManifest as error:
        return {**found, "note": f"no answers: {error.message}"}
    unsure = answers.values == ConformalAnswer.UNSURE.value
    called = answers.values == ConformalAnswer.POSITIVE.value
    intervals = evidence.intervals(sample, _coverage(sample.labels, unsure, called))
    return {"fixed_on": answers.fitted_on, **found, **intervals_json(intervals)}


def _coverage(labels: _Bool, unsure: _Bool, called: _Bool) -> Statistics:
    held = unsure | (labels == called)
    parts = np.stack([labels & held, labels, ~labels & held, ~labels, unsure], axis=1)

    def statistics(weights: _Float) -> dict[str, _Float]:
        covered, positives, cleared, negatives, left = (weights @ parts.astype(np.float64)).T
        return {
            "coverage_positive": shares(covered, positives),
            "coverage_negative": shares(cleared, negatives),
            "unsure": left / weights.sum(axis=1),
        }

    return statistics
