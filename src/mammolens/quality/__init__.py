"""The input gate and the verdict at the door, before any score; all functions are pure.

The gate decides whether a picture shows one whole breast and may be scored: a `PreparedView` with
its overview goes in, and passed, doubted, or refused with the look of the picture comes out.
`assess` says what is wrong with the picture, criterion by criterion, and `compare_views` what is
wrong with an exam. Training and evaluation use neither.
"""

from mammolens.quality.criteria import compare_views
from mammolens.quality.gate import (
    GatePoint,
    Look,
    Outcome,
    Verdict,
    admit,
    built_in_point,
    judge,
)
from mammolens.quality.sharpness import picture_measures
from mammolens.quality.verdict import DOOR_CONFIG, assess

__all__ = [
    "DOOR_CONFIG",
    "GatePoint",
    "Look",
    "Outcome",
    "Verdict",
    "admit",
    "assess",
    "built_in_point",
    "compare_views",
    "judge",
    "picture_measures",
]
