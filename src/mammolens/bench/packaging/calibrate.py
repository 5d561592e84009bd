"""Calibrate a package: fit how its logits become probabilities, and choose the level of findings.

A finding is made where the malignancy map reaches the level. `checked_level` counts how often such
findings hit marked lesions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.analysis import locate, score_pictures, score_prepared
from mammolens.bench.map_readings import box_holds
from mammolens.bench.packaging.card_figures import estimate_of
from mammolens.bench.units import interval_json
from mammolens.core import Finding
from mammolens.data.cache import PreparedCache, prepare_record
from mammolens.data.manifest import Record, Split
from mammolens.errors import InputError
from mammolens.learn.config import RunConfig, load_localisation
from mammolens.metrics import added_log_odds, fit_temperature, log_odds, patient_bootstrap, softmax
from mammolens.model import (
    AgePrior,
    FindingLevel,
    ModelPackage,
    RawOutput,
    is_usable_age,
    shift_odds,
)
from mammolens.preprocess import RegionConfig

__all__ = ["Fit", "calibrate", "calibrated", "checked_level", "finding_level", "score_cache"]

_NEVER = -50.0
"""Bias of a class that is never the answer: its probability is multiplied by e^-50."""
_LEAST_SHARE = 1e-9
"""Smallest prior of the class normal, which must not be 0."""
_LEAST_IMAGES = 200
"""Fewest images with a known age for the use of age. Chosen by hand; not tuned."""
_QUIET_SHARE = 0.8
"""Share of the images without malignancy that get no finding. Chosen by hand; not tuned."""
_QUIET_IMAGES = 250  # about so many of these images are scored, for speed
_BATCH = 16
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
    # 1e3 removes the class normal at every temperature that is tried: they are at most 20.
    values = values if normal == 0.0 else values - np.array((1e3, 0.0, 0.0))
    known = np.array([record.malignant is not None for record in records])
    share = float(np.mean([bool(r.malignant) for r in records if r.malignant is not None]))
    shifted, bias, temperature = values.copy(), 0.0, 1.0
    for _ in range(8):  # temperature and bias depend on each other, so they are fitted in turn
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
    prior[:2] *= (1.0 - share) / prior[:2].sum()  # the other two classes keep their ratio
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
    """Apply the effect of age to P(malignant); an unknown age changes nothing."""
    if age is None:
        return probabilities
    return shift_odds(probabilities, [age.log_odds(r.age_years) or 0.0 for r in records])


def score_cache(model: ModelPackage, cache: PreparedCache, rows: Sequence[int]) -> RawOutput:
    """Give the model's outputs for rows of a cache, in their order."""
    parts = [
        score_pictures(model, np.stack([cache.picture(row) for row in rows[i : i + _BATCH]]))
        for i in range(0, len(rows), _BATCH)
    ]
    names = ("logits", "probabilities", "malignancy_map", "tumour_map")
    return RawOutput(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def finding_level(model: ModelPackage, cache: PreparedCache) -> float:
    """Give the level that the maps of 80 % of the images without malignancy do not reach."""
    quiet = [i for i, record in enumerate(cache.records) if record.malignant is False]
    chosen = quiet[:: max(1, len(quiet) // _QUIET_IMAGES)]
    peaks = score_cache(model, cache, chosen).malignancy_map.max((1, 2))
    return max(float(np.quantile(peaks, _QUIET_SHARE)), 1e-6)


def checked_level(model: ModelPackage, level: float, config: RunConfig) -> FindingLevel:
    """Check a level: count findings on and off the marked lesions of the localisation tables.

    Where the maps were trained on marked lesions, only validation patients are used.
    """
    method = (
        f"{_QUIET_SHARE:.0%} of validation images without malignancy stay below it; "
        "a hit is a finding whose box holds the lesion's centre"
    )
    if isinstance(config.preprocess, RegionConfig):
        return FindingLevel(
            level=level,
            method=f"{_QUIET_SHARE:.0%} of benign validation lesions stay below it; it scales the "
            "tint, no finding is made",
        )
    marked = load_localisation(config)
    if marked is None:
        return FindingLevel(level=level, method=f"{method}; not checked on lesions")
    records = [
        record
        for record in marked.records
        if record.lesion_centre_px is not None
        and record.malignant
        and (record.split is Split.VALIDATION or config.train.map_weight == 0)
    ]
    if not records:
        return FindingLevel(level=level, method=f"{method}; no marked cancer is left to check it")
    hits: list[bool] = []
    groups: list[str] = []
    off = 0
    for record, findings in _located(model, records, level):
        on = [box_holds(finding.box_source_px, record.lesion_centre_px) for finding in findings]
        hits.append(any(on))
        groups.append(record.patient_name)
        off += len(on) - sum(on)
    found = np.array(hits, np.float64)
    rate = patient_bootstrap(lambda w: w @ found / w.sum(1), found > 0, groups)
    names = ", ".join(sorted({record.dataset for record in records}))
    return FindingLevel(
        level=level,
        method=f"{method}; checked on {len(hits)} malignant images of {names}, patients never "
        "learned from",
        hit_rate=estimate_of(interval_json(rate)),
        false_findings_per_image=off / len(hits),
    )


def _located(
    model: ModelPackage, records: Sequence[Record], level: float
) -> Iterator[tuple[Record, tuple[Finding, ...]]]:
    for record in records:
        try:
            view = prepare_record(record, model.card.preprocess)
        except InputError:
            yield record, ()
            continue
        yield record, locate(view, score_prepared(model, [view]).malignancy_map[0], level)
