"""The units of an evaluation (image, breast, patient), pooled from scored images.

Three rules decide what counts:

* A row with an unknown label is left out of the task: neither its label nor its score counts. A
  breast or a patient has only its labelled images (`n_partly_labelled` counts those with other
  images), and is positive if any of them is.
* An image that could not be read has no score. Its label still counts for its breast and
  patient, which are scored by their other images. A unit without a readable image is left out and
  counted in `n_unscored`; it is never counted as negative.
* A breast is one laterality of one patient of one data set. An image without laterality stands
  for itself: it might show either breast, so it is pooled with neither.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.analysis import pool_breast, pool_exam
from mammolens.bench.map_readings import MapReading
from mammolens.core import Caution, Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.metrics import (
    Interval,
    Statistic,
    auc_interval,
    patient_bootstraps,
    side_by_side,
)
from mammolens.model import AgePrior, shift_odds

__all__ = [
    "LABELS",
    "TASKS",
    "UNITS",
    "UNIT_PLURALS",
    "ImageResult",
    "Resample",
    "Sample",
    "Unit",
    "figures",
    "interval_json",
    "intervals_json",
    "resampled_json",
    "unit_key",
    "units_of",
    "without_age",
]

TASKS: Final = ("malignancy", "tumour")
UNITS: Final = ("image", "breast", "patient")
UNIT_PLURALS: Final = {"image": "images", "breast": "breasts", "patient": "patients"}

LABELS: Final[dict[str, Callable[[Record], bool | None]]] = {
    "malignancy": lambda record: record.malignant,
    "tumour": lambda record: record.tumour,
}
SCORES: Final[dict[str, Callable[[Scores], float]]] = {
    "malignancy": lambda scores: scores.malignant,
    "tumour": lambda scores: scores.tumour,
}


@dataclass(frozen=True)
class ImageResult:
    """One row of a manifest with its scores, or with the reason why there are none.

    `age_years` is the age that the scores use, from the table or the file. `breast_share` is the
    share (0–1) of the upright picture that the breast covers, `breast_mm2` its area if the pixel
    spacing is known. `marks` is the reading of its map, for a model of whole breasts.
    """

    record: Record
    scores: Scores | None
    unreadable: Unreadable | None = None
    cautions: tuple[Caution, ...] = ()
    age_years: float | None = None
    breast_share: float | None = None
    breast_mm2: float | None = None
    marks: MapReading | None = None

    def __post_init__(self) -> None:
        if (self.scores is None) == (self.unreadable is None):
            raise ValueError("an image has either scores or a reason why not")


@dataclass(frozen=True)
class Unit:
    """One image, breast or patient in one task; `scores` is ``None`` if nothing was readable.

    `records` are those of its images that the task labels.
    """

    patient: tuple[str, str]
    label: bool
    scores: Scores | None
    partly_labelled: bool
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Sample:
    """The units of a task that have a score, as arrays for `mammolens.metrics`.

    `labels` and `scores` are (n,); `patients` and `units` have one entry for each.
    """

    labels: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    patients: tuple[str, ...]
    units: tuple[Unit, ...]
    n_unscored: int
    n_positive_unscored: int

    @classmethod
    def of(cls, units: Iterable[Unit], task: str) -> Sample:
        """Take the scores of a task from units."""
        every = tuple(units)
        scored = tuple(one for one in every if one.scores)
        return cls(
            labels=np.array([one.label for one in scored], bool),
            scores=np.array([SCORES[task](one.scores) for one in scored if one.scores], float),
            patients=tuple("/".join(one.patient) for one in scored),
            units=scored,
            n_unscored=len(every) - len(scored),
            n_positive_unscored=sum(one.label for one in every if one.scores is None),
        )

    def where(self, chosen: npt.ArrayLike) -> Sample:
        """The units for which `chosen`, bool (n,), holds."""
        rows = np.flatnonzero(chosen)
        return replace(
            self,
            labels=self.labels[rows],
            scores=self.scores[rows],
            patients=tuple(self.patients[i] for i in rows),
            units=tuple(self.units[i] for i in rows),
        )

    @property
    def one_class(self) -> str | None:
        """The reason why the units cannot be ranked; ``None`` if they can."""
        if not self.units:
            return "nothing here has both a known label and a score"
        if self.labels.all() or not self.labels.any():
            kind = "positive" if self.labels[0] else "negative"
            return f"all {len(self.units)} labels are {kind}"
        return None

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers of units, positives and patients, and of units that were left out."""
        return {
            "n": len(self.units),
            "n_positive": int(self.labels.sum()),
            "n_patients": len(set(self.patients)),
            "n_unscored": self.n_unscored,
            "n_positive_unscored": self.n_positive_unscored,
            "n_partly_labelled": sum(one.partly_labelled for one in self.units),
        }


