"""What is true of every exam of a run, as its sinks need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammolens import DISCLAIMER
from mammolens.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from mammolens.core import ModelId

__all__ = ["RunInfo", "TriageThreshold"]


@dataclass(frozen=True)
class TriageThreshold:
    """A malignancy probability that parts two categories, at the run's prevalence.

    `name` is the category that it bounds: ``low`` lies below it, ``high`` from it up.
    `sensitivity` and `specificity` are those of validation; ``None`` where not known.
    """

    name: str
    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True)
class RunInfo:
    """What is true of every exam of a run.

    `created` must know its time zone. `prevalence` is the share of malignant breasts that the
    probabilities stand for; `prevalence_stated` says whether the site gave it. If not, it is that
    of the data that the model was calibrated on, and what leaves for a PACS or RIS shows no
    percentage apart from it. `model_summary` says in a sentence or two what the model was trained
    on and where it is weak, and `tumour_vouched` whether its card vouches for P(tumour), which
    otherwise stands in ``results.json`` alone. A run of one exam may revise an earlier result:
    `revision` counts from 1, `supersedes` lists its DICOM objects as (sink, series, SOP class, SOP
    instance UID).
    """

    created: datetime
    model: ModelId
    prevalence: float
    thresholds: tuple[TriageThreshold, ...] = ()
    model_summary: str = ""
    disclaimer: str = DISCLAIMER
    revision: int = 1
    supersedes: tuple[tuple[str, str, str, str], ...] = ()
    prevalence_stated: bool = False
    tumour_vouched: bool = False

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise ConfigError("the time of a run needs its time zone", keyword="created")
        if not 0.0 < self.prevalence < 1.0:
            raise ConfigError(
                f"a prevalence of {self.prevalence} is not a share between 0 and 1",
                keyword="prevalence",
                remedy="Give the share of malignant breasts, such as 0.005",
            )
