"""Results: scores, findings and maps of images, breasts and exams, up to the `Prediction`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from mammolens.core.clinical import ClinicalItem, FusionResult, RiskStatement
from mammolens.core.density import Density
from mammolens.core.geometry import Box, Geometry
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
from mammolens.core.quality import Criterion, ImageQuality
from mammolens.core.views import Display

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
    """Triage category of an exam. ``FAILED`` means unknown: read the exam as soon as a high one."""

    HIGH = "high"
    INTERMEDIATE = "intermediate"
    LOW = "low"
    FAILED = "failed"


class InputKind(str, Enum):
    """Whether one input of a model shows a whole breast or one lesion."""

    BREAST = "breast"
    LESION = "lesion"


@dataclass(frozen=True)
class Scores:
    """Calibrated probabilities of one image, breast or exam; their sum is one."""

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
    """A suspicious place: its box, and the strength of the map there.

    `score` is relative to the level that was validated on marked lesions (1 is exactly at the
    level). It is not a probability.
    """

    box_source_px: Box
    score: float
    kind: str = "malignancy"
    origin: str = "grad-cam"


@dataclass(frozen=True)
class ImagePrediction:
    """Result of one image.

    Maps are raw Grad-CAM values (h, w) ≥ 0 that cover the prepared frame. Divide them by
    `map_level` to compare images. `voi` and then `photometric` turn stored values into grey values.
    `measures` are finite numbers of the picture's quality by name, which are watched over time.
    `density` are the probabilities of `DENSITY_CATEGORIES`; ``None`` if the model has no head.
    """

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
    measures: Mapping[str, float] = field(default_factory=dict)
    quality: ImageQuality | None = None
    density: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class BreastPrediction:
    """Result of one breast, from all its views; `density` is ``None`` where it is unknown."""

    laterality: Laterality | None
    scores: Scores
    density: Density | None = None


@dataclass(frozen=True)
class ModelId:
    """Identity of a model: `digest` is the SHA-256 of its graph."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Prediction:
    """Result of one exam. `scores` is ``None`` exactly when the category is ``FAILED``.

    Every image of the exam is in `images` if it was analysed, else in `unreadable`. The
    probabilities are valid where the share of malignant breasts is `prevalence`. The odds of
    malignancy were multiplied by `age_odds_factor` because of the patient's age; it is ``None`` if
    the model does not use the age, the age is unknown, or `fusion` uses the age in its place.
    `clinical` is what is known of the patient beside the images. `fusion` says how it changed the
    scores, and is ``None`` if it changed nothing. `risk` is a statement of its own, and no part of
    the scores. `quality` are the criteria of the exam; those of an image are with the image.
    `density` is that of the denser breast as the model states it, ``None`` where it is unknown. It
    stands beside a density in `clinical`, and influences neither scores nor category.
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
    clinical: tuple[ClinicalItem, ...] = ()
    fusion: FusionResult | None = None
    risk: RiskStatement | None = None
    quality: tuple[Criterion, ...] = ()
    density: Density | None = None

    def __post_init__(self) -> None:
        if (self.scores is None) != (self.category is TriageCategory.FAILED):
            raise ValueError("an exam has scores exactly when it did not fail")
