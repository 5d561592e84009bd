"""How exams are analysed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mammolens.clinical import ClinicalData, Fusion
from mammolens.errors import ConfigError
from mammolens.exams import STANDARD_VIEWS, View

__all__ = ["DEFAULTS", "AnalysisOptions"]


@dataclass(frozen=True)
class AnalysisOptions:
    """How exams are analysed.

    `jobs` exams are analysed at the same time. `prevalence` is the share of malignant breasts for
    which probabilities are given (``None``: that of the card). With `display`, a picture of each
    image is kept for sinks that draw. `time_limit_s` is for one exam, and is checked between
    images. Without all of the `complete_views`, an exam is never ``low``. `clinical` is what files
    say of the patients, and `fusion` adds it to the scores. With `risk`, the result states the risk
    of the next five years too (BCRAT), where the data suffice.
    """

    jobs: int = 1
    prevalence: float | None = None
    pseudonymise: bool = False
    time_limit_s: float = 300.0
    display: bool = True
    complete_views: tuple[View, ...] = STANDARD_VIEWS
    clinical: ClinicalData | None = None
    fusion: Fusion | None = None
    risk: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(
                f"{self.jobs} jobs are impossible: it must be 1 or more", keyword="jobs"
            )
        if not self.time_limit_s > 0:
            raise ConfigError(f"{self.time_limit_s} s is not a time limit", keyword="time_limit")
        if self.prevalence is not None and not 0.0 < self.prevalence < 1.0:
            raise ConfigError(
                f"a prevalence of {self.prevalence} is impossible",
                keyword="prevalence",
                remedy="Give a share above 0 and below 1, such as 0.005 for screening",
            )
        if not self.complete_views:
            raise ConfigError(
                "no view makes an exam complete",
                keyword="complete_views",
                remedy="Name at least one, such as RCC,LCC,RMLO,LMLO",
            )


DEFAULTS: Final = AnalysisOptions()
