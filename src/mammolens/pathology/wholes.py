"""Check the specimens of a report against the whole report, and complete them from its heading.

A report can name a side once for all its specimens. It can also announce a specimen that was not
found, or two specimens can be read as one: then the outcomes are unsure, and a person looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from mammolens.pathology.labels import missing_labels
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.places import repeated_heading
from mammolens.pathology.site import laterality_of, procedure_of
from mammolens.pathology.values import Outcome, Property, SpecimenReading, Statement, Tissue

__all__ = ["Shared", "completed", "not_divided", "shared_by_all",
           "with_missing", "with_sentinel_nodes"]  # fmt: skip

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
    if not added:
        return one
    statements = dict(one.statements) | added
    ordered = {kind: statements[kind] for kind in Property if kind in statements}
    return SpecimenReading(one.name, one.tissue, MappingProxyType(ordered))


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
"""Procedures that sample one place, so that two places are two specimens."""


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
    r"(?:[\w-]+ ){0,3}?(?:sentinel|slnb?\b)|sentinel nodes?[^.]{0,20}(?:container|\bpot\b|separate)"
)


def with_sentinel_nodes(
    sentences: Iterable[Sentence], read: Sequence[SpecimenReading]
) -> list[SpecimenReading]:
    """Add the sentinel nodes of an operation whose report does not give them a heading.

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
    own = {
        Property.LATERALITY: stated.get(Property.LATERALITY),
        Property.OUTCOME: Statement(Outcome.NOT_BREAST.value, 0.85, (taken.shown,)),
        Property.PROCEDURE: Statement("sentinel node", _INHERITED, (taken.shown,)),
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
        SpecimenReading(
            one.name,
            one.tissue,
            MappingProxyType(dict(one.statements) | {Property.OUTCOME: doubt}),
        )
        if one.tissue is Tissue.BREAST
        else one
        for one in read
    ]
    lost = MappingProxyType({Property.OUTCOME: doubt})
    return result + [SpecimenReading(name, Tissue.BREAST, lost) for name in missing]
