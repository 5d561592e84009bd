"""mammolens from Python: what ``import mammolens as ml`` offers beside its constants.

Paths flow in, `Prediction` objects flow out. Each is the one that the command line writes, with
ways to look at it. `mammolens` itself loads this room when one of its names is first used.
"""

from mammolens.api.calls import (
    analyze,
    evaluate,
    iter_analyze,
    load_model,
    prepare,
    read,
    sample_exams,
)
from mammolens.api.frames import to_frame
from mammolens.api.prediction import Prediction
from mammolens.core import Mammogram, PreparedView, TriageCategory
from mammolens.data.manifest import Manifest
from mammolens.model import ModelPackage

__all__ = [
    "Mammogram",
    "Manifest",
    "ModelPackage",
    "Prediction",
    "PreparedView",
    "TriageCategory",
    "analyze",
    "evaluate",
    "iter_analyze",
    "load_model",
    "prepare",
    "read",
    "sample_exams",
    "to_frame",
]
