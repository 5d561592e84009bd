"""Read the codes of reports: B1 to B5 of core biopsies, C1 to C5 of cytology.

Source: NHS Breast Screening Programme, guidelines for non-operative diagnostic procedures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mammolens.pathology.assertions import Assertion
from mammolens.pathology.layout import Section
from mammolens.pathology.mentions import Marked
from mammolens.pathology.values import Outcome, Statement

__all__ = ["FINAL", "b_code_of", "c_code_outcomes"]

FINAL: Final = (Section.DIAGNOSIS, Section.SYNOPTIC)
"""The sections that hold the diagnosis; the others describe and discuss."""
_CODE: Final = re.compile(
    r"(?<![a-z\d.])b ?-?([1-5]) ?-?\(?([abc])?\)?(?![\w.]\d|\w)(?! ?- ?b?\d)", re.IGNORECASE
)
_CODE_PLACE: Final = (
    *FINAL,
    Section.BODY,
    Section.MICRO,
    Section.COMMENT,
    Section.ADDENDUM,
)
_CASSETTE: Final = re.compile(r"block|cassette|slide|section|specimen|vitamin|hepatitis|stage|pot ")


def b_code_of(rows: Iterable[Marked]) -> Statement | None:
    """Give the B-code of the latest section that has one; two codes of one section are unsure."""
    seen: dict[str, str] = {}
    later: dict[str, str] = {}
    for row in rows:
        if row.section not in _CODE_PLACE or row.is_rule:
            continue
        for match in _CODE.finditer(row.text):
            if _CASSETTE.search(row.text, max(0, match.start() - 14), match.start()):
                continue
            if row.context.judge(match.start(), match.end()) in (
                Assertion.HISTORICAL,
                Assertion.MENTIONED,
                Assertion.DENIED,
            ):
                continue
            code = f"B{match[1]}{(match[2] or '').lower()}"
            place = later if row.section is Section.ADDENDUM else seen
            place.setdefault(code, row.sentence.shown)
    used = later or seen
    if not used:
        return None
    lines = tuple(dict.fromkeys(used.values()))[:3]
    longest = max(used, key=len)
    if any(not longest.startswith(code) for code in used):
        return Statement(None, 0.0, lines, "several B-codes are given")
    return Statement(longest, 0.97, lines)


_C_CODE: Final = re.compile(r"(?<![a-z\d.])c ?-?([1-5])(?:[ab])?(?![\w.]\d|\w)")
_NOT_NOW: Final = (Assertion.HISTORICAL, Assertion.MENTIONED)
_C_MEANT: Final = {
    "1": Outcome.UNSATISFACTORY,
    "2": Outcome.BENIGN,
    "5": Outcome.MALIGNANT,
}


def c_code_outcomes(rows: Iterable[Marked]) -> Iterator[tuple[Outcome, bool, str]]:
    """Give the outcome of each C-code, whether it is only suspected (C3, C4), and its sentence."""
    for row in rows:
        for match in _C_CODE.finditer("" if row.is_rule else row.text):
            if row.context.judge(match.start(), match.end()) in _NOT_NOW:
                continue
            outcome = _C_MEANT.get(match[1])
            yield outcome or Outcome.MALIGNANT, outcome is None, row.sentence.shown
