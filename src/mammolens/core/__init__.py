"""The types that flow through mammolens: frozen, checked on construction, NumPy only.

files → `Mammogram` → `Exam` → `PreparedView` → scores and maps → `Prediction` → sinks.
Arrays inside are read-only. ``None`` means unknown, never a guess and never "negative".
"""

from __future__ import annotations

from mammolens.core.answers import (
    BreastPrediction,
    Finding,
    ImagePrediction,
    InputKind,
    ModelId,
    Prediction,
    Scores,
    TriageCategory,
)
from mammolens.core.images import (
    Caution,
    Exam,
    ImageRef,
    Laterality,
    Mammogram,
    ObjectKind,
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
from mammolens.core.prepared import Box, Display, Geometry, Overview, PreparedView

__all__ = [
    "Box",
    "BreastPrediction",
    "Caution",
    "Display",
    "Exam",
    "Finding",
    "Geometry",
    "ImagePrediction",
    "ImageRef",
    "InputKind",
    "Laterality",
    "Mammogram",
    "ModelId",
    "ObjectKind",
    "Overview",
    "Photometric",
    "PixelOrigin",
    "Prediction",
    "PreparedView",
    "PresentationIntent",
    "Scores",
    "Source",
    "SourceHeader",
    "TriageCategory",
    "Unreadable",
    "ViewPosition",
    "VoiFunction",
    "VoiLut",
    "Window",
]
