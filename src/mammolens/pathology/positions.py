"""Where in the breast a specimen was taken: clock position, distance from the nipple, quadrant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from mammolens.pathology.assertions import OTHER_MATERIAL
from mammolens.pathology.layout import Sentence
from mammolens.pathology.values import Statement

__all__ = ["clock_of", "distance_of", "quadrant_of"]

_ARCHIVE: Final = re.compile(r"\b(?:of|in) (?:19|20)\d\d\b|\bprevious|\bago\b|\bearlier\b")
_CLOCK: Final = re.compile(
    r"(?<![\d.])(1[0-2]|[1-9])(?:[:.](\d\d))?(?: ?(?:-|to|/|and) ?(1[0-2]|"
    r"[1-9])(?:[:.](\d\d))?)? ?(?:o'? ?c?l?ock\b|o'?cl\b|oc\b|o'c\b|clock\b)|"
    r"(?:@|\bat|position|,|bx|biopsy|core|breast|axilla|quadrant|left|right|\blt|\brt|\bl|"
    r"\br) ?(1[0-2]|[1-9]):(00|30)\b|"
    r"clock (?:position|face)\D{0,6}(1[0-2]|[1-9])\b|"
    r"\b(1[0-2]|[1-9])(?::00)? ?(?:h|hr|hrs|h00)\b(?! \w*fix)"
)


def clock_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the clock position; two positions, or one between two hours, are unsure."""
    seen: dict[int, str] = {}
    between: list[str] = []
    for sentence in sentences:
        if re.search(r"inked|margin|sutur|fixation|formalin|\bfixed\b|isch", sentence.text):
            continue
        if OTHER_MATERIAL.search(sentence.text) or _ARCHIVE.search(sentence.text):
            continue
        for match in _CLOCK.finditer(sentence.text):
            hour = int(next(g for g in (match[1], match[5], match[7], match[8]) if g))
            minutes = match[2] or match[6]
            if match[3] or (minutes or "00") != "00":
                between.append(sentence.shown)
            seen.setdefault(hour, sentence.shown)
    if between:
        return Statement(None, 0.0, tuple(between[:2]), "the clock position is between two hours")
    return _single(seen, 0.95, "several clock positions are named")


_DISTANCE: Final = re.compile(
    r"(\d{1,3}(?:\.\d)?)(?: ?(-|to) ?\d{1,3}(?:\.\d)?)? ?(cm|mm) ?(?:\(?fn\b|f\.n|"
    r"fr(?:om)? (?:the )?nipple|from nip|from (?:the )?(?:nac|areola)|cfn|from n\b)|"
    r"(\d{1,2}(?:\.\d)?) ?cmfn|\b(?:fn|distance from (?:the )?nipple|nipple distance|"
    r"dfn)\W{0,3}(\d{1,3}(?:\.\d)?) ?(cm|mm)|"
    r"\bn ?\+ ?(\d{1,2}(?:\.\d)?)\b"
)


def distance_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the distance from the nipple in cm."""
    seen: dict[float, str] = {}
    between: list[str] = []
    for sentence in sentences:
        for match in _DISTANCE.finditer(sentence.text):
            number = next(g for g in (match[1], match[4], match[5], match[7]) if g)
            factor = 0.1 if (match[3] or match[6]) == "mm" else 1.0
            if match[2]:
                between.append(sentence.shown)
            seen.setdefault(round(float(number) * factor, 2), sentence.shown)
    if between:
        return Statement(None, 0.0, tuple(between[:2]), "the distance is a range")
    return _single(seen, 0.95, "several distances from the nipple are named")


_QUADRANTS: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("upper outer",
            r"upper[ ,-]{1,2}outer|outer[ ,-]{1,2}upper|[lr]?\buoq|\b[lr]uoq|"
            r"upper lateral|superolateral"),
        ("upper inner",
            r"upper[ ,-]{1,2}inner|inner[ ,-]{1,2}upper|\b[lr]?uiq|upper medial|"
            r"superomedial"),
        ("lower outer",
            r"lower[ ,-]{1,2}outer|outer[ ,-]{1,2}lower|\b[lr]?loq|lower lateral|"
            r"inferolateral"),
        ("lower inner",
            r"lower[ ,-]{1,2}inner|inner[ ,-]{1,2}lower|\b[lr]?liq|lower medial|"
            r"inferomedial"),
        ("axillary tail", r"axillary tail|tail of spence"),
        ("central",
            r"retro-?areolar|sub-?areolar|\bcentral (?:breast|quadrant|location|region|"
            r"portion)|breast,? central"),
    )
)  # fmt: skip


def quadrant_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the quadrant; two quadrants are unsure."""
    seen: dict[str, str] = {}
    for sentence in sentences:
        if re.search(r"margin|sutur|orient|clips? at", sentence.text):
            continue
        for name, pattern in _QUADRANTS:
            if pattern.search(sentence.text):
                seen.setdefault(name, sentence.shown)
    return _single(seen, 0.95, "several quadrants are named")


T = TypeVar("T", str, int, float)


def _single(seen: Mapping[T, str], confidence: float, several: str) -> Statement | None:
    if not seen:
        return None
    evidence = tuple(dict.fromkeys(seen.values()))[:3]
    if len(seen) > 1:
        return Statement(None, 0.0, evidence, several)
    return Statement(next(iter(seen)), confidence, evidence)
