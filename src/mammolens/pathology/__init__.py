"""Read pathology reports: outcome, side and details of each specimen, with the proving sentence.

`read_text` reads the text of one report. It uses a grammar of our own and the standard library.
"""

from __future__ import annotations

from mammolens.pathology.grammar import read_text
from mammolens.pathology.values import (
    MALIGNANT,
    Outcome,
    Property,
    SpecimenReading,
    Statement,
    TextReading,
    Tissue,
)

__all__ = [
    "MALIGNANT",
    "Outcome",
    "Property",
    "SpecimenReading",
    "Statement",
    "TextReading",
    "Tissue",
    "read_text",
]
