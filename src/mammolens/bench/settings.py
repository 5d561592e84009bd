"""The settings of an evaluation: operating points, prevalence, coverage, and further requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.data.manifest import Split
from mammolens.errors import ConfigError
from mammolens.metrics import (
    threshold_at_cost,
    threshold_at_recall,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from mammolens.metrics.checks import check_fraction
from mammolens.spelling import check_known

__all__ = ["Remedy", "Settings", "WantedPoint", "parse_point", "read_split"]

_Bool = npt.NDArray[np.bool_]
_Float = npt.NDArray[np.float64]
_Threshold = Callable[[_Bool, _Float, float, float], float]

_KINDS: Final[dict[str, _Threshold]] = {
    "sensitivity": lambda labels, scores, goal, _: threshold_at_sensitivity(labels, scores, goal),
    "specificity": lambda labels, scores, goal, _: threshold_at_specificity(labels, scores, goal),
    "recall": threshold_at_recall,
    "cost": threshold_at_cost,
}


class Remedy(str, Enum):
    """A remedy for gaps between groups.

    It is a logistic recalibration per group; one recalibration for all in which every group and
    class has equal weight (its probabilities are those of a sample that is half malignant); or a
    threshold per group.
    """

    RECALIBRATE = "recalibrate"
    REWEIGHT = "reweight"
    THRESHOLDS = "thresholds"


@dataclass(frozen=True)
class WantedPoint:
    """The goal of a threshold: its kind and its value."""

    kind: str
    value: float

    @property
    def name(self) -> str:
        """Its name in metrics.json, as it is written on the command line."""
        return f"{self.kind}={self.value:g}"

    def threshold(self, labels: _Bool, scores: _Float, prevalence: float) -> float:
        """Give the threshold that reaches the goal on these rows."""
        return _KINDS[self.kind](labels, scores, self.value, prevalence)


@dataclass(frozen=True)
class Settings:
    """The settings of an evaluation.

    Parameters
    ----------
    prevalence
        Share of patients with cancer for which PPV, NPV, recall rate, net benefit and workload are
        stated.
    coverage
        The coverage that conformal answers promise for each class.
    fit_split
        The side of the table on which thresholds and recalibration are fixed; ``None`` for
        cross-fitting.
    draws, seed
        Of the bootstrap over patients; `seed` also orders the patients in folds.
    altered
        Number of images that are altered to measure the effect on scores; 0 for none.
    remedy, by
        A remedy for gaps between groups that is measured, and the axis of the audit it is for.
    source_probe
        Whether to measure how well the source can be recognised.
    cases
        Pictures of each data set and kind of case, at most.
    """

    points: tuple[WantedPoint, ...] = (
        WantedPoint("sensitivity", 0.95),
        WantedPoint("specificity", 0.9),
    )
    prevalence: float = 0.005
    coverage: float = 0.9
    fit_split: Split | None = None
    draws: int = 2000
    seed: int = 0
    altered: int = 0
    remedy: Remedy | None = None
    by: str = ""
    source_probe: bool = False
    cases: int = 2

    def __post_init__(self) -> None:
        check_fraction(self.prevalence, "prevalence")
        check_fraction(self.coverage, "coverage")

    @classmethod
    def read(
        cls,
        points: Sequence[str] | None,
        prevalence: float,
        coverage: float,
        fit_split: str | None,
        altered: int = 0,
        mitigate: str | None = None,
        source_probe: bool = False,
    ) -> Settings:
        """Make settings from the command line's options; without points, the usual ones.

        `mitigate` is ``REMEDY:AXIS``, as in ``recalibrate:density``.

        Raises
        ------
        ConfigError
            If an option is impossible.
        """
        remedy, by = _parse_remedy(mitigate) if mitigate else (None, "")
        return cls(
            points=tuple(map(parse_point, points)) if points else cls.points,
            prevalence=prevalence,
            coverage=coverage,
            fit_split=read_split(fit_split, "fit-split"),
            altered=altered,
            remedy=remedy,
            by=by,
            source_probe=source_probe,
        )


def parse_point(text: str) -> WantedPoint:
    """Read a wanted operating point.

    ``sensitivity=0.95`` and ``specificity=0.9`` are reached on the units that it is fixed on;
    ``recall=0.1`` recalls at most that share of patients, and ``cost=20`` is cheapest where a
    missed cancer weighs that many false recalls, both at the stated prevalence.

    Raises
    ------
    ConfigError
        If the kind is unknown or the value impossible.

    Examples
    --------
    >>> parse_point("sensitivity=0.950").name
    'sensitivity=0.95'
    """
    kind, _, written = text.partition("=")
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    possible = 0 < value < float("inf") if kind == "cost" else 0 < value < 1
    if kind not in _KINDS or not possible:
        raise ConfigError(
            f"{text!r} is not an operating point",
            keyword="point",
            remedy="Give sensitivity=0.95, specificity=0.9, recall=0.1 or cost=20",
        )
    return WantedPoint(kind, value)


def read_split(name: str | None, keyword: str = "split") -> Split | None:
    """Read the name of a side; no name means no side.

    Raises
    ------
    ConfigError
        If the side does not exist.
    """
    if name is None:
        return None
    check_known(name, [side.value for side in Split], "split", keyword)
    return Split(name)


def _parse_remedy(text: str) -> tuple[Remedy, str]:
    name, _, axis = text.partition(":")
    if name not in {one.value for one in Remedy} or not axis:
        raise ConfigError(
            f"{text!r} is not a remedy",
            keyword="mitigate",
            remedy=f"Give one of {', '.join(one.value for one in Remedy)}, a colon and an axis of "
            "the audit: recalibrate:density",
        )
    return Remedy(name), axis
