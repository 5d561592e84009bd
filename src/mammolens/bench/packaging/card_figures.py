"""The figures of a model card, computed exactly as `mammolens evaluate` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from mammolens.bench.units import (
    TASKS,
    UNITS,
    ImageResult,
    figures,
    operating_figures,
    units_of,
)
from mammolens.core import InputKind
from mammolens.metrics import threshold_at_sensitivity, threshold_at_specificity
from mammolens.model import Estimate, OperatingPoint, OperatingPoints, ValidationFigure

__all__ = ["ALL_DATASETS", "fix_operating_points", "validation_figures"]

ALL_DATASETS: Final = "all"


def fix_operating_points(
    results: Sequence[ImageResult],
    *,
    fixed_on: str,
    kind: InputKind = InputKind.BREAST,
    sensitivity: float = 0.95,
    specificity: float = 0.90,
    draws: int = 2000,
    seed: int = 0,
) -> OperatingPoints:
    """Fix the two thresholds on P(malignant) that part low, intermediate and high.

    Where one threshold reaches both goals, so that the order is reversed, the lower of the two is
    `low` and the higher is `high`: each then reaches its goal with more to spare.

    Parameters
    ----------
    results
        Scored validation images.
    fixed_on
        What they are, in words.
    kind
        What an image shows: where a breast, patients are counted, where a lesion, images are.
    sensitivity, specificity
        Goals of `low` and of `high`.
    draws, seed
        Of the bootstrap over patients.

    Raises
    ------
    InvalidManifest
        If the labels of the units are of one class.
    """
    of_lesions = kind is InputKind.LESION
    unit = "image" if of_lesions else "patient"
    units = [one for one in units_of(results, "malignancy", unit) if one.scores]
    labels = [one.label for one in units]
    scores = [one.scores.malignant for one in units if one.scores]
    low, high = sorted(
        (
            threshold_at_sensitivity(labels, scores, sensitivity),
            threshold_at_specificity(labels, scores, specificity),
        )
    )
    found = [
        OperatingPoint(
            threshold=min(threshold, 1.0),
            sensitivity=_estimate(measured["sensitivity"]),
            specificity=_estimate(measured["specificity"]),
            n=len(units),
            n_positive=sum(labels),
            unit="lesion" if of_lesions else "exam",
        )
        for threshold in (low, high)
        for measured in [operating_figures(results, threshold, unit=unit, draws=draws, seed=seed)]
    ]
    return OperatingPoints(low=found[0], high=found[1], fixed_on=fixed_on)


def validation_figures(
    results: Sequence[ImageResult],
    *,
    kind: InputKind = InputKind.BREAST,
    split: str = "validation",
    draws: int = 2000,
    seed: int = 0,
) -> tuple[ValidationFigure, ...]:
    """Give the card's figures: every data set, task and unit that has a label.

    Of lesions there is one task, malignancy, and one unit, the lesion.

    With several data sets a last group, `ALL_DATASETS`, pools them.

    Parameters
    ----------
    results
        Scored images.
    kind
        What an image shows.
    split
        What they are: validation, test or external.
    draws, seed
        Of the bootstrap over patients.
    """
    names = sorted({one.record.dataset for one in results})
    groups = {name: [one for one in results if one.record.dataset == name] for name in names}
    if len(groups) > 1:
        groups[ALL_DATASETS] = list(results)
    if kind is InputKind.LESION:
        return tuple(
            _figure(name, split, "malignancy", "lesion", measured["malignancy"]["image"])
            for name, members in groups.items()
            for measured in [figures(members, draws=draws, seed=seed)]
        )
    found = []
    for name, members in groups.items():
        measured = figures(members, draws=draws, seed=seed)
        found += [
            _figure(name, split, task, unit, measured[task][unit])
            for task in TASKS
            for unit in UNITS
            if measured[task][unit]["n"]
        ]
    return tuple(found)


def _figure(
    dataset: str,
    split: str,
    task: Literal["malignancy", "tumour"],
    unit: Literal["image", "breast", "patient", "lesion"],
    measured: dict[str, Any],
) -> ValidationFigure:
    auc = measured["auc"]
    return ValidationFigure(
        dataset=dataset,
        split=split,
        task=task,
        unit=unit,
        auc=None if auc is None or auc["low"] is None else _estimate(auc),
        n=measured["n"],
        n_positive=measured["n_positive"],
    )


def _estimate(measured: dict[str, float | None]) -> Estimate:
    """A card's interval holds the value; where resamples give none, it holds everything.

    On thin data a percentile interval may lie beside the value.
    """
    value, low, high = (measured[key] for key in ("value", "low", "high"))
    assert value is not None
    return Estimate(
        value=value,
        low=0.0 if low is None else min(low, value),
        high=1.0 if high is None else max(high, value),
    )
