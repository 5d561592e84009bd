"""The input gate: it decides whether a picture shows one whole breast and may be scored.

A `PreparedView` with its overview goes in. The verdict is passed, doubted, or refused with the kind
of picture that it looks like. The functions are pure. Training and evaluation do not use the gate.
"""

from mammolens.quality.gate import (
    GatePoint,
    Look,
    Outcome,
    Verdict,
    admit,
    built_in_point,
    judge,
)
from mammolens.quality.measures import picture_measures

__all__ = [
    "GatePoint",
    "Look",
    "Outcome",
    "Verdict",
    "admit",
    "built_in_point",
    "judge",
    "picture_measures",
]
