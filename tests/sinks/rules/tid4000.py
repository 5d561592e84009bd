"""The rows of TID 4000 and of the templates that it includes, as far as this project writes them.

Validators look at attributes and value types. They accept a report without language, library,
summary or rendering intent, and with a probability of 870 %. `violations` holds a report to the
order, number, type, relationship and codes of every row. Optional rows of the standard that this
project never writes are violations here.

Source: PS3.16 TID 1204, 4000-4003, 4006, 4015, 4017, 4019-4021; PS3.3 A.35.5.3, C.17.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import tid4000_rules as rules
from pydicom.dataset import Dataset
from tid4000_rules import code_of

from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._dicom_codes import Code

__all__ = ["violations"]

MANY: Final = 10_000


@dataclass(frozen=True)
class Row:
    """One row of a template: its item, how often it may come, and the rows below it, in order.

    `values` are the answers of a CODE, or the unit of a NUM, or the graphic type of an SCOORD;
    an empty tuple allows any. A `pointer` refers to an item in another place.
    """

    relationship: str
    value_type: str
    name: Code | None
    least: int = 1
    most: int = 1
    values: tuple[Code | str, ...] = ()
    below: tuple[Row, ...] = ()
    pointer: bool = False

    def __str__(self) -> str:
        name = self.name.meaning if self.name else "item"
        return f"{self.relationship} {self.value_type} {name!r}"


def _algorithm(relationship: str) -> tuple[Row, ...]:
    """TID 4019."""
    return (
        Row(relationship, "TEXT", codes.ALGORITHM_NAME),
        Row(relationship, "TEXT", codes.ALGORITHM_VERSION),
        Row(relationship, "TEXT", codes.ALGORITHM_PARAMETERS, 0, MANY),
    )


def _impression(relationship: str) -> tuple[Row, ...]:
    """TID 4002."""
    certainty = codes.IMPRESSION_CERTAINTY
    return (
        Row(relationship, "TEXT", codes.DESCRIPTION),
        Row(relationship, "NUM", certainty, 0, 1, (codes.PERCENT,)),
        *_algorithm(relationship),
    )


def _descriptor(value_type: str, name: Code, *values: Code, below: tuple[Row, ...] = ()) -> Row:
    return Row("HAS ACQ CONTEXT", value_type, name, 0, 1, values, below)


# TID 4020: an image of the library.
IMAGE_VIEW_MODIFIER: Final = Row("HAS CONCEPT MOD", "CODE", codes.IMAGE_VIEW_MODIFIER, 0, MANY)
IMAGE_LATERALITY: Final = _descriptor("CODE", codes.IMAGE_LATERALITY, *codes.BREASTS.values())
IMAGE_VIEW: Final = _descriptor(
    "CODE", codes.IMAGE_VIEW, *codes.VIEWS.values(), below=(IMAGE_VIEW_MODIFIER,)
)
ORIENTATION: Final = (
    _descriptor("TEXT", codes.ORIENTATION_ROW),
    _descriptor("TEXT", codes.ORIENTATION_COLUMN),
)
STUDY_MOMENT: Final = (
    _descriptor("DATE", codes.STUDY_DATE),
    _descriptor("TIME", codes.STUDY_TIME),
)
CONTENT_MOMENT: Final = (
    _descriptor("DATE", codes.CONTENT_DATE),
    _descriptor("TIME", codes.CONTENT_TIME),
)
SPACING: Final = (
    _descriptor("NUM", codes.SPACING_ACROSS, codes.MICROMETRE),
    _descriptor("NUM", codes.SPACING_DOWN, codes.MICROMETRE),
)
LIBRARY_ENTRY: Final = Row(
    "CONTAINS",
    "IMAGE",
    None,
    1,
    MANY,
    below=(
        *(IMAGE_LATERALITY, IMAGE_VIEW),
        *(*ORIENTATION, *STUDY_MOMENT, *CONTENT_MOMENT, *SPACING),
    ),
)
# TID 4021: where a finding is.
SELECTED: Final = Row("SELECTED FROM", "IMAGE", None, pointer=True)
CENTRE: Final = Row("HAS PROPERTIES", "SCOORD", codes.CENTRE, 1, 1, ("POINT",), (SELECTED,))
OUTLINE: Final = Row("HAS PROPERTIES", "SCOORD", codes.OUTLINE, 0, 1, ("POLYLINE",), (SELECTED,))
# TID 4006: a finding.
INTENT: Final = Row(
    "HAS CONCEPT MOD",
    "CODE",
    codes.INTENT,
    values=(codes.REQUIRED, codes.OPTIONAL, codes.NOT_SHOWN),
)
PROPERTY_ALGORITHM: Final = _algorithm("HAS PROPERTIES")
FINDING_CERTAINTY: Final = Row(
    "HAS PROPERTIES", "NUM", codes.FINDING_CERTAINTY, 0, 1, (codes.PERCENT,)
)
PROBABILITY: Final = Row("HAS PROPERTIES", "NUM", codes.PROBABILITY, 0, 1, (codes.PERCENT,))
FINDING: Final = Row(
    "CONTAINS",
    "CODE",
    codes.FINDING,
    1,
    MANY,
    (codes.DENSITY,),
    (INTENT, *PROPERTY_ALGORITHM, FINDING_CERTAINTY, PROBABILITY, CENTRE, OUTLINE),
)
# TID 4003: the impression of one breast.
BREAST_IMPRESSION: Final = _impression("CONTAINS")
BREAST: Final = Row(
    "INFERRED FROM",
    "CONTAINER",
    codes.IMPRESSION,
    0,
    MANY,
    below=(INTENT, *BREAST_IMPRESSION, FINDING),
)
# TID 4001: the summary.
EXAM_IMPRESSION: Final = _impression("HAS PROPERTIES")
SUMMARY: Final = Row(
    "CONTAINS",
    "CODE",
    codes.SUMMARY,
    values=(
        codes.ALL_WITHOUT,
        codes.ALL_WITH,
        codes.PART_WITHOUT,
        codes.PART_WITH,
        codes.NONE_SUCCEEDED,
    ),
    below=(*EXAM_IMPRESSION, BREAST),
)
# TID 4015 and 4017: on which images the detection worked, and on which it failed.
DETECTED_IMAGE: Final = Row("HAS PROPERTIES", "IMAGE", None, 1, MANY, pointer=True)
DETECTION: Final = Row(
    "CONTAINS",
    "CODE",
    codes.DETECTION,
    1,
    MANY,
    (codes.DENSITY,),
    (*PROPERTY_ALGORITHM, DETECTED_IMAGE),
)
SUCCESSFUL, FAILED = (
    Row("INFERRED FROM", "CONTAINER", name, 0, 1, below=(DETECTION,))
    for name in (codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS)
)
DETECTIONS: Final = Row(
    "CONTAINS",
    "CODE",
    codes.DETECTIONS,
    values=(codes.SUCCEEDED, codes.PARTLY, codes.FAILED),
    below=(SUCCESSFUL, FAILED),
)
# TID 4000: the report.
LANGUAGE: Final = Row("HAS CONCEPT MOD", "CODE", codes.LANGUAGE, values=(codes.ENGLISH,))
LIBRARY: Final = Row("CONTAINS", "CONTAINER", codes.LIBRARY, below=(LIBRARY_ENTRY,))
ANALYSES: Final = Row("CONTAINS", "CODE", codes.ANALYSES, values=(codes.NOT_ATTEMPTED,))
REPORT: Final = (LANGUAGE, LIBRARY, SUMMARY, DETECTIONS, ANALYSES)


def violations(report: Dataset) -> list[str]:
    """List what a report breaks, each with the position of the item."""
    found = [*rules.header_violations(report), *_children(report, REPORT, (1,))]
    return found or list(rules.meaning_violations(report))


def _children(parent: Dataset, rows: tuple[Row, ...], position: tuple[int, ...]) -> Iterator[str]:
    """Hold the items below one to the rows of its template, in order (all are significant)."""
    counts = dict.fromkeys(range(len(rows)), 0)
    reached = 0
    for number, child in enumerate(parent.get("ContentSequence") or (), start=1):
        here = (*position, number)
        place = next((n for n, row in enumerate(rows) if _fits(child, row)), None)
        if place is None:
            yield f"{_at(here)}: no row takes {_named(child)}"
            continue
        if place < reached:
            yield f"{_at(here)}: {rows[place]} stands too late"
        reached = max(reached, place)
        counts[place] += 1
        yield from _item(child, rows[place], here)
    for place, row in enumerate(rows):
        if counts[place] < row.least:
            yield f"{_at(position)}: lacks {row}"
        elif counts[place] > row.most:
            yield f"{_at(position)}: has {row} {counts[place]} times"


def _fits(child: Dataset, row: Row) -> bool:
    if child.get("RelationshipType") != row.relationship:
        return False
    pointer = "ReferencedContentItemIdentifier" in child
    if pointer or row.pointer:
        return pointer and row.pointer
    name = code_of(child, "ConceptNameCodeSequence")
    same = (name and name[:2]) == (row.name and row.name[:2])
    return child.get("ValueType") == row.value_type and same


def _item(child: Dataset, row: Row, position: tuple[int, ...]) -> Iterator[str]:
    at = _at(position)
    if row.pointer:
        if "ContentSequence" in child or "ValueType" in child:
            yield f"{at}: a reference has a value of its own"
        return
    name = code_of(child, "ConceptNameCodeSequence")
    if name != row.name:
        yield f"{at}: {name} should read {row.name}"
    yield from (f"{at}: {fault}" for fault in rules.value_faults(child, row.values))
    yield from _children(child, row.below, position)


def _named(child: Dataset) -> str:
    name = code_of(child, "ConceptNameCodeSequence")
    kind = "reference" if "ReferencedContentItemIdentifier" in child else child.get("ValueType")
    return f"{child.get('RelationshipType')} {kind} {name.meaning if name else ''!r}"


def _at(position: Iterable[int]) -> str:
    return ".".join(map(str, position))
