"""Figures of decisions, computed from a confusion matrix: sensitivity, specificity, F1, MCC.

A figure whose denominator is zero is unknown (``None`` or NaN), never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import Statistic, Statistics
from mammolens.metrics.checks import (
    BoolArray,
    FloatArray,
    IntArray,
    check_fraction,
    check_labels,
)
from mammolens.metrics.probability import shares
from mammolens.spelling import check_known

__all__ = [
    "BINARY_METRICS",
    "Confusion",
    "binary_statistic",
    "confusion",
    "confusion_matrix",
    "decision_statistics",
]


class Confusion(NamedTuple):
    """Numbers of rows by truth and decision: arrays of shape (), or (draws,) in a bootstrap."""

    true_positive: FloatArray
    false_positive: FloatArray
    true_negative: FloatArray
    false_negative: FloatArray


def confusion(labels: npt.ArrayLike, decisions: npt.ArrayLike) -> Confusion:
    """Count the rows by truth and decision, both (n,), bool or 0/1.

    Raises
    ------
    InvalidManifest
        If lengths differ or a value is unknown.

    Examples
    --------
    >>> [int(count) for count in confusion([1, 1, 0, 0], [1, 0, 0, 0])]
    [1, 0, 2, 1]
    """
    truth, called = _check_decisions(labels, decisions)
    return _weighted_confusion(truth, called, np.ones(truth.size))


def binary_statistic(name: str, labels: npt.ArrayLike, decisions: npt.ArrayLike) -> Statistic:
    """Give one figure of `BINARY_METRICS` as a function of row weights, for the bootstrap.

    Raises
    ------
    ConfigError
        If `name` is not a figure of `BINARY_METRICS`.
    InvalidManifest
        As `confusion`.
    """
    check_known(name, BINARY_METRICS, "figure", "name")
    formula = BINARY_METRICS[name]
    truth, called = _check_decisions(labels, decisions)
    return lambda weights: formula(_weighted_confusion(truth, called, weights))


def decision_statistics(
    labels: npt.ArrayLike, decisions: npt.ArrayLike, prevalence: float = 0.005
) -> Statistics:
    """Give every figure of `BINARY_METRICS`, and recall rate, PPV and NPV at a given prevalence.

    ``recall_rate``, ``ppv`` and ``npv`` are those of a population with that share of positives.
    `precision` and the share of rows that are called positive are those of these rows only.

    Raises
    ------
    InvalidManifest
        As `confusion`.
    ConfigError
        If `prevalence` is not between 0 and 1.

    Examples
    --------
    >>> found = decision_statistics([1, 1, 0, 0], [1, 0, 0, 0], 0.5)(np.ones((1, 4)))
    >>> {name: round(float(found[name][0]), 3) for name in ("recall_rate", "ppv", "npv")}
    {'recall_rate': 0.25, 'ppv': 1.0, 'npv': 0.667}
    """
    truth, called = _check_decisions(labels, decisions)
    check_fraction(prevalence, "prevalence")

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        counts = _weighted_confusion(truth, called, weights)
        return {
            **{name: formula(counts) for name, formula in BINARY_METRICS.items()},
            **_restated(_recall(counts), _specificity(counts), prevalence),
        }

    return statistics


def confusion_matrix(truth: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> IntArray:
    """Count pairs of class indices: entry (i, j) is the number of rows of class i called class j.

    Parameters
    ----------
    truth, predicted
        (n,), integers in 0 … `n_classes` − 1.
    n_classes
        2 for a decision; 3 for normal, benign, malignant.

    Raises
    ------
    InvalidManifest
        If lengths differ or an index is outside.

    Examples
    --------
    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 2, 1], 3).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    rows, columns = np.asarray(truth), np.asarray(predicted)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise InvalidManifest(f"truth {rows.shape} and prediction {columns.shape} do not pair")
    for indices in (rows, columns):
        if indices.size and (
            indices.dtype.kind not in "biu" or indices.min() < 0 or indices.max() >= n_classes
        ):
            raise InvalidManifest(
                f"a class is not a whole number from 0 to {n_classes - 1}",
                remedy="Leave rows without a known class out",
            )
    flat = rows.astype(np.int64) * n_classes + columns.astype(np.int64)
    return np.bincount(flat, minlength=n_classes**2).reshape(n_classes, n_classes)


def _check_decisions(
    labels: npt.ArrayLike, decisions: npt.ArrayLike
) -> tuple[BoolArray, BoolArray]:
    truth, called = check_labels(labels), check_labels(decisions)
    if truth.size != called.size:
        raise InvalidManifest(f"{truth.size} labels but {called.size} decisions")
    return truth, called


def _weighted_confusion(truth: BoolArray, called: BoolArray, weights: FloatArray) -> Confusion:
    cells = (truth & called, ~truth & called, ~truth & ~called, truth & ~called)
    counts = weights @ np.stack(cells, axis=1).astype(np.float64)
    return Confusion(*(np.array(count) for count in counts.T))


def _restated(
    sensitivity: FloatArray, specificity: FloatArray, prevalence: float
) -> dict[str, FloatArray]:
    caught, rest = sensitivity * prevalence, 1.0 - prevalence
    recalled = caught + (1.0 - specificity) * rest
    return {
        "recall_rate": recalled,
        "ppv": shares(caught, recalled),
        "npv": shares(specificity * rest, 1.0 - recalled),
    }


def _accuracy(c: Confusion) -> FloatArray:
    right = c.true_positive + c.true_negative
    return shares(right, right + c.false_positive + c.false_negative)


def _precision(c: Confusion) -> FloatArray:
    return shares(c.true_positive, c.true_positive + c.false_positive)


def _recall(c: Confusion) -> FloatArray:
    return shares(c.true_positive, c.true_positive + c.false_negative)


def _specificity(c: Confusion) -> FloatArray:
    return shares(c.true_negative, c.true_negative + c.false_positive)


def _f1(c: Confusion) -> FloatArray:
    return shares(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative)


def _balanced_accuracy(c: Confusion) -> FloatArray:
    return (_recall(c) + _specificity(c)) / 2


def _mcc(c: Confusion) -> FloatArray:
    margins = (
        np.sqrt(c.true_positive + c.false_positive)
        * np.sqrt(c.true_positive + c.false_negative)
        * np.sqrt(c.true_negative + c.false_positive)
        * np.sqrt(c.true_negative + c.false_negative)
    )
    return shares(c.true_positive * c.true_negative - c.false_positive * c.false_negative, margins)


BINARY_METRICS: dict[str, Callable[[Confusion], FloatArray]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}
"""Name → formula over a `Confusion`; recall is sensitivity, precision is PPV."""
