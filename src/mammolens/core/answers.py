"""What a model says of them: `Scores` and maps → `Prediction` → sinks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from mammolens.core.images import (
    Caution,
    ImageRef,
    Laterality,
    Photometric,
    SourceHeader,
    Unreadable,
    VoiLut,
    Window,
)
from mammolens.core.prepared import Box, Display, Geometry

__all__ = [
    "BreastPrediction",
    "Finding",
    "ImagePrediction",
    "InputKind",
    "ModelId",
    "Prediction",
    "Scores",
    "TriageCategory",
]


class TriageCategory(str, Enum):
    """Place of an exam on the worklist. ``FAILED`` means unknown: read it like a high one."""

    HIGH = "high"
    INTERMEDIATE = "intermediate"
    LOW = "low"
    FAILED = "failed"


class InputKind(str, Enum):
    """What one input of a model shows."""

    BREAST = "breast"
    LESION = "lesion"


@dataclass(frozen=True)
class Scores:
    """Calibrated probabilities of one image, breast or exam; they sum to one."""

    normal: float
    benign: float
    malignant: float

    def __post_init__(self) -> None:
        parts = (self.normal, self.benign, self.malignant)
        if not all(math.isfinite(p) and 0.0 <= p <= 1.0 for p in parts):
            raise ValueError(f"probabilities outside 0–1: {parts}")
        if abs(sum(parts) - 1.0) > 1e-4:
            raise ValueError(f"probabilities do not sum to one: {parts}")

    @property
    def tumour(self) -> float:
        """P(tumour) = 1 − P(normal)."""
        return 1.0 - self.normal


@dataclass(frozen=True)
class Finding:
    """A place worth a look: its box, and the strength of the map there relative to the
    validated level (1 = just at the level); not a probability."""

    box_source_px: Box
    score: float
    kind: str = "malignancy"
    origin: str = "grad-cam"


@dataclass(frozen=True)
class ImagePrediction:
    """One image's result. Maps are raw Grad-CAM values (h, w) ≥ 0 over the prepared frame;
    divide by `map_level` to compare images. `voi`, then `photometric`, turn pixels to grey."""

    ref: ImageRef
    header: SourceHeader
    scores: Scores
    findings: tuple[Finding, ...]
    geometry: Geometry
    malignancy_map: npt.NDArray[np.float32]
    tumour_map: npt.NDArray[np.float32]
    map_level: float
    display: Display | None = None
    cautions: tuple[Caution, ...] = ()
    photometric: Photometric = Photometric.MONOCHROME2
    voi: Window | VoiLut | None = None


@dataclass(frozen=True)
class BreastPrediction:
    """One breast's result, over all its views."""

    laterality: Laterality | None
    scores: Scores


@dataclass(frozen=True)
class ModelId:
    """Which model spoke: `digest` is the SHA-256 of its graph."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Prediction:
    """One exam's result. `scores` is ``None`` exactly when the category is ``FAILED``.

    Every image of the exam is among `images` or, where nothing is known of it, `unreadable`.
    `prevalence` is the share of malignant breasts that the probabilities stand for;
    `age_odds_factor` is what the woman's age multiplied the odds of malignancy by (``None`` where
    the model uses no age, or hers is unknown).
    """

    patient_id: str | None
    study_instance_uid: str | None
    category: TriageCategory
    scores: Scores | None
    breasts: tuple[BreastPrediction, ...]
    images: tuple[ImagePrediction, ...]
    unreadable: tuple[Unreadable, ...]
    cautions: tuple[Caution, ...]
    model: ModelId
    prevalence: float
    elapsed_s: float
    age_odds_factor: float | None = None

    def __post_init__(self) -> None:
        if (self.scores is None) != (self.category is TriageCategory.FAILED):
            raise ValueError("an exam has scores exactly when it did not fail")
