"""What can be asked of an evaluation: operating points, prevalence, coverage, where to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

__all__ = ["Settings", "WantedPoint", "parse_point", "read_split"]

_Bool = npt.NDArray[np.bool_]
_Float = npt.NDArray[np.float64]
_Threshold = Callable[[_Bool, _Float, float, float], float]

_KINDS: Final[dict[str, _Threshold]] = {
    "sensitivity": lambda labels, scores, goal, _: threshold_at_sensitivity(labels, scores, goal),
    "specificity": lambda labels, scores, goal, _: threshold_at_specificity(labels, scores, goal),
    "recall": threshold_at_recall,
    "cost": threshold_at_cost,
}


@dataclass(frozen=True)
class WantedPoint:
    """A goal that a threshold shall reach: its kind and its value."""

    kind: str
    value: float

    @property
    def name(self) -> str:
        """What it is called in metrics.json, as it is written on the command line."""
        return f"{self.kind}={self.value:g}"

    def threshold(self, labels: _Bool, scores: _Float, prevalence: float) -> float:
        """The threshold that reaches the goal on these rows."""
        return _KINDS[self.kind](labels, scores, self.value, prevalence)


@dataclass(frozen=True)
class Settings:
    """What can be chosen about an evaluation.

    Parameters
    ----------
    points
        Wanted operating points.
    prevalence
        Share of women with cancer for which PPV, NPV, recall rate, net benefit and workload are
        stated.
    coverage
        What a conformal answer promises for each class.
    fit_split
        The side of the table on which thresholds and recalibration are fixed; ``None`` for
        cross-fitting.
    draws, seed
        Of the bootstrap over patients; `seed` also orders the patients in folds.
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
    ) -> Settings:
        """Make settings of what was written; no points are the usual ones.

        Raises
        ------
        ConfigError
            If one is impossible.
        """
        return cls(
            points=tuple(map(parse_point, points)) if points else cls.points,
            prevalence=prevalence,
            coverage=coverage,
            fit_split=read_split(fit_split, "fit-split"),
        )


def parse_point(text: str) -> WantedPoint:
    """Read a wanted operating point.

    ``sensitivity=0.95`` and ``specificity=0.9`` are reached on the units that it is fixed on;
    ``recall=0.1`` recalls at most that share of women, and ``cost=20`` is cheapest where a missed
    cancer weighs that many false recalls, both at the stated prevalence.

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
            f"{text!r} is no operating point",
            keyword="point",
            remedy="Give sensitivity=0.95, specificity=0.9, recall=0.1 or cost=20",
        )
    return WantedPoint(kind, value)


def read_split(name: str | None, keyword: str = "split") -> Split | None:
    """Read the name of a side; no name is no side.

    Raises
    ------
    ConfigError
        If there is no such side.
    """
    if name is None:
        return None
    try:
        return Split(name)
    except ValueError as error:
        raise ConfigError(
            f"there is no split called {name!r}",
            keyword=keyword,
            remedy=f"Use one of {', '.join(side.value for side in Split)}",
        ) from error
