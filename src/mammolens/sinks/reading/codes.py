"""Codes of BI-RADS in DICOM, FHIR and HL7, and the words of a reading in English.

Source: PS3.16 CID 6000, 6004 to 6014, 6027 and 6028; ACR BI-RADS Atlas, 5th edition.
"""

from __future__ import annotations

from typing import Final

from mammolens.readings import Descriptors, SignedReading
from mammolens.sinks._dicom_codes import COMPOSITION, COMPOSITIONS, Code

__all__ = [
    "ASSESSMENT",
    "ASSESSMENTS",
    "COMMENT",
    "COMPOSITION",
    "COMPOSITIONS",
    "LENGTH",
    "MILLIMETRE",
    "NO",
    "PIXEL",
    "RECALL",
    "SELECTED_REGION",
    "YES",
    "descriptor_codes",
    "finding_code",
    "status_words",
]

_OURS: Final = "99MAMMOLENS"


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


ASSESSMENT: Final = _dcm("111005", "Assessment Category")
ASSESSMENTS: Final = {
    "0": _sct("397138000", "0 - Incomplete - Need additional imaging evaluation"),
    "1": _sct("397140005", "1 - Negative"),
    "2": _sct("397141009", "2 - Benign"),
    "3": _sct("397143007", "3 - Probably Benign"),
    "4": _sct("397144001", "4 - Suspicious"),
    "5": _sct("397145000", "5 - Highly suggestive of malignancy"),
    "6": Code("MA.II.A.5.6", "BI", "6 - Known biopsy proven malignancy"),
}
"""CID 6027."""
RECALL: Final = Code("RECALL", _OURS, "Patient is recalled")
YES: Final = _sct("373066001", "Yes")
NO: Final = _sct("373067005", "No")
COMMENT: Final = _dcm("121106", "Comment")
SELECTED_REGION: Final = _dcm("111099", "Selected region")
LENGTH: Final = _sct("410668003", "Length")
MILLIMETRE: Final = Code("mm", "UCUM", "millimeter")
PIXEL: Final = Code("{pixels}", "UCUM", "pixels")

_LESION: Final = _sct("52988006", "Lesion")
_FINDINGS: Final = {
    "mass": _sct("129788004", "Mammographic breast mass"),
    "calcification": _sct("129769006", "Calcification Cluster"),
    "asymmetry": _sct("129790003", "Asymmetric breast tissue"),
    "distortion": _sct("129792006", "Architectural distortion of breast"),
}
_GROUPS: Final = {
    ("mass", "shape"): _sct("300842002", "Shape"),
    ("mass", "margin"): _dcm("111037", "Margins"),
    ("mass", "density"): _dcm("111035", "Lesion Density"),
    ("calcification", "morphology"): _dcm("111009", "Calcification Type"),
    ("calcification", "distribution"): _dcm("111008", "Calcification Distribution"),
}
_VALUES: Final = {
    "oval": _sct("84360004", "Ovoid shape (Oval)"),
    "round": _sct("42700002", "Round shape"),
    "irregular": _sct("49608001", "Irregular"),
    "circumscribed": _sct("129738007", "Circumscribed lesion"),
    "obscured": _sct("129740002", "Obscured lesion"),
    "microlobulated": _sct("129739004", "Microlobulated lesion"),
    "indistinct": _sct("129741003", "Indistinct lesion"),
    "spiculated": _sct("129742005", "Spiculated lesion"),
    "high": _sct("129744006", "High density lesion"),
    "equal": _sct("129745007", "Equal density (isodense) lesion"),
    "low": _sct("129746008", "Low density (not containing fat) lesion"),
    "fat-containing": _sct("129747004", "Fat containing (radiolucent) lesion"),
    "amorphous": _sct("129760005", "Amorphous calcification"),
    "coarse-heterogeneous": _sct("129763007", "Heterogeneous calcification"),
    "fine-pleomorphic": _dcm("111344", "Fine pleomorphic calcification"),
    "fine-linear": _sct("129762002", "Fine linear, branching (casting) calcification"),
    "diffuse": _sct("129764001", "Diffuse calcification distribution"),
    "regional": _sct("129767008", "Regional calcification distribution"),
    "grouped": _sct("129766004", "Grouped calcification distribution"),
    "linear": _sct("129765000", "Linear calcification distribution"),
    "segmental": _sct("129768003", "Segmental calcification distribution"),
}


def finding_code(descriptors: Descriptors | None) -> Code:
    """Give the code of a kind of finding; a lesion where the reader has named none."""
    return _FINDINGS[descriptors.type] if descriptors else _LESION


def descriptor_codes(descriptors: Descriptors) -> list[tuple[Code, Code]]:
    """Give name and value of each descriptor; one without a code of the standard gets ours.

    Examples
    --------
    >>> mass = Descriptors(type="mass", answers={"margin": "spiculated"})
    >>> [(name.meaning, value.meaning) for name, value in descriptor_codes(mass)]
    [('Margins', 'Spiculated lesion')]
    """
    found = []
    for group, value in descriptors.answers.items():
        named = f"{descriptors.type} {group}"
        name = _GROUPS.get((descriptors.type, group), Code(_key(named), _OURS, named))
        own = Code(_key(f"{named} {value}"), _OURS, value.replace("-", " "))
        found.append((name, _VALUES.get(value, own)))
    return found


def status_words(reading: SignedReading) -> list[str]:
    """Say what a reader of the result must know of its standing, in English."""
    words = [reading.banner] if reading.banner else []
    if reading.marked_by is not None:
        words.append(f"Marked by {reading.marked_by.name}, with whom the arbiter agrees.")
    if reading.marks_left_out:
        words.append(f"Marks of {', '.join(reading.marks_left_out)} are in their own reports.")
    if reading.role == "opinion":
        words.append("A second opinion: it is not the answer of the exam.")
    if reading.is_behind:
        words.append("Not final: images came later, another answer stands, or one is awaited.")
    return words


def _key(text: str) -> str:
    return text.upper().replace(" ", "_").replace("-", "_")[:16]
