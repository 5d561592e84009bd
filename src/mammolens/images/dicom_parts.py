"""Which part of a breast a view shows, and how large: what is no whole view is refused by name.

A model that was trained on whole breasts at contact scale has nothing to say of a magnified spot.
Such a view is also a sign that somebody looked closer, so an exam that has one is never called low.
Implants and partial views are read, with a caution. What the header does not say is not known, and
nothing is said of it.

Source: PS3.3 C.8.11.5 and C.8.11.7 (mammography image), PS3.16 CID 4015 (view modifiers).
"""

from __future__ import annotations

from typing import Final

from mammolens.errors import NotAWholeView
from mammolens.images.dicom_values import Tags

__all__ = ["CONTACT_MAGNIFICATION", "IMPLANT", "PARTIAL", "part_refusal", "view_modifiers"]

IMPLANT: Final = "breast_implant"
PARTIAL: Final = "partial_view"
CONTACT_MAGNIFICATION: Final = 1.3
"""More than a thick breast on the detector comes to; a magnification stand gives 1.5 to 2."""

_REFUSED: Final = {
    "399163009": "a magnification view",
    "R-102D6": "a magnification view",
    "399055006": "a spot compression view",
    "R-102D7": "a spot compression view",
    "399110001": "a tangential view",
    "R-102C2": "a tangential view",
    "399161006": "a cleavage view, of both breasts",
    "R-102D2": "a cleavage view, of both breasts",
    "442580003": "a view of axillary tissue",
    "R-40AB2": "a view of axillary tissue",
}
_DISPLACED: Final = ("399209000", "R-102D5")


def part_refusal(tags: Tags) -> NotAWholeView | None:
    """Say why a view is none of a whole breast; note an implant, a partial or a modified view."""
    codes = {value: meaning for value, _, meaning in view_modifiers(tags)}
    refused = next((code for code in codes if code in _REFUSED), None)
    if refused is not None:
        return _refusal(tags, _REFUSED[refused], "ViewModifierCodeSequence")
    factor = next(iter(tags.numbers("EstimatedRadiographicMagnificationFactor")), 1.0)
    if factor > CONTACT_MAGNIFICATION:
        what = f"magnified {factor:g} times"
        return _refusal(tags, what, "EstimatedRadiographicMagnificationFactor")
    if tags.code("BreastImplantPresent") == "YES" or any(code in codes for code in _DISPLACED):
        tags.caution(IMPLANT, "the breast has an implant")
    if tags.code("PartialView") == "YES":
        tags.caution(PARTIAL, "the image shows a part of the breast")
    for meaning in (meaning for code, meaning in codes.items() if code not in _DISPLACED):
        tags.caution("view_modified", f"the view is modified: {meaning or 'it is not said how'}")
    return None


def view_modifiers(tags: Tags) -> tuple[tuple[str, str, str], ...]:
    """View Modifier Code Sequence (0054,0222) as (value, scheme, meaning)."""
    views = [Tags(item, tags.source) for item in tags.items("ViewCodeSequence")]
    codes = [Tags(code, tags.source) for v in views for code in v.items("ViewModifierCodeSequence")]
    words = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    found = [tuple(code.text(word) or "" for word in words) for code in codes]
    return tuple((value, scheme, meaning) for value, scheme, meaning in found if value and scheme)


def _refusal(tags: Tags, what: str, keyword: str) -> NotAWholeView:
    return NotAWholeView(
        f"the view is not of a whole breast as the model knows it: {what}",
        source=tags.source,
        keyword=keyword,
        remedy="Send the standard views of the breast",
    )
