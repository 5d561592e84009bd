"""Read DDSM's ``.OVERLAY`` files: outlines of abnormalities as chain codes, with their labels.

Source: http://www.eng.usf.edu/cvprg/Mammography/DDSM/case_description.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mammolens.core import Box
from mammolens.data.lesions import LesionKind

__all__ = ["Abnormality", "Overlay", "parse_overlay"]

_START = re.compile(r"^[ \t]*ABNORMALITY[ \t]+\d+", re.MULTILINE)
_TOTAL = re.compile(r"TOTAL_ABNORMALITIES\s+(\d+)")
_TYPE = re.compile(r"LESION_TYPE[ \t]+(\S+)[ \t]*(.*)")
_ASSESSMENT = re.compile(r"ASSESSMENT[ \t]+([0-6])\b")
_PATHOLOGY = re.compile(r"PATHOLOGY[ \t]+(\S+)")
_BOUNDARY = re.compile(r"BOUNDARY\s+((?:\d+\s+)*\d+)")
_MALIGNANT = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False}
_STEPS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""(rows, columns) of the eight directions: 0 is up, then clockwise."""


@dataclass(frozen=True)
class Abnormality:
    """One marked abnormality. `malignant` is ``None`` if the pathology is unproven; `box_source_px`
    is ``None`` if the outline is damaged."""

    kind: LesionKind
    malignant: bool | None
    assessment: str | None
    box_source_px: Box | None


@dataclass(frozen=True)
class Overlay:
    """The abnormalities of one film. `complete` is false if the file announces another number of
    abnormalities than it holds."""

    abnormalities: tuple[Abnormality, ...]
    complete: bool


def parse_overlay(text: str) -> Overlay:
    """Read the marks of one film. Cores are ignored: they are inside the boundary's box.

    Examples
    --------
    >>> overlay = parse_overlay(
    ...     "TOTAL_ABNORMALITIES 1\\nABNORMALITY 1\\nLESION_TYPE MASS SHAPE OVAL MARGINS OBSCURED"
    ...     "\\nASSESSMENT 4\\nSUBTLETY 5\\nPATHOLOGY MALIGNANT\\nTOTAL_OUTLINES 1\\nBOUNDARY\\n"
    ...     "10 20 2 2 4 4 6 6 0 0 #"
    ... )
    >>> overlay.abnormalities[0].malignant, overlay.abnormalities[0].box_source_px
    (True, (20.0, 10.0, 23.0, 13.0))
    """
    blocks = _START.split(text)[1:]
    total = _TOTAL.search(text)
    return Overlay(
        tuple(_abnormality(block) for block in blocks),
        complete=total is not None and int(total[1]) == len(blocks) > 0,
    )


def _abnormality(block: str) -> Abnormality:
    kind, pathology = _TYPE.search(block), _PATHOLOGY.search(block)
    assessment, boundary = _ASSESSMENT.search(block), _BOUNDARY.search(block)
    return Abnormality(
        kind=_kind(kind[1], kind[2]) if kind else LesionKind.OTHER,
        malignant=_MALIGNANT.get(pathology[1].upper()) if pathology else None,
        assessment=assessment[1] if assessment else None,
        box_source_px=_box([int(n) for n in boundary[1].split()]) if boundary else None,
    )


def _kind(word: str, details: str) -> LesionKind:
    if word == "CALCIFICATION":
        return LesionKind.CALCIFICATION
    if word != "MASS":
        return LesionKind.OTHER
    shape = re.search(r"SHAPE[ \t]+(\S+)", details)
    if shape and shape[1] == "ARCHITECTURAL_DISTORTION":
        return LesionKind.DISTORTION
    if shape and "ASYMMETRIC" in shape[1]:
        return LesionKind.ASYMMETRY
    return LesionKind.MASS


def _box(numbers: list[int]) -> Box | None:
    """Give the smallest box around an outline: column and row of the start, then its steps."""
    if len(numbers) < 3 or max(numbers[2:]) > 7:
        return None
    (column, row), rows, columns = numbers[:2], [0], [0]
    for step in numbers[2:]:
        rows.append(rows[-1] + _STEPS[step][0])
        columns.append(columns[-1] + _STEPS[step][1])
    return (
        float(row + min(rows)),
        float(column + min(columns)),
        float(row + max(rows) + 1),
        float(column + max(columns) + 1),
    )
