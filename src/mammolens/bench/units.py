"""From scored images to figures per task and unit: image, breast, patient.

Three rules decide what counts:

* A row whose label is unknown is left out of the task altogether: neither its label nor its
  score counts. A breast or a patient is what is labelled of it (`n_partly_labelled` counts those
  of whom some images are not), and is positive if any of these images is.
* An image that could not be read has no score. Its label still counts for its breast and
  patient, who are scored by their other images; a unit of which nothing could be read is left
  out and counted in `n_unscored`, never taken for negative.
* A breast is one laterality of one patient of one data set. An image without laterality stands
  for itself: it might show either breast, so it is pooled with neither.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mammolens.analysis import pool_breast, pool_exam
from mammolens.core import Caution, Scores
from mammolens.data.manifest import Record
from mammolens.metrics import Interval, auc_interval

__all__ = [
    "LABELS",
    "SCORES",
    "TASKS",
    "UNITS",
    "ImageResult",
    "Unit",
    "figures",
    "interval_json",
    "units_of",
]

TASKS: Final = ("malignancy", "tumour")
UNITS: Final = ("image", "breast", "patient")

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
    """One row of a manifest after the model: its scores, or why there are none."""

    record: Record
    scores: Scores | None
    error: str | None = None
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        if (self.scores is None) == (self.error is None):
            raise ValueError("an image has either scores or an error")


@dataclass(frozen=True)
class Unit:
    """One image, breast or patient in one task; `scores` is ``None`` if nothing was readable."""

    patient: Hashable
    label: bool
    scores: Scores | None
    partly_labelled: bool


def units_of(results: Iterable[ImageResult], task: str, unit: str) -> list[Unit]:
    """Pool images into the units of a task, as the module's rules say.

    Parameters
    ----------
    results
        Images in any order.
    task
        One of `TASKS`.
    unit
        One of `UNITS`.
    """
    groups: dict[Hashable, list[ImageResult]] = {}
    for result in results:
        groups.setdefault(_key(result.record, unit), []).append(result)
    found = (_pool(members, task) for members in groups.values())
    return [one for one in found if one is not None]


def figures(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, dict[str, dict[str, Any]]]:
    """Give ``{task: {unit: {"auc", "n", "n_positive", …}}}``, ready for JSON.

    `n` counts the units with a known label and a score. `auc` is ``None`` where labels are of one
    class, and `note` says so; other notes qualify a figure on thin data.

    Parameters
    ----------
    results
        Images, all of which belong to one population.
    draws, seed
        Of the bootstrap over patients.
    """
    return {
        task: {
            unit: _figure(units_of(results, task, unit), unit, draws, seed) for unit in UNITS
        }
        for task in TASKS
    }


def interval_json(interval: Interval) -> dict[str, float | None]:
    """Give value, low and high as they are written."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _figure(units: Sequence[Unit], unit: str, draws: int, seed: int) -> dict[str, Any]:
    scored = [one for one in units if one.scores is not None]
    labels = np.array([one.label for one in scored], dtype=bool)
    found: dict[str, Any] = {
        "auc": None,
        "n": len(scored),
        "n_positive": int(labels.sum()),
        "n_patients": len({one.patient for one in scored}),
        "n_unscored": len(units) - len(scored),
        "n_positive_unscored": sum(one.label for one in units if one.scores is None),
        "n_partly_labelled": sum(one.partly_labelled for one in scored),
    }
    return found


def _key(record: Record, unit: str) -> Hashable:
    patient = (record.dataset, record.patient_id)
    if unit == "patient":
        return patient
    if unit == "breast" and record.laterality is not None:
        return (*patient, record.laterality)
    return (*patient, None, record.image_id)
