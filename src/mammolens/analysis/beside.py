"""What is known beside the images: which items count for an exam, and how they change its scores.

A fusion adds to the log-odds of each breast. It may raise an exam to a higher category, but it
never makes an exam low whose images are not (`low.reasons_of_images`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from mammolens.analysis.low import reasons_of_images
from mammolens.analysis.pooling import pool_breasts, pool_exam, restate_scores, triage
from mammolens.clinical import Fusion, choose_items, known_value
from mammolens.core import (
    Caution,
    ClinicalItem,
    Contribution,
    FusionResult,
    ImagePrediction,
    ImageRef,
    Laterality,
    Prediction,
    Scores,
    SourceHeader,
)
from mammolens.images.ages import dicom_day
from mammolens.model import ModelCard, shift_odds

__all__ = [
    "Beside",
    "Fusing",
    "added_to",
    "exam_day",
    "fuse_exam",
    "images_alone",
    "look_beside",
    "shift_scores",
]

HEADER: Final = "DICOM header"


@dataclass(frozen=True)
class Beside:
    """The items of an exam, the age that counts, and cautions."""

    items: tuple[ClinicalItem, ...] = ()
    age_years: float | None = None
    cautions: tuple[Caution, ...] = ()


def look_beside(
    images: Iterable[tuple[ImageRef, SourceHeader]],
    age_years: float | None,
    stated: Sequence[ClinicalItem] | None,
) -> Beside:
    """Choose the items that count for an exam; the age of the headers is one of them.

    Parameters
    ----------
    images
        References and headers of the exam.
    age_years
        The age that the headers give.
    stated
        What other sources state of the patient; ``None`` if nobody was asked. Then nothing is
        listed, and the age is that of the headers.
    """
    if stated is None:
        return Beside(age_years=age_years)
    day, items = exam_day(images), list(stated)
    if age_years is not None:
        items.append(ClinicalItem("age", age_years, HEADER, day))
    chosen, cautions = choose_items(items, day)
    age = known_value(chosen, "age")
    return Beside(chosen, None if age is None else float(age), cautions)


def exam_day(images: Iterable[tuple[ImageRef, SourceHeader]]) -> date | None:
    """Give the day of an exam: the earliest date of its headers; ``None`` if there is none."""
    days = [
        found
        for ref, header in images
        for text in (header.study_date, ref.acquisition_date, header.content_date)
        if (found := dicom_day(text)) is not None
    ]
    return min(days, default=None)


def images_alone(images: Sequence[ImagePrediction], age_added: float | None) -> Scores | None:
    """Give the scores of an exam by its images, without the age; ``None`` if there are none.

    `images` have scores at the prior of the card that include its age term, `age_added`.
    """
    if not images:
        return None
    alone = [replace(i, scores=shift_scores(i.scores, -(age_added or 0.0))) for i in images]
    return pool_exam(breast.scores for breast in pool_breasts(alone))


@dataclass(frozen=True)
class Fusing:
    """What the fusion of an exam needs: the items, the age term of the card, the images alone."""

    fusion: Fusion
    card: ModelCard
    items: tuple[ClinicalItem, ...]
    age_added: float | None
    alone: Scores


def fuse_exam(
    unfused: Prediction,
    fusing: Fusing,
    images: Sequence[ImagePrediction],
    predicted: Callable[[tuple[ImagePrediction, ...], Sequence[str]], Prediction],
) -> Prediction:
    """Give the prediction with clinical data; the given one exactly if no input is known.

    If the fusion uses the age, its term takes the place of the card's; if not, that of the card
    stays, and is listed as a contribution.

    Parameters
    ----------
    images
        Images with scores at the prior of the card that include its age term.
    predicted
        Makes the prediction of images with other scores, given reasons against low.
    """
    fusion, removed = fusing.fusion, fusing.age_added or 0.0
    stated = restate_scores(fusing.alone, fusing.card, unfused.prevalence).malignant
    found = fusion.contributions(fusing.items, [image.ref.laterality for image in images])
    missing, names = fusion.missing(found), {one.name for one in found}
    listed = found if "age" in names or not removed else (*found, Contribution("age", removed))
    result = FusionResult(fusion.digest, stated, listed, missing)
    if not found:
        return replace(unfused, fusion=result)
    scored = tuple(
        replace(i, scores=shift_scores(i.scores, added_to(listed, i.ref.laterality) - removed))
        for i in images
    )
    alone = triage(fusing.alone.malignant, fusing.card)
    fused = predicted(scored, reasons_of_images(alone, unfused.category))
    return replace(
        fused,
        clinical=unfused.clinical,
        risk=unfused.risk,
        age_odds_factor=None if "age" in names else unfused.age_odds_factor,
        fusion=result,
    )


def added_to(contributions: Iterable[Contribution], side: Laterality | None) -> float:
    """Sum what was added to the log-odds of a breast."""
    return float(sum(one.log_odds for one in contributions if one.laterality in (None, side)))


def shift_scores(scores: Scores, added: float) -> Scores:
    """Add to the log-odds of malignancy; the ratio of normal to benign stays."""
    if added == 0.0:
        return scores
    normal, benign, malignant = shift_odds((scores.normal, scores.benign, scores.malignant), added)
    return Scores(float(normal), float(benign), float(malignant))
