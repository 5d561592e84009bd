"""Preprocessing: a `Mammogram` becomes the `PreparedView` that a model sees.

The functions are pure: arrays in, new arrays out. `prepare` does these steps in this order: VOI,
inversion, breast mask, turning upright, chest wall to the left, crop, one resize, normalisation
inside the mask, denoising, CLAHE. The `Geometry` of the result maps positions back to source
pixels. `prepare_region` does the shorter sequence of steps for a marked region.
"""

from mammolens.preprocess.breast import BreastRegion, find_breast, looks_inverted
from mammolens.preprocess.config import (
    Denoise,
    InputConfig,
    Pectoral,
    PreprocessConfig,
    RegionConfig,
)
from mammolens.preprocess.display import Tone, display_of, make_display, make_thumbnail, tone_of
from mammolens.preprocess.grey import apply_voi, denoise, enhance_contrast, normalise, to_grey
from mammolens.preprocess.muscle import MuscleEdge, find_muscle
from mammolens.preprocess.orientation import turned
from mammolens.preprocess.picture_trust import usable_voi
from mammolens.preprocess.prepare import prepare
from mammolens.preprocess.region import SMALLEST_BOX_PX, prepare_crop, prepare_region

__all__ = [
    "SMALLEST_BOX_PX",
    "BreastRegion",
    "Denoise",
    "InputConfig",
    "MuscleEdge",
    "Pectoral",
    "PreprocessConfig",
    "RegionConfig",
    "Tone",
    "apply_voi",
    "denoise",
    "display_of",
    "enhance_contrast",
    "find_breast",
    "find_muscle",
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
