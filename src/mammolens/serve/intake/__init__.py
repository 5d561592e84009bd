"""Reception of objects, whichever way they come: they are checked, kept and entered."""

from __future__ import annotations

from mammolens.serve.intake.partial_object import Named, PartialObject
from mammolens.serve.intake.reception import receive, too_large
from mammolens.serve.intake.watch import watching

__all__ = [
    "Named",
    "PartialObject",
    "receive",
    "too_large",
    "watching",
]
