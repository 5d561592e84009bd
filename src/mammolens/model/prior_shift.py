"""Prior shift: convert calibrated probabilities to a population with other class frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError

__all__ = ["prior_at", "restate", "shift_odds"]


def prior_at(prior: Sequence[float], prevalence: float) -> tuple[float, float, float]:
    """Change the share of malignant cases and keep the ratio of normal to benign cases.

    Parameters
    ----------
    prior
        Shares of normal, benign, malignant.
    prevalence
        The new share of malignant cases, above 0 and below 1.

    Raises
    ------
    ConfigError
        If a share is not between 0 and 1, or `prior` does not sum to 1.

    Examples
    --------
    >>> prior_at((0.6, 0.2, 0.2), 0.6)
    (0.3, 0.1, 0.6)
    """
    normal, benign, _ = _checked_prior(prior)
    if not (math.isfinite(prevalence) and 0 < prevalence < 1):
        raise ConfigError(
            f"a prevalence of {prevalence} is impossible",
            keyword="prevalence",
            remedy="Give a share above 0 and below 1, such as 0.005 for screening",
        )
    rest = (1.0 - prevalence) / (normal + benign)
    return normal * rest, benign * rest, prevalence


def restate(
    probabilities: npt.ArrayLike, prior_from: Sequence[float], prior_to: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Convert class probabilities to other class frequencies (prior shift).

    Each probability is multiplied by the ratio of new to old prior, and the results are divided by
    their sum. This is exact if the classes look the same and only their frequencies differ. The
    order of cases by P(malignant) can change with the ratio of normal to benign. The thresholds of
    a card are valid at the card's own prior only. So decide first, and restate afterwards.

    Parameters
    ----------
    probabilities
        (..., 3), normal / benign / malignant, each row summing to 1.
    prior_from, prior_to
        Shares of normal, benign, malignant: those that the probabilities are calibrated to, and
        the new ones.

    Returns
    -------
    Float64 of the same shape, each row summing to 1.

    Raises
    ------
    ConfigError
        If a prior is not a distribution over the classes, or the probabilities have another shape
        or do not sum to 1.

    Source
    ------
    Saerens, Latinne, Decaestecker 2002, doi 10.1162/089976602753284446, equation 2.4.

    Examples
    --------
    >>> restate([0.5, 0.25, 0.25], (0.5, 0.25, 0.25), (0.8, 0.1, 0.1)).round(3).tolist()
    [0.8, 0.1, 0.1]
    """
    shares = np.asarray(probabilities, np.float64)
    proper = (
        shares.ndim >= 1 and shares.shape[-1] == 3 and bool(np.all((shares >= 0) & (shares <= 1)))
    )
    if not proper or not np.allclose(shares.sum(-1), 1.0, atol=1e-4):
        raise ConfigError(
            f"these are not probabilities of three classes: shape {shares.shape}",
            keyword="probabilities",
            remedy="Give shares of normal, benign and malignant that sum to 1",
        )
    ratio = np.array(_checked_prior(prior_to)) / np.array(_checked_prior(prior_from))
    shifted = shares * ratio
    restated: npt.NDArray[np.float64] = shifted / shifted.sum(-1, keepdims=True)
    return restated


def shift_odds(probabilities: npt.ArrayLike, log_odds: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Add a number to the log-odds of malignancy; the ratio of normal to benign does not change.

    Parameters
    ----------
    probabilities
        (..., 3), normal / benign / malignant, each row summing to 1.
    log_odds
        (...), added to the natural logarithm of the odds of malignant.

    Returns
    -------
    Float64 (..., 3), each row summing to 1.

    Examples
    --------
    >>> shift_odds([0.4, 0.4, 0.2], np.log(4.0)).round(3).tolist()
    [0.25, 0.25, 0.5]
    """
    shifted = np.array(probabilities, np.float64)
    shifted[..., 2] *= np.exp(log_odds)
    shares: npt.NDArray[np.float64] = shifted / shifted.sum(-1, keepdims=True)
    return shares


def _checked_prior(prior: Sequence[float]) -> tuple[float, float, float]:
    possible = len(prior) == 3 and all(math.isfinite(p) and 0 < p < 1 for p in prior)
    if not possible or abs(sum(prior) - 1.0) > 1e-6:
        raise ConfigError(
            f"{tuple(prior)} is not a prior of normal, benign and malignant",
            keyword="prior",
            remedy="Give three shares above 0 that sum to 1",
        )
    return prior[0], prior[1], prior[2]
