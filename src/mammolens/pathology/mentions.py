"""Find the diagnoses and codes that a sentence mentions, and how it speaks about each one.

Codes are B1 to B5 of core biopsies and C1 to C5 of cytology.

Source: NHS Breast Screening Programme, guidelines for non-operative diagnostic procedures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mammolens.pathology.assertions import Assertion, Context, context_of
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.lexicon import CONCEPTS, INVASIVE_TYPES, Concept, normalise
from mammolens.pathology.titles import TELLING
from mammolens.pathology.values import Outcome, Statement

__all__ = ["FINAL", "Marked", "Mention", "b_code_of", "c_code_outcomes"]

_RULE: Final = re.compile(
    r"\bdefined as\b|\bguidelines?\b|\basco\b|\bis considered\b|\bare considered\b|"
    r"\bb1\b.{1,40}\bb2\b.{1,60}\bb3|^b[1-5][abc]? ?= |\bdoes not imply\b|\bin general\b|"
    r"\bliterature\b|\bfalse[- ]negative\b|\breference range\b|\bthis (?:test|assay)\b|"
    r"\bno (?:previous|prior)\b|\bvalidated\b|\bcontrols? (?:stain|react|are|is|show)"
)
"""A sentence about rules, methods or statistics; it says nothing about this tissue."""
_FAR: Final = 70
"""Letters behind "invasive carcinoma" within which its type is looked for."""


@dataclass(frozen=True)
class Mention:
    """A diagnosis in a sentence: where, which, and how it is asserted."""

    concept: Concept
    begin: int
    end: int
    how: Assertion


@dataclass(frozen=True)
class Marked:
    """A sentence and what it mentions; both are worked out once, when they are first needed."""

    sentence: Sentence

    @property
    def section(self) -> Section:
        """The section of the sentence."""
        return self.sentence.section

    @cached_property
    def context(self) -> Context:
        """The sentence in normal spelling, with its words of doubt and denial."""
        return context_of(normalise(self.sentence.text))

    @property
    def text(self) -> str:
        """The sentence in lower case and normal spelling."""
        return self.context.text

    @cached_property
    def is_rule(self) -> bool:
        """Whether it states a rule or a method, and nothing about the tissue."""
        return bool(_RULE.search(self.text))

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """The diagnoses in the order of the sentence; the first concept takes overlapping words."""
        if self.is_rule:
            return ()
        text, found = self.text, []
        for concept in CONCEPTS:
            for match in concept.pattern.finditer(text):
                how = self.context.judge(match.start(), match.end())
                found.append(Mention(concept, match.start(), match.end(), how))
                text = text[: match.start()] + "\0" * len(match[0]) + text[match.end() :]
        return tuple(sorted(found, key=lambda one: one.begin))

    def histologies(self) -> list[str]:
        """Name the histologies that are certainly present."""
        names: list[str] = []
        for mention in self.mentions:
            if mention.how is not Assertion.AFFIRMED or not mention.concept.histology:
                continue
            if mention.concept.histology == "invasive":
                names += self._types(mention)
            else:
                names.append(mention.concept.histology)
        return list(dict.fromkeys(names))

    def _types(self, mention: Mention) -> list[str]:
        """Name the types of an invasive carcinoma: within its words, or else shortly behind."""
        others = [one for one in self.mentions if one.begin >= mention.end and one.concept.outcome]
        end = min([mention.end + _FAR, *(one.begin for one in others)])
        inside = types_in(self.text[mention.begin : mention.end])
        return inside or [
            name
            for name in types_in(self.text[mention.end : end])
            if self.context.judge(mention.end, end) is Assertion.AFFIRMED
            or (
                name in ("ductal", "lobular")
                and self.context.judge(mention.end, mention.end + 1) is Assertion.AFFIRMED
            )
        ]


def types_in(text: str) -> list[str]:
    """Name the types of invasive carcinoma that a text names.

    Examples
    --------
    >>> types_in("invasive micropapillary carcinoma"), types_in("mixed ductal and lobular")
    (['micropapillary invasive'], ['mixed ductal lobular'])
    """
    names: list[str] = []
    for name, pattern in INVASIVE_TYPES:
        if match := pattern.search(text):
            names.append(name)
            if name == "mixed ductal lobular":
                return names
            text = text[: match.start()] + " " * len(match[0]) + text[match.end() :]
    return names


FINAL: Final = (Section.DIAGNOSIS, Section.SYNOPTIC)
"""The sections that hold the diagnosis; the others describe and discuss."""
_CODE: Final = re.compile(
    r"(?<![a-z\d.])b ?-?([1-5]) ?-?\(?([abc])?\)?(?![\w.]\d|\w)(?! ?- ?b?\d)", re.IGNORECASE
)
_CODE_DENIED: Final = re.compile(r"\)?,? (?:is|was)? ?(?:not\b|in error|withdrawn)")
_NO: Final = re.compile(r"\b(?:not?|nor|never|rather than|instead of|short of)\b[^,;:.()]{0,24}$")
"""A denial of a code itself; one of something else in the sentence leaves the code valid."""
_NOT_NOW: Final = (Assertion.HISTORICAL, Assertion.MENTIONED)
_CODE_PLACE: Final = TELLING - {Section.MARKERS}
_CASSETTE: Final = re.compile(r"block|cassette|slide|section|specimen|vitamin|hepatitis|stage|pot ")
"""Words before "B1" that make it a block, a vitamin or a virus, and not a B-code."""


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
            if _CODE_DENIED.match(row.text, match.end()):
                continue
            how = row.context.judge(match.start(), match.end())
            if how in _NOT_NOW or (
                how is Assertion.DENIED
                and _NO.search(row.text, max(0, match.start() - 40), match.start())
            ):
                continue
            code = f"B{match[1]}{(match[2] or '').lower()}"
            place = later if row.section is Section.ADDENDUM else seen
            place.setdefault(code, row.sentence.shown)
    used = later or seen
    if not used:
        return None
    lines = tuple(dict.fromkeys(used.values()))[:3]
    longest = max(used, key=len)  # "B5" and "B5b" are one code; "B5a" and "B5b" are two.
    if any(not longest.startswith(code) for code in used):
        return Statement(None, 0.0, lines, "several B-codes are given")
    return Statement(longest, 0.97, lines)


_C_CODE: Final = re.compile(r"(?<![a-z\d.])c ?-?([1-5])(?:[ab])?(?![\w.]\d|\w)")
_C_MEANT: Final = {
    "1": Outcome.UNSATISFACTORY,
    "2": Outcome.BENIGN,
    "5": Outcome.MALIGNANT,
}  # C3 and C4 suspect a malignancy.


def c_code_outcomes(rows: Iterable[Marked]) -> Iterator[tuple[Outcome, bool, str]]:
    """Give the outcome of each C-code, whether it is only suspected (C3, C4), and its sentence."""
    for row in rows:
        for match in _C_CODE.finditer("" if row.is_rule else row.text):
            if row.context.judge(match.start(), match.end()) in _NOT_NOW:
                continue
            outcome = _C_MEANT.get(match[1])
            yield outcome or Outcome.MALIGNANT, outcome is None, row.sentence.shown
