"""What one more thing known of a patient adds to calibrated log-odds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import Interval, patient_bootstrap
from mammolens.metrics.checks import FloatArray
from mammolens.metrics.probability import fit_logistic

__all__ = ["added_log_odds"]

_RIDGE = 1e-6
"""It only keeps the intercepts of groups of one class from running away."""


def added_log_odds(
    labels: npt.ArrayLike,
    log_odds: npt.ArrayLike,
    values: npt.ArrayLike,
    groups: Sequence[Hashable],
    patients: npt.ArrayLike,
    *,
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """Slope of a covariate in a logistic regression beside log-odds that keep their weight of 1.

    Every group has an intercept of its own, so that a covariate that merely tells groups apart
    gets no credit. The interval resamples patients.

    Parameters
    ----------
    labels
        (n,), bool.
    log_odds
        (n,), of the model; they enter as an offset.
    values
        (n,), the covariate, in the unit in which the slope is wanted.
    groups, patients
        n each: data set of a row, and whose row it is.

    Raises
    ------
    InvalidManifest
        If lengths differ, something is not finite, or labels are of one class.

    Examples
    --------
    >>> ages = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    >>> labels, patients = [0, 0, 1, 0, 1, 1], list("abcdef")
    >>> slope = added_log_odds(labels, [0.0] * 6, ages, ["x"] * 6, patients, draws=10)
    >>> round(slope.value, 3)  # odds of 1:2 become 2:1
    1.386
    """
    known = np.asarray(labels, np.float64)
    offsets, along = np.asarray(log_odds, np.float64), np.asarray(values, np.float64)
    shapes = {known.shape, offsets.shape, along.shape, (len(groups),), np.shape(patients)}
    if len(shapes) > 1 or not np.isfinite(np.concatenate([known, offsets, along])).all():
        raise InvalidManifest("labels, log-odds, values and groups do not pair, or are not finite")
    if len(set(known.tolist())) < 2:
        raise InvalidManifest("all labels are alike: there is nothing to fit")
    names = sorted({str(group) for group in groups})
    member = np.array([[str(group) == name for name in names] for group in groups], np.float64)
    design = np.column_stack([along - along.mean(), member])

    def slope(weights: FloatArray) -> FloatArray:
        fits = fit_logistic(design, known, weights, offsets=offsets, ridge=_RIDGE)
        return fits.coefficients[:, 0]

    return patient_bootstrap(slope, known > 0, patients, draws=draws, seed=seed)
