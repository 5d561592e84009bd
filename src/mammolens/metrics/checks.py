"""Checks of the input of every metric: equal lengths, known labels, finite scores, both classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "check_binary",
    "check_fraction",
    "check_labels",
    "check_probabilities",
    "check_scores",
    "require_both_classes",
]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def check_labels(labels: npt.ArrayLike) -> BoolArray:
    """Give labels as bool (n,); accept only false, true, 0 and 1.

    Raises
    ------
    InvalidManifest
        If there are no labels, or a label is missing (NaN, ``None``) or another number.

    Examples
    --------
    >>> check_labels([0, 1, True])
    array([False,  True,  True])
    """
    try:
        values = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidManifest(
            "labels are not numbers", remedy="Write 1 for positive and 0 for negative"
        ) from error
    if values.ndim != 1 or values.size == 0:
        raise InvalidManifest(
            f"labels have the shape {values.shape}, but one value per row is needed",
            remedy="Pass at least one row with a known label",
        )
    if np.isnan(values).any():
        raise InvalidManifest(
            f"{int(np.isnan(values).sum())} labels are unknown",
            remedy="Leave rows without a label out of this task: unknown is not negative",
        )
    if not np.isin(values, (0.0, 1.0)).all():
        raise InvalidManifest(
            "some labels are neither 0 nor 1", remedy="Write 1 for positive and 0 for negative"
        )
    return values.astype(bool)


def check_scores(scores: npt.ArrayLike) -> FloatArray:
    """Give scores as float64 (n,); refuse NaN and infinity.

    Raises
    ------
    InvalidManifest
        If a score is not a finite number.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise InvalidManifest(
            f"scores have the shape {values.shape}, but one value per row is needed"
        )
    if not np.isfinite(values).all():
        raise InvalidManifest(
            f"{int((~np.isfinite(values)).sum())} scores are not finite numbers",
            remedy="Leave out failed images and count them: a failure is never a score",
        )
    return values


def check_binary(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[BoolArray, FloatArray]:
    """Check labels and scores together; both are (n,).

    Raises
    ------
    InvalidManifest
        As `check_labels` and `check_scores`, or if the lengths differ.
    """
    known, finite = check_labels(labels), check_scores(scores)
    if known.size != finite.size:
        raise InvalidManifest(f"{known.size} labels but {finite.size} scores")
    return known, finite


def check_probabilities(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike
) -> tuple[BoolArray, FloatArray]:
    """Check labels and probabilities in 0–1 together; both are (n,).

    Raises
    ------
    InvalidManifest
        As `check_binary`, or if a value is outside 0–1.
    """
    known, finite = check_binary(labels, probabilities)
    if ((finite < 0) | (finite > 1)).any():
        raise InvalidManifest(
            "some probabilities are outside 0–1",
            remedy="Pass calibrated probabilities, not log-odds",
        )
    return known, finite


def require_both_classes(labels: BoolArray) -> None:
    """Refuse labels of one class only.

    Raises
    ------
    InvalidManifest
        If there is no positive or no negative.
    """
    if labels.all() or not labels.any():
        missing = "negative" if labels.all() else "positive"
        raise InvalidManifest(
            f"there is no {missing} among {labels.size} labels, so cases cannot be ranked",
            remedy=f"Add {missing} cases, or report no AUC for this set",
        )


def check_fraction(value: float, name: str) -> None:
    """Refuse a value that is not between 0 and 1 (both excluded).

    Raises
    ------
    ConfigError
        If `value` is 0 or below, or 1 or above.
    """
    if not 0 < value < 1:
        raise ConfigError(
            f"{value} is not between 0 and 1", keyword=name, remedy="Give for example 0.95 for 95 %"
        )
