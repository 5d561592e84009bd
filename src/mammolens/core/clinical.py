"""What is known of a patient beside the images, and what it added to a score.

Each item has its source and its date. An item that is not there is unknown; it never means "no".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mammolens.core.images import Laterality

__all__ = ["ClinicalItem", "Contribution", "FusionResult", "RiskStatement"]

ClinicalValue = bool | float | str


@dataclass(frozen=True)
class ClinicalItem:
    """One fact about a patient, such as the age in years or a lump in the left breast.

    Attributes
    ----------
    name
        A name of `mammolens.clinical.ITEMS`.
    value
        A number in the unit of the item, yes or no, or one of the item's words.
    source
        File and place, or the system that stated it.
    date
        The day for which it was stated; ``None`` if unknown.
    laterality
        The breast that it is about; ``None`` for the patient, or if the side is unknown.
    is_used
        Whether this is the value that counts. It is false if another source has a newer value, if
        two sources contradict each other, or if it is dated after the exam.
    """

    name: str
    value: ClinicalValue
    source: str
    date: date | None = None
    laterality: Laterality | None = None
    is_used: bool = True


@dataclass(frozen=True)
class Contribution:
    """What one input added to the log-odds of malignancy of a breast, or of both (``None``)."""

    name: str
    log_odds: float
    laterality: Laterality | None = None


@dataclass(frozen=True)
class FusionResult:
    """How clinical data changed a score.

    The log-odds of each breast are those of its images (without any age) and the sum of its
    contributions. `images_malignant` is P(malignant) of the exam from the images alone, for the
    same prevalence; ``None`` beside a pseudonym. `missing` names the inputs that are unknown; they
    added nothing. `digest` is that of the fusion file.
    """

    digest: str
    images_malignant: float | None
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class RiskStatement:
    """The risk of a published model for the years to come. It is not part of the score.

    `assumed` names the items that are unknown; the published model takes the least risk for them.
    """

    model: str
    years: int
    risk: float
    assumed: tuple[str, ...] = field(default=())
