"""The effect of a covariate, such as the patient's age, in addition to calibrated log-odds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import Interval, patient_bootstraps
from mammolens.metrics.checks import FloatArray
from mammolens.metrics.probability import fit_logistic

__all__ = ["added_log_odds"]

_RIDGE = 1e-6
"""Weight of the penalty. It is so small that it only keeps the intercept of a group with one class
finite."""


def added_log_odds(
    labels: npt.ArrayLike,
    log_odds: npt.ArrayLike,
    values: npt.ArrayLike,
    groups: Sequence[Hashable],
    patients: npt.ArrayLike,
    *,
    draws: int = 500,
    seed: int = 0,
) -> Interval | None:
    """Give the slope of a covariate in a logistic regression in which log-odds are an offset.

    Every group has its own intercept, so that a covariate that only separates the groups gets no
    slope. The interval comes from resampling patients. A resample whose slope cannot be estimated
    is drawn again and counted.

    Parameters
    ----------
    labels
        (n,), bool.
    log_odds
        (n,), log-odds of the model; they are the offset.
    values
        (n,), the covariate; the slope is per unit of it.
    groups, patients
        n each: the data set and the patient of each row.

    Returns
    -------
    The slope in log-odds per unit; ``None`` if it cannot be estimated, because the fit does not
    converge (the covariate separates the classes, for example).

    Raises
    ------
    InvalidManifest
        If lengths differ, a value is not finite, or all labels are equal.

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

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        fits = fit_logistic(design, known, weights, offsets=offsets, ridge=_RIDGE)
        return {"slope": np.where(fits.converged, fits.coefficients[:, 0], np.nan)}

    return patient_bootstraps(statistics, known > 0, patients, draws=draws, seed=seed)["slope"]
