"""The Python interface: the functions and types of ``import mammolens as ml``.

The input is paths, and the output is `Prediction` objects. They have the same values as the results
of the command line, and methods to show them. `mammolens` imports this package when one of its
names is first used.
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
from mammolens.api.prediction import Prediction, to_frame
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
