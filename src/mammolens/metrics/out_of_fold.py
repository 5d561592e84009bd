"""Cross-fitted scores: each row is scored by a logistic regression without its patient's rows.

It measures what a few features reveal, such as the source of a picture from its header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mammolens.metrics.checks import BoolArray, FloatArray, IntArray
from mammolens.metrics.probability import fit_logistic

__all__ = ["out_of_fold", "patient_folds"]

_FOLDS = 5
_RIDGE, _INTERCEPT_RIDGE = 1.0, 1e-3
"""The penalty on the intercept is small, because the intercept follows the share of positives."""


def patient_folds(patients: Sequence[str]) -> IntArray:
    """Assign patients to five folds in the order of a hash; the order of rows does not matter.

    Returns
    -------
    The fold of each row, (n,).
    """
    order = sorted(set(patients), key=lambda patient: hashlib.sha256(patient.encode()).digest())
    fold = {patient: index % _FOLDS for index, patient in enumerate(order)}
    return np.array([fold[patient] for patient in patients], np.int64)


def out_of_fold(values: FloatArray, labels: BoolArray, folds: IntArray) -> FloatArray:
    """Give log-odds (n,) of each row from a fit without its patient's fold.

    Parameters
    ----------
    values
        (n, d), features.
    labels, folds
        (n,), see `patient_folds`.
    """
    scores = np.zeros(len(labels))
    for fold in range(_FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            centre, spread = values[~held].mean(0), np.maximum(values[~held].std(0), 1e-6)
            design = _design((values - centre) / spread)
            scores[held] = design[held] @ _coefficients(design[~held], labels[~held])
    return scores


def _design(values: FloatArray) -> FloatArray:
    """Give ones, the standardised features and their squares; both extremes may be informative."""
    bounded = np.clip(values, -5, 5)
    return np.hstack([np.ones((len(values), 1)), bounded, bounded**2])


def _coefficients(design: FloatArray, labels: BoolArray) -> FloatArray:
    rows, width = design.shape
    ridge = np.r_[_INTERCEPT_RIDGE, np.full(width - 1, _RIDGE)] / rows
    fits = fit_logistic(design, labels, np.ones((1, rows)), ridge=ridge)
    return np.asarray(fits.coefficients[0], np.float64)
