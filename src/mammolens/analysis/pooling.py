"""Score prepared pictures, pool the scores of views by breast and exam, and give the category."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mammolens.core import (
    BreastPrediction,
    ImagePrediction,
    Laterality,
    PreparedView,
    Scores,
    TriageCategory,
)
from mammolens.metrics.probability import softmax
from mammolens.model import ModelCard, ModelPackage, RawOutput, prior_at, restate, shift_odds

__all__ = [
    "pool_breast",
    "pool_breasts",
    "pool_exam",
    "regard_age",
    "restate_scores",
    "restate_threshold",
    "score_pictures",
    "score_prepared",
    "triage",
]


def score_prepared(
    model: ModelPackage, views: Sequence[PreparedView], *, density: bool = False
) -> RawOutput:
    """Score prepared views; each score is the mean of the view and its upside-down mirror image.

    Logits are averaged before the softmax. The map of the mirror image is turned back first.
    Densities, if asked for, are the mean of the probabilities of both.

    Returns
    -------
    Arrays with one row for each view, at the card's own prior.

    Raises
    ------
    ModelError
        If the graph gives a number that is not finite.
    """
    return score_pictures(model, np.stack([view.pixels for view in views]), density=density)


def score_pictures(
    model: ModelPackage, pictures: npt.NDArray[np.uint8], *, density: bool = False
) -> RawOutput:
    """Score prepared pictures, uint8 (n, H, W), as `score_prepared` does."""
    pictures = pictures[:, None]
    upright = model.predict(pictures, density=density)
    mirrored = model.predict(np.ascontiguousarray(pictures[:, :, ::-1]), density=density)
    logits = (upright.logits + mirrored.logits) / np.float32(2)
    densities = None
    if upright.density is not None and mirrored.density is not None:
        densities = (upright.density + mirrored.density) / np.float32(2)
    return RawOutput(
        density=densities,
        logits=logits,
        probabilities=softmax(logits).astype(np.float32),
        malignancy_map=(upright.malignancy_map + mirrored.malignancy_map[:, ::-1]) / np.float32(2),
        tumour_map=(upright.tumour_map + mirrored.tumour_map[:, ::-1]) / np.float32(2),
    )


def pool_breast(probabilities: npt.ArrayLike) -> Scores:
    """Pool the views of one breast: mean of the log-probabilities, made to sum to one.

    Parameters
    ----------
    probabilities
        (n, 3), normal / benign / malignant of each view, n ≥ 1.

    Examples
    --------
    >>> round(pool_breast([[0.2, 0.2, 0.6], [0.2, 0.2, 0.6]]).malignant, 6)
    0.6
    """
    logs = np.log(np.clip(np.atleast_2d(np.asarray(probabilities, np.float64)), 1e-9, 1.0))
    normal, benign, malignant = softmax(logs.mean(0))
    return Scores(float(normal), float(benign), float(malignant))


def regard_age(
    probabilities: npt.ArrayLike, card: ModelCard, age_years: float | None
) -> npt.NDArray[np.float64]:
    """Adjust probabilities (..., 3) of pictures for the patient's age.

    They do not change if the age is unknown or the model does not use it.
    """
    prior = card.calibration.age
    added = prior.log_odds(age_years) if prior else None
    return shift_odds(probabilities, 0.0 if added is None else added)


def pool_breasts(images: Sequence[ImagePrediction]) -> tuple[BreastPrediction, ...]:
    """Pool the images of each breast; an image of unknown side counts as a breast of its own."""
    sides: dict[tuple[Laterality | None, int], list[ImagePrediction]] = {}
    for number, image in enumerate(images):
        side = image.ref.laterality
        sides.setdefault((side, -1 if side else number), []).append(image)  # -1: one group per side
    return tuple(
        BreastPrediction(
            side,
            pool_breast([[i.scores.normal, i.scores.benign, i.scores.malignant] for i in group]),
        )
        for (side, _), group in sides.items()
    )


def pool_exam(breasts: Iterable[Scores]) -> Scores:
    """Pool the breasts of one exam: the highest malignancy, and the highest tumour probability.

    Examples
    --------
    >>> pool_exam([Scores(0.5, 0.25, 0.25), Scores(0.25, 0.75, 0.0)])
    Scores(normal=0.25, benign=0.5, malignant=0.25)
    """
    scores = tuple(breasts)
    malignant = max(score.malignant for score in scores)
    tumour = max(max(score.tumour for score in scores), malignant)
    return Scores(1.0 - tumour, tumour - malignant, malignant)


def triage(malignancy: float, card: ModelCard) -> TriageCategory:
    """Give the category of an exam from its P(malignant) at the prior of the card."""
    points = card.operating_points
    if malignancy >= points.high.threshold:
        return TriageCategory.HIGH
    if malignancy < points.low.threshold:
        return TriageCategory.LOW
    return TriageCategory.INTERMEDIATE


def restate_scores(scores: Scores, card: ModelCard, prevalence: float) -> Scores:
    """Convert scores from the prior of the card to another share of malignant breasts."""
    prior = card.calibration.prior.as_tuple
    if prevalence == prior[2]:
        return scores
    parts = (scores.normal, scores.benign, scores.malignant)
    normal, benign, malignant = restate(parts, prior, prior_at(prior, prevalence))
    return Scores(float(normal), float(benign), float(malignant))


def restate_threshold(threshold: float, card: ModelCard, prevalence: float) -> float:
    """Convert a threshold on P(malignant) so that it separates the same exams.

    This is exact: normal and benign are scaled by the same factor, so the odds of malignancy change
    by one factor.
    """
    rest = 1.0 - threshold
    return restate_scores(Scores(rest, 0.0, threshold), card, prevalence).malignant