def units_of(results: Iterable[ImageResult], task: str, unit: str) -> list[Unit]:
    """Pool images into the labelled units of a task, by the rules of this module."""
    groups: dict[Hashable, list[ImageResult]] = {}
    for result in results:
        groups.setdefault(unit_key(result.record, unit), []).append(result)
    return [_pooled(members, task, unit) for members in groups.values() if _labelled(members, task)]


def without_age(results: Sequence[ImageResult], prior: AgePrior | None) -> list[ImageResult] | None:
    """Give the images with the scores of the pictures alone; ``None`` if age changed no score.

    Parameters
    ----------
    prior
        The effect of age on the scores, from the model's card.
    """
    if prior is None:
        return None
    bare = [
        replace(one, scores=pool_breast(shift_odds((s.normal, s.benign, s.malignant), -added)))
        if (s := one.scores) and (added := prior.log_odds(one.age_years))
        else one
        for one in results
    ]
    return None if bare == list(results) else bare


def figures(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, dict[str, dict[str, Any]]]:
    """Give ``{task: {unit: {"auc", "n", "n_positive", …}}}``, ready for JSON.

    `n` counts the units with a known label and a score. `auc` is ``None`` where labels are of one
    class, and `note` says so; on thin data `note` qualifies the interval.
    """
    return {
        task: {
            unit: _figure(Sample.of(units_of(results, task, unit), task), draws, seed)
            for unit in UNITS
        }
        for task in TASKS
    }


def interval_json(interval: Interval) -> dict[str, float | None]:
    """Give value, low and high as they are written."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def intervals_json(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    """Give named intervals as they are written; ``a/b`` is written as ``b`` inside ``a``.

    Examples
    --------
    >>> intervals_json({"auc": None, "recall/0.9": None, "recall/0.95": None})
    {'auc': None, 'recall': {'0.9': None, '0.95': None}}
    """
    found: dict[str, Any] = {}
    for name, interval in intervals.items():
        outer, _, inner = name.partition("/")
        place = found.setdefault(outer, {}) if inner else found
        place[inner or outer] = interval and interval_json(interval)
    return found


Resample = Callable[[Mapping[str, Statistic], npt.ArrayLike, Sequence[str]], dict[str, Any]]
"""`resampled_json` with its number of draws and seed."""


def resampled_json(
    statistics: Mapping[str, Statistic],
    labels: npt.ArrayLike,
    patients: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Give statistics with intervals from the same resamples of patients, as they are written.

    Parameters
    ----------
    statistics
        By name, see `intervals_json`.
    labels, patients
        (n,); labels are only counted.
    """
    found = patient_bootstraps(side_by_side(statistics), labels, patients, draws=draws, seed=seed)
    return intervals_json(found)


def _figure(sample: Sample, draws: int, seed: int) -> dict[str, Any]:
    found = {"auc": None, **sample.counts}
    if sample.one_class:
        return {**found, "note": f"no AUC: {sample.one_class}"}
    interval = auc_interval(sample.labels, sample.scores, sample.patients, draws=draws, seed=seed)
    found["auc"] = interval_json(interval)
    return {**found, "note": "; ".join(interval.notes)} if interval.notes else found


def _labelled(members: Sequence[ImageResult], task: str) -> list[ImageResult]:
    return [member for member in members if LABELS[task](member.record) is not None]


def _pooled(members: Sequence[ImageResult], task: str, unit: str) -> Unit:
    labelled = _labelled(members, task)
    breasts: dict[Hashable, list[Scores]] = {}
    for member in labelled:
        if member.scores is not None:
            breasts.setdefault(unit_key(member.record, "breast"), []).append(member.scores)
    return Unit(
        patient=labelled[0].record.patient,
        label=any(LABELS[task](member.record) for member in labelled),
        scores=_pool_scores(list(breasts.values()), unit) if breasts else None,
        partly_labelled=len(labelled) < len(members),
        records=tuple(member.record for member in labelled),
    )


def _pool_scores(breasts: Sequence[Sequence[Scores]], unit: str) -> Scores:
    if unit == "image":
        return breasts[0][0]
    pooled = [
        pool_breast([(one.normal, one.benign, one.malignant) for one in views]) for views in breasts
    ]
    return pooled[0] if unit == "breast" else pool_exam(pooled)


def unit_key(record: Record, unit: str) -> Hashable:
    """Give the key that all images of one unit share, by the rules of this module."""
    if unit == "patient":
        return record.patient
    if unit == "breast" and record.laterality is not None:
        return (*record.patient, record.laterality)
    return (*record.patient, None, record.image_id)
