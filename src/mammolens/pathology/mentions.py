"""Find the diagnoses that a sentence mentions, and how it speaks about each one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mammolens.pathology.assertions import Assertion, Context, context_of
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.lexicon import CONCEPTS, INVASIVE_TYPES, Concept, normalise

__all__ = ["Marked", "Mention"]

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
        """The diagnoses in the order of the sentence; overlapping words go to the first rule."""
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
