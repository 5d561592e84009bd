"""What is watched: the measures of an exam, each with its scale, and the groups of exams."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "MEASURES", "NAMES", "Measure", "Partition", "bins_of"]

BINS: Final = 64
"""Steps of a scale. A state holds one count for each, however many exams it has seen."""


@dataclass(frozen=True)
class Measure:
    """A number of each exam; values outside `low` to `high` count as the nearest of the two.

    `is_share` marks yes (1) or no (0), whose mean is a share. The reference of an `of_model`
    measure begins again with another model.
    """

    name: str
    label: str
    low: float
    high: float
    is_share: bool = False
    of_model: bool = False


# The scales only need to cover sound exams in steps that are small against the differences between
# patients (half of their standard deviation or less, measured with benchmarks/bench_monitor.py).
# A scale that fits badly makes a detector slower, and never makes it alarm more often.
MEASURES: Final = (
    Measure("score", "log-odds of malignancy", -8.0, 8.0, of_model=True),
    Measure("high", "share of exams called high", 0.0, 1.0, is_share=True, of_model=True),
    Measure("low", "share of exams called low", 0.0, 1.0, is_share=True, of_model=True),
    Measure("sharpness", "sharpness", -5.0, 1.0),
    Measure("mean_grey", "mean grey of the breast", 0.0, 1.0),
    Measure("clipping", "clipped share of the breast (log10)", -5.0, 0.0),
    Measure("noise", "noise (log10 of grey levels)", -1.0, 1.5),
    Measure("missing_views", "missing standard views", 0.0, 4.0),
    Measure("failed", "share of exams that failed", 0.0, 1.0, is_share=True),
    Measure(
        "disagreement", "share of exams where reader and AI differ", 0.0, 1.0, True, of_model=True
    ),
)
NAMES: Final = tuple(measure.name for measure in MEASURES)
_LOW: Final = np.array([measure.low for measure in MEASURES])
_SPAN: Final = np.array([measure.high - measure.low for measure in MEASURES])


class Partition(str, Enum):
    """How exams are divided into groups; each exam is in one group of each partition."""

    SITE = "site"
    MACHINE = "machine"
    """Manufacturer, model and station."""
    SOFTWARE = "software"
    """Manufacturer, model and software version, wherever the machine stands."""


def bins_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Find the step of each value (..., measures) on its scale, 0 to `BINS` − 1; NaN gives 0.

    Examples
    --------
    >>> values = np.full(len(MEASURES), 0.5)
    >>> bins_of(values)[NAMES.index("mean_grey")].item()
    32
    """
    places = np.nan_to_num((values - _LOW) / _SPAN * BINS)
    return np.asarray(np.clip(np.floor(places), 0, BINS - 1), np.intp)
