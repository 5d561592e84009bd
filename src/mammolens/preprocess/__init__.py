"""From a mammogram as read to the picture that a model sees, and back to source pixels.

Pure: arrays in, new arrays out. VOI → inversion → breast mask → orientation → crop → one resize →
denoising → normalisation inside the mask → CLAHE → `PreparedView` with its `Geometry`.
"""

from mammolens.preprocess.breast import BreastRegion, find_breast, looks_inverted
from mammolens.preprocess.config import Denoise, Pectoral, PreprocessConfig
from mammolens.preprocess.grey import apply_voi, denoise, enhance_contrast, normalise
from mammolens.preprocess.prepare import make_display, prepare

__all__ = [
    "BreastRegion",
    "Denoise",
    "Pectoral",
    "PreprocessConfig",
    "apply_voi",
    "denoise",
    "enhance_contrast",
    "find_breast",
    "looks_inverted",
    "make_display",
    "normalise",
    "prepare",
]
