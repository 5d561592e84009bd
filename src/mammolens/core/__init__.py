"""The data types of mammolens: frozen, checked on construction, with NumPy as only dependency.

In the order in which they are made: `Mammogram`, `Exam`, `PreparedView`, `Scores`, `Prediction`.
Their arrays are read-only. ``None`` means unknown; it is never a guess and never "negative".
"""

from __future__ import annotations

from mammolens.core.clinical import ClinicalItem, Contribution, FusionResult, RiskStatement
from mammolens.core.density import DENSITY_CATEGORIES, Density, DensityCategory
from mammolens.core.geometry import Box, Geometry, turn_box
from mammolens.core.images import (
    Caution,
    Exam,
    ImageRef,
    Laterality,
    Mammogram,
    ObjectKind,
    Orientation,
    Photometric,
    PixelOrigin,
    PresentationIntent,
    Source,
    SourceHeader,
    Unreadable,
    ViewPosition,
    VoiFunction,
    VoiLut,
    Window,
)
from mammolens.core.predictions import (
    BreastPrediction,
    Finding,
    ImagePrediction,
    InputKind,
    ModelId,
    Prediction,
    Scores,
    TriageCategory,
)
from mammolens.core.quality import (
    Criterion,
    ImageQuality,
    Mark,
    MarkKind,
    Standing,
    quality_record,
)
from mammolens.core.views import Display, Overview, PreparedView

__all__ = [
    "DENSITY_CATEGORIES",
    "Box",
    "BreastPrediction",
    "Caution",
    "ClinicalItem",
    "Contribution",
    "Criterion",
    "Density",
    "DensityCategory",
    "Display",
    "Exam",
    "Finding",
    "FusionResult",
    "Geometry",
    "ImagePrediction",
    "ImageQuality",
    "ImageRef",
    "InputKind",
    "Laterality",
    "Mammogram",
    "Mark",
    "MarkKind",
    "ModelId",
    "ObjectKind",
    "Orientation",
    "Overview",
    "Photometric",
    "PixelOrigin",
    "Prediction",
    "PreparedView",
    "PresentationIntent",
    "RiskStatement",
    "Scores",
    "Source",
    "SourceHeader",
    "Standing",
    "TriageCategory",
    "Unreadable",
    "ViewPosition",
    "VoiFunction",
    "VoiLut",
    "Window",
    "quality_record",
    "turn_box",
]
