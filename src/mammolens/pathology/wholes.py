"""Check the specimens of a report against the whole report, and complete them from its heading.

A report can name a side once for all its specimens. It can also announce a specimen that was not
found, or two specimens can be read as one: then the outcomes are unsure, and a person looks. A
report without labels is divided by the places that its headings name: "Left breast, 2 o'clock:
fibroadenoma. Left breast, 9 o'clock: DCIS" has two specimens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from mammolens.pathology.labels import missing_labels
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.site import is_node, laterality_of, procedure_of
from mammolens.pathology.values import Outcome, Property, SpecimenReading, Statement, Tissue

__all__ = [
    "PLACE_MARK",
    "Shared",
    "completed",
    "named_by_place",
    "not_divided",
    "repeated_heading",
    "shared_by_all",
    "with_missing",
    "with_sentinel_nodes",
]

_HEADINGS: Final = (Section.BODY, Section.SPECIMEN, Section.DIAGNOSIS, Section.SYNOPTIC)
_NOT_HERE: Final = (Section.HISTORY, Section.OTHER, Section.FROZEN)
_INHERITED: Final = 0.8
"""The confidence of a value that the heading gives for all specimens."""
_SAMPLED: Final = re.compile(r"biops|\bcores?\b|\bfna|excis|aspirat|mastectomy|lumpectomy|\bwle\b")


class Shared(NamedTuple):
    """Sentences that are about all specimens: of headings, of the request, of the whole report.

    `whole` is empty if the specimens have labels: then each one says its own side.
    """

    headings: tuple[Sentence, ...]
    request: tuple[Sentence, ...]
    whole: tuple[Sentence, ...]


def shared_by_all(sentences: Sequence[Sentence], floating: Sequence[Sentence]) -> Shared:
    """Find the sentences that are about all specimens of a report.

    Parameters
    ----------
    sentences, floating
        All sentences, and those that belong to no specimen of a report without labels.
    """
    labelled = any(s.names for s in sentences)
    free = [s for s in sentences if not s.names] if labelled else floating
    request = (s for s in sentences if s.section is Section.HISTORY and _SAMPLED.search(s.text))
    return Shared(
        tuple(s for s in free if s.section in _HEADINGS),
        tuple(request),
        tuple(s for s in sentences if s.section not in _NOT_HERE and not labelled),
    )


def completed(one: SpecimenReading, shared: Shared) -> SpecimenReading:
    """Add side and procedure from the heading of the report, if the specimen states none."""
    added: dict[Property, Statement] = {}
    procedure = one.statements.get(Property.PROCEDURE)
    if procedure is None and one.tissue in (Tissue.BREAST, Tissue.LYMPH_NODE):
        procedure = procedure_of([*shared.headings, *shared.request], one.tissue)
        if procedure is not None:
            added[Property.PROCEDURE] = _weaker(procedure)
    if Property.LATERALITY not in one.statements:
        places = (
            shared.headings,
            shared.whole,
            shared.request if one.tissue is Tissue.BREAST else (),
        )
        sides = (laterality_of(place, []) for place in places)
        side = next((found for found in sides if found is not None and not found.unsure), None)
        if side is not None:
            added[Property.LATERALITY] = _weaker(side)
    return one.stating(added) if added else one


def _weaker(stated: Statement) -> Statement:
    if stated.unsure:
        return stated
    return Statement(stated.value, _INHERITED, stated.evidence)


_SEVERAL_SITES: Final = re.compile(
    r"\b(?:(two|three|four|five|six|[2-6])(?: separate| different| labelled| labeled)?|x ?([2-6])) "
    r"(?:specimens|sites|biopsy sites)\b"
)
_WORDS: Final = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_BOTH: Final = re.compile(
    r"\bboth breasts\b|\bbilateral (?:breast|core|mastect|reduction|mammo|biops|excision|fna)"
)
_ONE_PLACE: Final = ("core biopsy", "vacuum biopsy", "fine needle aspiration", "punch biopsy", None)
"""Procedures that sample one place, so that two places are two specimens; or it is not known."""


def not_divided(sentences: Sequence[Sentence], read: Sequence[SpecimenReading]) -> str:
    """Say why several specimens may have been read as one; "" if nothing speaks for it."""
    if repeated_heading(sentences):
        return "two biopsies of one side are named: they may be two specimens"
    for one in read:
        places = [one.statements.get(kind) for kind in (Property.CLOCK, Property.DISTANCE)]
        if one.value(Property.PROCEDURE) in _ONE_PLACE and any(
            stated is not None and stated.reason.startswith("several") for stated in places
        ):
            return "two places are named for one specimen: it may be two specimens"
    for sentence in sentences:
        if sentence.section in _NOT_HERE:
            continue
        if match := _SEVERAL_SITES.search(sentence.text):
            word = match[1] or match[2]
            if len(read) < (_WORDS.get(word) or int(word)):
                return "the report names more specimens than were found"
        if len(read) == 1 and _BOTH.search(sentence.text):
            return "the report names both breasts, but only one specimen was found"
    return ""


_WITH_NODES: Final = re.compile(
    r"(?:mastectomy|lumpectomy|\bwle\b|excision)[^.:;]{0,30}?(?:\band\b|\bwith\b|\+|&)\s?"
    r"(?:[\w-]+ ){0,3}?(?:sentinel|sln[bs]?\b|snb\b)|"
    r"sentinel nodes?[^.]{0,20}(?:container|\bpot\b|separate)|"
    r"(?:lumpectomy|\bwle\b|wide (?:local )?excision|quadrantectomy|segmentectomy|breast conserv\w+"
    r"(?: surgery)?)[^.:;]{0,30}?(?:\band\b|\bwith\b|\+|&)\s?(?:\w+ ){0,2}?(axilla\w*"
    r" (?:lymph )?(?:node )?(?:dissection|clearance)|\balnd\b|\banc\b)"
)


def with_sentinel_nodes(
    sentences: Iterable[Sentence], read: Sequence[SpecimenReading]
) -> list[SpecimenReading]:
    """Add the axillary nodes of an operation whose report does not give them a heading.

    They came in a container of their own, so their counts are not those of the breast.
    """
    here = [s for s in sentences if s.section not in _NOT_HERE]
    taken = next((s for s in here if _WITH_NODES.search(s.text)), None)
    if len(read) != 1 or read[0].tissue is not Tissue.BREAST or taken is None:
        return list(read)
    stated = dict(read[0].statements)
    counts = (Property.NODES_EXAMINED, Property.NODES_POSITIVE)
    nodes = {kind: stated.pop(kind) for kind in counts if kind in stated}
    if Property.NODES_EXAMINED not in nodes:
        return list(read)
    match = _WITH_NODES.search(taken.text)
    procedure = "axillary dissection" if match and match[1] else "sentinel node"
    own = {
        Property.LATERALITY: stated.get(Property.LATERALITY),
        Property.OUTCOME: Statement(Outcome.NOT_BREAST.value, 0.85, (taken.shown,)),
        Property.PROCEDURE: Statement(procedure, _INHERITED, (taken.shown,)),
        **nodes,
    }
    kept = {kind: one for kind, one in own.items() if one is not None}
    breast = SpecimenReading(read[0].name, read[0].tissue, MappingProxyType(stated))
    return [breast, SpecimenReading(None, Tissue.LYMPH_NODE, MappingProxyType(kept))]


def with_missing(
    sentences: Iterable[Sentence], read: Sequence[SpecimenReading]
) -> list[SpecimenReading]:
    """Add an unsure specimen for each label that is missing between the labels of the report.

    The text of a missing label was given to the specimen before it, whose outcome is then unsure
    too.
    """
    names = dict.fromkeys(name for s in sentences for name in s.names)
    missing = missing_labels(names)
    if not missing:
        return list(read)
    reason = "the label of another specimen was not recognised"
    doubt = Statement(None, 0.0, (), reason)
    result = [
        one.stating({Property.OUTCOME: doubt}) if one.tissue is Tissue.BREAST else one
        for one in read
    ]
    lost = MappingProxyType({Property.OUTCOME: doubt})
    return result + [SpecimenReading(name, Tissue.BREAST, lost) for name in missing]


PLACE_MARK: Final = "@"
"""The first letter of a name that stands for a place, and is no label of the report."""
_PLACE_SECTIONS: Final = (Section.BODY, Section.DIAGNOSIS, Section.MICRO)
_HEADING: Final = re.compile(r"^(.{3,100}?)(?::(?!\d)(?=$|.*[a-z]{3})|(?: - |;)(?=.*[a-z]{3}))")
_PLACE_KINDS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:lesion|mass|site|target|area|cluster) #?([a-d1-4])\b",
        r"\b(1[0-2]|[1-9])(?::[0-5]0)? ?(?:o'? ?clock|h\b)|\b(1[0-2]|[1-9]):[0-5]0\b",
        r"\b([ul][oi]q)\b|\b((?:upper|lower)[ -](?:outer|inner))\b|\b(retroareolar|subareolar)\b",
        r"\b(medial|lateral|superior|inferior|anterior|posterior|larger|smaller) "
        r"(?:lesion|mass|site|area|cluster)",
        r"\b(mass|lump|(?:micro)?calc(?:s|ification)|distortion|asymmetry|density)",
    )
)
"""What tells the places of two headings apart, the surest first."""
_BIOPSIES: Final = re.compile(r"\bcores?\b|biops|\bbx\b|\bfna|\bva[bc]\b|gauge|aspirat|\b1[0-8]g\b")
_ONE_SPECIMEN: Final = re.compile(r"mastectomy|lumpectomy|\bwle\b|wide local|excis|segmentectomy")
_SIDE: Final = re.compile(r"\b(left|right|lt|rt|l|r)\b")


_OTHER_HEADING: Final = re.compile(
    r"^\W*(?:(?:breast|axilla|lymph nodes?|nodes?), ?)?(?:left|right|lt|rt|l|r)\b\.?,? "
    r".*(?:breast|axill|node|core|biops|fna|aspirat|cyst)"
)
"""A heading that begins with a side and has none of these places."""


def named_by_place(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Give a name to the sentences under each heading, if the headings name different places.

    Nothing changes in a report with labels, or of an operation: its lesions are of one specimen.
    """
    present = [s for s in sentences if s.section is not Section.HISTORY]
    text = " ".join(s.text for s in present)[:20_000]
    if any(s.names for s in present) or not _BIOPSIES.search(text) or _ONE_SPECIMEN.search(text):
        return list(sentences)
    for kind in _PLACE_KINDS:
        keys = [_key(s, kind) for s in sentences]
        if len({key for key in keys if key and key[2:] not in ("node", "other")}) > 1:
            return _named(sentences, keys)
    return list(sentences)


def _key(sentence: Sentence, kind: re.Pattern[str]) -> str:
    """Give side and place of a heading, such as "l 2", "l node" or " 2"; "" if it has no place."""
    heading = _HEADING.match(sentence.text) if sentence.section in _PLACE_SECTIONS else None
    place = kind.search(heading[1]) if heading else None
    side = _SIDE.search(heading[1]) if heading else None
    if heading and not place and side and _OTHER_HEADING.match(heading[1]):
        if is_node(heading[1]):
            return f"{side[1][0]} node"
        # "LEFT BREAST:" alone stands above the headings of its places.
        return "" if sentence.text.endswith(":") else f"{side[1][0]} other"
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
