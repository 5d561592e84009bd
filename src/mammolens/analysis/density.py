"""Breast density of breasts and of the exam, from the views. It never influences a category."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mammolens.analysis.low import reasons_against_low
from mammolens.core import (
    DENSITY_CATEGORIES,
    Caution,
    Density,
    Laterality,
    Prediction,
    Unreadable,
)
from mammolens.exams import View
from mammolens.model.density import DensityHead

__all__ = ["add_density", "denser", "image_density", "pool_density"]


def pool_density(views: npt.ArrayLike, head: DensityHead) -> Density:
    """Pool the views of one breast: the mean of their probabilities.

    Parameters
    ----------
    views
        (n, 4), probabilities of `DENSITY_CATEGORIES` of each view, n ≥ 1.

    Examples
    --------
    >>> head = DensityHead("", least_probability=0.4, least_margin=0.1)
    >>> pool_density([[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]], head)
    Density(probabilities=(0.25, 0.75, 0.0, 0.0), category='b', digest='')
    """
    mean = np.atleast_2d(np.asarray(views, np.float64)).mean(0)
    a, b, c, d = (float(p) for p in mean / mean.sum())
    return Density((a, b, c, d), head.category((a, b, c, d)), head.digest)


def denser(breasts: Sequence[Density]) -> Density:
    """Give the density of an exam: that of the denser breast (BI-RADS Atlas, 5th edition).

    It is unsure if any breast is unsure, unless another breast is surely extremely dense.
    """
    order = range(len(DENSITY_CATEGORIES))
    found = max(breasts, key=lambda one: float(np.dot(one.probabilities, order)))
    is_sure = found.category == DENSITY_CATEGORIES[-1] or all(one.category for one in breasts)
    return found if is_sure else replace(found, category=None)


def add_density(
    prediction: Prediction,
    head: DensityHead | None,
    refused: Sequence[Unreadable],
    cautions: Sequence[Caution],
    complete_views: Collection[View],
) -> Prediction:
    """Add the density of each breast and of the exam.

    It stays unknown where the package has no head, where a view is missing or was not analysed,
    and where an image or the exam has a doubt: by the same rule as for ``low``.

    Parameters
    ----------
    refused, cautions, complete_views
        As for `reasons_against_low`.
    """
    if head is None:
        return prediction

    def judged(side: Laterality | None) -> Density | None:
        images = [image for image in prediction.images if image.ref.laterality is side]
        views = [view for view in complete_views if view[0] is side]
        own = [one for one in refused if _may_show(one, side)]
        known = [image.density for image in images if image.density is not None]
        unknown = side is None or not views or len(known) < len(images)
        if unknown or not known or reasons_against_low(images, own, cautions, views):
            return None
        return pool_density(known, head)

    breasts = tuple(replace(one, density=judged(one.laterality)) for one in prediction.breasts)
    whole = not reasons_against_low(prediction.images, refused, cautions, complete_views)
    found = [one.density for one in breasts if one.density is not None]
    exam = denser(found) if whole and found and len(found) == len(breasts) else None
    return replace(prediction, breasts=breasts, density=exam)


def _may_show(item: Unreadable, side: Laterality | None) -> bool:
    """Say whether a refused object may show a breast of this side."""
    stated: Laterality | None = item.source.ref.laterality if item.source else None
    return stated is None or stated is side


def image_density(probabilities: npt.NDArray[np.float32] | None, row: int) -> _Four | None:
    """Give the densities of one view as plain numbers; ``None`` without a head."""
    if probabilities is None:
        return None
    a, b, c, d = (float(p) for p in probabilities[row])
    return a, b, c, d


_Four = tuple[float, float, float, float]
