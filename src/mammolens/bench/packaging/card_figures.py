"""The figures of a model card, computed exactly as `mammolens evaluate` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Final, cast

from mammolens.bench.units import (
    TASKS,
    UNITS,
    ImageResult,
    Sample,
    figures,
    resampled_json,
    units_of,
)
from mammolens.core import InputKind
from mammolens.metrics import (
    binary_statistic,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from mammolens.model import Estimate, OperatingPoint, OperatingPoints, ValidationFigure

__all__ = ["ALL_DATASETS", "estimate_of", "fix_operating_points", "validation_figures"]

ALL_DATASETS: Final = "all"

_LOW_SENSITIVITY: Final = 0.95
_HIGH_SPECIFICITY: Final = 0.90
"""Goals of the thresholds `low` and `high`, chosen by hand; not tuned."""


def fix_operating_points(
    results: Sequence[ImageResult],
    *,
    fixed_on: str,
    kind: InputKind = InputKind.BREAST,
    draws: int = 2000,
) -> OperatingPoints:
    """Fix the two thresholds on P(malignant) between low, intermediate and high.

    If the threshold of the first goal is above that of the second, the lower of the two becomes
    `low` and the higher `high`. Each then exceeds its goal.

    Parameters
    ----------
    fixed_on
        Description of these images, for the card.
    kind
        The content of an image: for breasts, patients are counted; for lesions, images.

    Raises
    ------
    InvalidManifest
        If the labels of the units are of one class.
    """
    of_lesions = kind is InputKind.LESION
    unit = "image" if of_lesions else "patient"
    sample = Sample.of(units_of(results, "malignancy", unit), "malignancy")
    labels, scores = sample.labels, sample.scores
    thresholds = (
        threshold_at_sensitivity(labels, scores, _LOW_SENSITIVITY),
        threshold_at_specificity(labels, scores, _HIGH_SPECIFICITY),
    )
    found = []
    for threshold in sorted(thresholds):
        called = scores >= threshold
        statistics = {n: binary_statistic(n, labels, called) for n in ("recall", "specificity")}
        measured = resampled_json(statistics, labels, sample.patients, draws=draws, seed=0)
        point = OperatingPoint(
            threshold=min(threshold, 1.0),  # one just above the highest score may exceed 1
            sensitivity=estimate_of(measured["recall"]),
            specificity=estimate_of(measured["specificity"]),
            n=len(labels),
            n_positive=int(labels.sum()),
            unit="lesion" if of_lesions else "exam",
        )
        found.append(point)
    return OperatingPoints(low=found[0], high=found[1], fixed_on=fixed_on)


def validation_figures(
    results: Sequence[ImageResult],
    *,
    kind: InputKind = InputKind.BREAST,
) -> tuple[ValidationFigure, ...]:
    """Give the card's figures: every data set, task and unit that has a label.

    Lesions have one task, malignancy, and one unit, the lesion. If there are several data sets, a
    last group, `ALL_DATASETS`, pools them.
    """
    names = sorted({one.record.dataset for one in results})
    groups = {name: [one for one in results if one.record.dataset == name] for name in names}
    if len(groups) > 1:
        groups[ALL_DATASETS] = list(results)
    of_lesions = kind is InputKind.LESION
    wanted = [("malignancy", "image")] if of_lesions else list(product(TASKS, UNITS))
    measured = {name: figures(members) for name, members in groups.items()}
    return tuple(
        _figure(name, task, "lesion" if of_lesions else unit, found[task][unit])
        for name, found in measured.items()
        for task, unit in wanted
        if of_lesions or found[task][unit]["n"]
    )


def _figure(dataset: str, task: str, unit: str, measured: dict[str, Any]) -> ValidationFigure:
    auc = measured["auc"]
    return ValidationFigure(
        dataset=dataset,
        task=cast(Any, task),
        unit=cast(Any, unit),
        auc=None if auc is None or auc["low"] is None else estimate_of(auc),
        n=measured["n"],
        n_positive=measured["n_positive"],
    )


def estimate_of(measured: dict[str, float | None]) -> Estimate:
    """Give a figure as a card states it: with an interval that includes the value.

    With few cases a percentile interval may not include the value, and is widened to it. Without
    an interval it is 0 to 1.
    """
    value, low, high = (measured[key] for key in ("value", "low", "high"))
    assert value is not None
    return Estimate(
        value=value,
        low=0.0 if low is None else min(low, value),
        high=1.0 if high is None else max(high, value),
    )
