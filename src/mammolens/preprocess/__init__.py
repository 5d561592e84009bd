"""From a mammogram as read to the picture that a model sees, and back to source pixels.

Pure: arrays in, new arrays out. VOI → inversion → breast mask → turn → side → crop → one resize →
denoising → normalisation inside the mask → CLAHE → `PreparedView` with its `Geometry`. A marked
region takes a shorter way of its own: `prepare_region`.
"""

from mammolens.preprocess._steps import to_grey
from mammolens.preprocess.breast import BreastRegion, find_breast, looks_inverted
from mammolens.preprocess.config import (
    Denoise,
    InputConfig,
    Pectoral,
    PreprocessConfig,
    RegionConfig,
)
from mammolens.preprocess.display import Tone, display_of, make_display, make_thumbnail, tone_of
from mammolens.preprocess.grey import apply_voi, denoise, enhance_contrast, normalise
from mammolens.preprocess.orientation import turned
from mammolens.preprocess.picture_trust import usable_voi
from mammolens.preprocess.prepare import prepare
from mammolens.preprocess.region import SMALLEST_BOX_PX, prepare_crop, prepare_region

__all__ = [
    "SMALLEST_BOX_PX",
    "BreastRegion",
    "Denoise",
    "InputConfig",
    "Pectoral",
    "PreprocessConfig",
    "RegionConfig",
    "Tone",
    "apply_voi",
    "denoise",
    "display_of",
    "enhance_contrast",
    "find_breast",
    "looks_inverted",
    "make_display",
    "make_thumbnail",
    "normalise",
    "prepare",
    "prepare_crop",
    "prepare_region",
    "to_grey",
    "tone_of",
    "turned",
    "usable_voi",
]
