"""mammolens: an open second reader for mammography. Research use only, not a medical device.

``import mammolens as ml`` costs next to nothing: what it offers is loaded when it is first used.
`mammolens/__init__.pyi` names the types for editors and type checkers.

Source: Scientific Python SPEC 1, lazy loading of submodules and functions.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

__all__ = [
    "DISCLAIMER",
    "Mammogram",
    "Manifest",
    "ModelPackage",
    "Prediction",
    "PreparedView",
    "TriageCategory",
    "__version__",
    "analyze",
    "errors",
    "evaluate",
    "iter_analyze",
    "load_model",
    "prepare",
    "read",
    "sample_exams",
    "to_frame",
]

DISCLAIMER = "Research use only, not a medical device."

try:
    __version__ = version("mammolens")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("mammolens.errors")
    if name in __all__:
        return getattr(import_module("mammolens.api"), name)
    raise AttributeError(f"module 'mammolens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
