"""Reception of objects from every source: they are checked, stored and entered."""

from __future__ import annotations

from mammolens.serve.intake.partial_object import Identifiers, PartialObject
from mammolens.serve.intake.reception import receive, too_large
from mammolens.serve.intake.watch import watching

__all__ = [
    "Identifiers",
    "PartialObject",
    "receive",
    "too_large",
    "watching",
]
