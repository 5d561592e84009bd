"""What acting on a score comes to: net benefit, and the work that a triage would save.

Shares are restated at the prevalence that is asked for, because public sets hold far more cancers
than a screening population does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import (
    FloatArray,
    check_fraction,
    check_labels,
    check_probabilities,
    require_both_classes,
)
from mammolens.metrics.ranked import ranked_single_reading, ranked_statistic, ranked_worklist

__all__ = [
    "DecisionCurve",
    "decision_curve",
    "first_ranked_sensitivity",
    "net_benefit_statistic",
    "single_reading_share",
]


class DecisionCurve(NamedTuple):
    """Net benefit per woman at each threshold probability: by the model, of recalling all, and
    of recalling none (0); each array is (k,)."""

    thresholds: FloatArray
    model: FloatArray
    recall_all: FloatArray


def decision_curve(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, thresholds: npt.ArrayLike
) -> DecisionCurve:
    """Give net benefit = TP/n − FP/n · t/(1 − t) over threshold probabilities t.

    Parameters
    ----------
    labels, probabilities
        (n,); calibrated for the prevalence of these rows.
    thresholds
        (k,), each between 0 and 1.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_score`.
    ConfigError
        If a threshold does not lie between 0 and 1.

    Source
    ------
    Vickers and Elkin 2006, doi:10.1177/0272989X06295361.

    Examples
    --------
    >>> curve = decision_curve([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.9], [0.5])
    >>> curve.model.tolist(), curve.recall_all.tolist()
    ([0.0], [-0.5])
    """
    known, values = check_probabilities(labels, probabilities)
    levels = np.atleast_1d(np.asarray(thresholds, np.float64))
    whole = np.ones((1, known.size))
    model = [net_benefit_statistic(known, values, t)(whole)[0] for t in levels]
    rate = known.mean()
    return DecisionCurve(levels, np.array(model), rate - (1 - rate) * levels / (1 - levels))


def net_benefit_statistic(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float
) -> Statistic:
    """Give the net benefit at one threshold as a function of row weights, for the bootstrap."""
    known, values = check_probabilities(labels, probabilities)
    check_fraction(threshold, "threshold")
    called = values >= threshold
    gain = (known & called) - (~known & called) * threshold / (1 - threshold)
    return lambda weights: np.asarray((weights @ gain) / weights.sum(axis=1), np.float64)


def single_reading_share(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    sensitivity: float = 0.95,
    prevalence: float = 0.005,
) -> Statistic:
    """Share of exams that one reader could read alone while the other reads all the rest.

    The threshold is the highest that leaves `sensitivity` of the cancers above it, found anew in
    each resample; what lies below it is read once.

    Returns
    -------
    A function of row weights (m, n) → shares (m,), for `patient_bootstrap`.

    Examples
    --------
    >>> share = single_reading_share([0, 0, 0, 1, 1], [1, 2, 8, 5, 9], 0.95, 0.005)
    >>> round(float(share(np.ones((1, 5)))[0]), 3)
    0.663
    """
    check_fraction(sensitivity, "sensitivity")
    check_fraction(prevalence, "prevalence")
    return ranked_statistic(labels, scores, ranked_single_reading(sensitivity, prevalence))


def first_ranked_sensitivity(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    share: float = 0.1,
    prevalence: float = 0.005,
) -> Statistic:
    """Share of the cancers that lie in the first `share` of a worklist ranked by score.

    Within a tie the work is shared out evenly.

    Examples
    --------
    >>> found = first_ranked_sensitivity([0, 0, 0, 1], [1, 2, 3, 4], 0.1, 0.05)
    >>> float(found(np.ones((1, 4)))[0])
    1.0
    """
    require_both_classes(check_labels(labels))
    check_fraction(share, "share")
    check_fraction(prevalence, "prevalence")
    return ranked_statistic(labels, scores, ranked_worklist(share, prevalence))
