"""Divide a report without labels by the places that its headings name.

"Left breast, 2 o'clock: fibroadenoma. Left breast, 9 o'clock: DCIS" has two specimens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.site import is_node

__all__ = ["PLACE_MARK", "named_by_place", "repeated_heading"]

PLACE_MARK: Final = "@"
"""The first letter of a name that stands for a place, and is no label of the report."""
_SECTIONS: Final = (Section.BODY, Section.DIAGNOSIS, Section.MICRO)
_HEADING: Final = re.compile(r"^(.{3,100}?)(?::(?!\d)| - |;)(?=.*[a-z]{3})")
_KINDS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:lesion|mass|site|target|area|cluster) #?([a-d1-4])\b",
        r"\b(1[0-2]|[1-9])(?::[0-5]0)? ?(?:o'? ?clock|h\b)|\b(1[0-2]|[1-9]):[0-5]0\b",
        r"\b([ul][oi]q)\b|\b((?:upper|lower)[ -](?:outer|inner))\b|\b(retroareolar|subareolar)\b",
        r"\b(medial|lateral|superior|inferior|anterior|posterior|larger|smaller) "
        r"(?:lesion|mass|site|area|cluster)",
    )
)
"""What tells the places of two headings apart, the surest first."""
_OTHER_HEADING: Final = re.compile(
    r"^\W*(?:left|right|lt|rt|l|r)\b\.? .*(?:breast|axill|node|core|biops|fna|aspirat|cyst)"
)
"""A heading that begins with a side and has none of these places."""
_SAMPLES: Final = re.compile(r"\bcores?\b|biops|\bbx\b|\bfna|\bva[bc]\b|gauge|aspirat|\b1[0-8]g\b")
_ONE_SPECIMEN: Final = re.compile(r"mastectomy|lumpectomy|\bwle\b|wide local|excis|segmentectomy")
_SIDE: Final = re.compile(r"\b(left|right|lt|rt|l|r)\b")


def named_by_place(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Give a name to the sentences under each heading, if the headings name different places.

    Nothing changes in a report with labels, or of an operation: its lesions are of one specimen.
    """
    told = [s for s in sentences if s.section is not Section.HISTORY]
    text = " ".join(s.text for s in told)[:20_000]
    if any(s.names for s in told) or not _SAMPLES.search(text) or _ONE_SPECIMEN.search(text):
        return list(sentences)
    for kind in _KINDS:
        keys = [_key(s, kind) for s in sentences]
        if len({key for key in keys if key and key[2:] not in ("node", "other")}) > 1:
            return _named(sentences, keys)
    return list(sentences)


def _key(sentence: Sentence, kind: re.Pattern[str]) -> str:
    heading = _HEADING.match(sentence.text) if sentence.section in _SECTIONS else None
    place = kind.search(heading[1]) if heading else None
    side = _SIDE.search(heading[1]) if heading else None
    if heading and not place and side and _OTHER_HEADING.match(heading[1]):
        return f"{side[1][0]} {'node' if is_node(heading[1]) else 'other'}"
    if not heading or not place:
        return ""
    return f"{side[1][0] if side else ''} {next(group for group in place.groups() if group)}"


def _named(sentences: Sequence[Sentence], keys: Sequence[str]) -> list[Sentence]:
    result: list[Sentence] = []
    names: tuple[str, ...] = ()
    section: Section | None = None
    for sentence, key in zip(sentences, keys, strict=True):
        if sentence.section is not section:
            section, names = sentence.section, ()
        names = (PLACE_MARK + key,) if key else names
        result.append(replace(sentence, names=names))
    return result


_SIDED: Final = re.compile(
    r"^\W*(?:[\w-]+\W{1,3}){0,2}?(left|right|lt|rt)\b.{0,60}?(?:\bcores?\b|biops|\bbx\b|\bfna)"
)


def repeated_heading(sentences: Iterable[Sentence]) -> bool:
    """Whether one section has two headings of biopsies of one side, each with its own text."""
    seen: set[tuple[Section, str]] = set()
    for sentence in sentences:
        if sentence.names or sentence.section not in (Section.BODY, Section.DIAGNOSIS):
            continue
        heading = _HEADING.match(sentence.text)
        sided = _SIDED.match(heading[1]) if heading else None
        if sided is None or re.search(r"axill|\bnodes?\b|\bsln", sentence.text[:100]):
            continue
        key = (sentence.section, sided[1][0])
        if key in seen:
            return True
        seen.add(key)
    return False
