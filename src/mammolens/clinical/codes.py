"""Codes of other systems for items: LOINC, SNOMED CT (accepted, not shipped as text), ICD-10."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mammolens.clinical.items import BIRTH_DATE, item_named
from mammolens.core import Laterality

__all__ = ["condition_of_code", "is_breast_cancer", "item_of_code"]

_ITEM_OF_CODE: Final = {
    **dict.fromkeys(("21611-9", "21612-7", "29553-5", "30525-0"), "age"),
    "398700009": "menarche_age",
    "29463-7": "weight",
    "8302-2": "height",
}
"""Sources: HL7 v3 value set LOINCObservationActContextAgeType; IHE Antepartum Summary (menarche);
FHIR R4 vital signs (weight, height). Breast density has no code that every system shares, so it is
found by its name."""

_CANCER: Final = frozenset(("254837009",))
"""SNOMED CT: malignant neoplasm of breast, as our own results use it."""
_CANCER_ICD: Final = re.compile(r"(?:C50|D05)\.?\w{0,4}")
"""ICD-10 and ICD-10-CM: malignant neoplasm, and carcinoma in situ, of the breast."""
_ICD_SIDE: Final = re.compile(r"(?:C50\.?\w[12]([12])|D05\.?\w([12])|N63\.?([12])\d?)")
"""ICD-10-CM: the digit of the side; 1 is right, 2 is left."""
_CONDITIONS: Final = (
    (re.compile(r"Z85\.?3"), "prior_cancer"),
    (re.compile(r"N63(\.?\d{1,2})?"), "lump"),
    (re.compile(r"N64\.?4"), "pain"),
    (re.compile(r"N64\.?52"), "discharge"),
    (re.compile(r"Z98\.?82"), "implants"),
    (re.compile(r"Z79\.?890"), "hormone_therapy"),
)
"""ICD-10-CM: personal history of breast cancer, lump, mastodynia, nipple discharge, breast implant
status, hormone replacement therapy."""


def item_of_code(words: Iterable[str]) -> str | None:
    """Give the item that one of some codes or names means.

    A birth date is none: messages have a field of its own for it.

    Examples
    --------
    >>> item_of_code(["30525-0", "Age"]), item_of_code(["x", "Breast density"]), item_of_code(["x"])
    ('age', 'density', None)
    """
    for word in words:
        found = _ITEM_OF_CODE.get(word) or item_named(word)
        if found is not None and found != BIRTH_DATE:
            return found
    return None


def is_breast_cancer(codes: Iterable[str]) -> bool:
    """Say whether a code is of cancer of the breast."""
    return any(code in _CANCER or _CANCER_ICD.fullmatch(code.upper()) for code in codes)


def condition_of_code(codes: Iterable[str]) -> tuple[str, Laterality | None] | None:
    """Give the item that a coded condition means, and its side if the code has one.

    Examples
    --------
    >>> condition_of_code(["C50.912"])
    ('prior_cancer', <Laterality.LEFT: 'L'>)
    >>> condition_of_code(["I10"]) is None
    True
    """
    for code in (code.strip().upper() for code in codes):
        match = _ICD_SIDE.match(code)
        digit = next(filter(None, match.groups()), "") if match else ""
        side = {"1": Laterality.RIGHT, "2": Laterality.LEFT}.get(digit)
        if code in _CANCER or _CANCER_ICD.fullmatch(code):
            return "prior_cancer", side
        for pattern, name in _CONDITIONS:
            if pattern.fullmatch(code):
                return name, side
    return None
