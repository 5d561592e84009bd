"""The calibration of a package: logits of validation images → probabilities; age is optional."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.data.manifest import Record
from mammolens.metrics import added_log_odds, fit_temperature, log_odds, softmax
from mammolens.model import AgePrior, is_usable_age, shift_odds

__all__ = ["Fit", "calibrate", "calibrated"]

_NEVER = -50.0
"""Bias of a class that is never the answer: its probability is multiplied by e^-50."""
_LEAST_SHARE = 1e-9
"""Smallest prior of the class normal, which must not be 0."""
_LEAST_IMAGES = 200
"""Fewest images with a known age for the use of age. Chosen by hand; not tuned."""
_Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Temperature and bias of the logits, the resulting class shares, and the effect of age."""

    temperature: float = 1.0
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    prior: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    age: AgePrior | None = None


def calibrate(logits: npt.ArrayLike, records: Sequence[Record], *, fitted_on: str) -> Fit:
    """Fit a temperature and the malignant intercept that gives the right mean, then the age slope.

    If no label allows normal, as with marked lesions, normal is not a possible answer. Age is used
    only if enough images have one, its slope can be estimated, and the slope's whole interval is
    above 0.

    Parameters
    ----------
    logits
        (n, 3), of the images of `records`.
    fitted_on
        Description of these images, for the card.
    """
    values = np.asarray(logits, np.float64)
    allowed = np.array([record.allowed for record in records])
    normal = 0.0 if allowed[:, 0].any() else _NEVER
    values = values if normal == 0.0 else values - np.array((1e3, 0.0, 0.0))
    known = np.array([record.malignant is not None for record in records])
    share = float(np.mean([bool(r.malignant) for r in records if r.malignant is not None]))
    shifted, bias, temperature = values.copy(), 0.0, 1.0
    for _ in range(8):
        temperature = fit_temperature(shifted, allowed)
        low, high = -5.0, 5.0
        for _ in range(40):
            bias = (low + high) / 2
            mean = softmax(values[known] / temperature + np.array((0.0, 0.0, bias)))[:, 2].mean()
            low, high = (bias, high) if mean < share else (low, bias)
        shifted = values + np.array((0.0, 0.0, bias * temperature))
    probabilities = softmax(values / temperature + np.array((0.0, 0.0, bias)))
    prior = probabilities.mean(0)
    prior[0] = max(prior[0], _LEAST_SHARE)
    prior[2] = share
    prior[:2] *= (1.0 - share) / prior[:2].sum()
    return Fit(
        temperature,
        (normal, 0.0, bias),
        (float(prior[0]), float(prior[1]), float(prior[2])),
        _age_prior(probabilities, records, share, fitted_on),
    )


def calibrated(logits: npt.ArrayLike, records: Sequence[Record], fit: Fit) -> _Float:
    """Give the probabilities (n, 3) of the images of `records`, with the effect of age."""
    values = np.asarray(logits, np.float64)
    return _aged(softmax(values / fit.temperature + np.array(fit.bias)), records, fit.age)


def _age_prior(
    probabilities: _Float, records: Sequence[Record], share: float, fitted_on: str
) -> AgePrior | None:
    """Fit the slope of age, given the pictures' log-odds, within data sets.

    At the age ``centre_years`` the probability does not change. It is chosen so that the mean
    probability stays as it is.
    """
    rows = [
        row
        for row, record in enumerate(records)
        if record.malignant is not None and is_usable_age(record.age_years)
    ]
    if len(rows) < _LEAST_IMAGES:
        return None
    ages = np.array([records[row].age_years for row in rows], np.float64)
    slope = added_log_odds(
        [bool(records[row].malignant) for row in rows],
        log_odds(probabilities[rows, 2]),
        ages / 10.0,
        [records[row].dataset for row in rows],
        [records[row].patient_name for row in rows],
    )
    if slope is None or slope.low is None or slope.high is None or slope.low <= 0.0:
        return None
    youngest, oldest = (float(edge) for edge in np.quantile(ages, (0.01, 0.99)))
    labelled = [row for row, record in enumerate(records) if record.malignant is not None]

    def centred(centre: float) -> AgePrior:
        return AgePrior(
            log_odds_per_decade=slope.value,
            low=slope.low,
            high=slope.high,
            centre_years=centre,
            youngest_years=youngest,
            oldest_years=oldest,
            fitted_on=fitted_on,
            n=len(rows),
        )

    low, high = youngest, oldest
    for _ in range(40):
        middle = (low + high) / 2
        aged = _aged(probabilities[labelled], [records[row] for row in labelled], centred(middle))
        low, high = (middle, high) if aged[:, 2].mean() > share else (low, middle)
    return centred((low + high) / 2)


def _aged(probabilities: _Float, records: Sequence[Record], age: AgePrior | None) -> _Float:
    if age is None:
        return probabilities
    return shift_odds(probabilities, [age.log_odds(r.age_years) or 0.0 for r in records])
