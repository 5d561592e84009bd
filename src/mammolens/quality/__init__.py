"""Whether a picture may be scored at all: the input gate.

`PreparedView` with its overview → verdict: passed, doubted, or refused by name. Pure, and never
asked in training or evaluation.
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

__all__ = ["GatePoint", "Look", "Outcome", "Verdict", "admit", "built_in_point", "judge"]
