"""Results are finite numbers: an exam with NaN or infinity in its result is a failed exam."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mammolens.core import (
    Caution,
    ImagePrediction,
    Prediction,
    Source,
    TriageCategory,
    Unreadable,
)


def fail_if_not_finite(prediction: Prediction) -> Prediction:
    """Give a failed exam if a number of the result is not finite, else `prediction` itself.

    If one number is wrong, the other numbers of the exam cannot be trusted.
    """
    doubtful = [image.ref.path for image in prediction.images if not _finite(image)]
    if not doubtful and math.isfinite(prediction.elapsed_s):
        return prediction
    named = ", ".join(doubtful) or "its duration"
    caution = Caution(
        "not_finite", f"the model gave numbers that are not finite ({named}): unknown"
    )
    return replace(
        prediction,
        category=TriageCategory.FAILED,
        scores=None,
        breasts=(),
        images=(),
        unreadable=(*prediction.unreadable, *map(_unknown, prediction.images)),
        cautions=(*prediction.cautions, caution),
        elapsed_s=prediction.elapsed_s if math.isfinite(prediction.elapsed_s) else 0.0,
    )


def _unknown(image: ImagePrediction) -> Unreadable:
    source = Source(image.ref, image.header)
    message = f"{image.ref.path}: the model gave numbers that are not finite for the exam"
    return Unreadable(image.ref.path, "ModelError", message, source)


def _finite(image: ImagePrediction) -> bool:
    numbers = [image.map_level, *(n for f in image.findings for n in (*f.box_source_px, f.score))]
    maps = (image.malignancy_map, image.tumour_map)
    return (
        all(map(math.isfinite, numbers))
        and image.map_level > 0
        and all(bool(np.isfinite(activation).all()) for activation in maps)
    )
