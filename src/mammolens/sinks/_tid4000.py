"""The rows of TID 4000 and the templates that it includes, as far as this project writes them.

Validators at large look at attributes and value types; they let a report pass without language,
library, summary or rendering intent, and with a probability of 870 %. `violations` holds a report
to the order, number, type, relationship and codes of every row; `check` refuses to let a wrong one
out. Optional rows of the standard that this project never writes are violations here.

Source: PS3.16 TID 1204, 4000-4003, 4006, 4015, 4017, 4019-4021; PS3.3 A.35.5.3, C.17.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks import _tid4000_rules as rules
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_items import code_of

__all__ = ["TemplateViolation", "check", "violations"]

MANY: Final = 10_000


class TemplateViolation(RuntimeError):
    """A report that breaks its template: a fault of this program, never of the exam."""


@dataclass(frozen=True)
class Row:
    """One row: what stands there, how often, and what may stand below it, in this order.

    `values` are the answers of a CODE, or the unit of a NUM, or the graphic types of an SCOORD;
    empty means that any will do. A `pointer` refers to an item that stands elsewhere.
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
    return (
        Row(relationship, "TEXT", codes.ALGORITHM_NAME),
        Row(relationship, "TEXT", codes.ALGORITHM_VERSION),
        Row(relationship, "TEXT", codes.ALGORITHM_PARAMETERS, 0, MANY),
    )


def _impression(relationship: str) -> tuple[Row, ...]:
    certainty = codes.IMPRESSION_CERTAINTY
    return (
        Row(relationship, "TEXT", codes.DESCRIPTION),
        Row(relationship, "NUM", certainty, 0, 1, (codes.PERCENT,)),
        *_algorithm(relationship),
    )


def _descriptor(value_type: str, name: Code, *values: Code, below: tuple[Row, ...] = ()) -> Row:
    return Row("HAS ACQ CONTEXT", value_type, name, 0, 1, values, below)


_MODIFIER = Row("HAS CONCEPT MOD", "CODE", codes.IMAGE_VIEW_MODIFIER, 0, MANY)
_TID_4020: Final = Row(
    "CONTAINS",
    "IMAGE",
    None,
    1,
    MANY,
    below=(
        _descriptor("CODE", codes.IMAGE_LATERALITY, *codes.BREASTS.values()),
        _descriptor("CODE", codes.IMAGE_VIEW, *codes.VIEWS.values(), below=(_MODIFIER,)),
        _descriptor("TEXT", codes.ORIENTATION_ROW),
        _descriptor("TEXT", codes.ORIENTATION_COLUMN),
        _descriptor("DATE", codes.STUDY_DATE),
        _descriptor("TIME", codes.STUDY_TIME),
        _descriptor("DATE", codes.CONTENT_DATE),
        _descriptor("TIME", codes.CONTENT_TIME),
        _descriptor("NUM", codes.SPACING_ACROSS, codes.MICROMETRE),
        _descriptor("NUM", codes.SPACING_DOWN, codes.MICROMETRE),
    ),
)
_SELECTED = Row("SELECTED FROM", "IMAGE", None, pointer=True)
_TID_4021: Final = (
    Row("HAS PROPERTIES", "SCOORD", codes.CENTRE, 1, 1, ("POINT",), (_SELECTED,)),
    Row("HAS PROPERTIES", "SCOORD", codes.OUTLINE, 0, 1, ("POLYLINE",), (_SELECTED,)),
)
_INTENT: Final = Row(
    "HAS CONCEPT MOD",
    "CODE",
    codes.INTENT,
    values=(codes.REQUIRED, codes.OPTIONAL, codes.NOT_SHOWN),
)
_TID_4006: Final = Row(
    "CONTAINS",
    "CODE",
    codes.FINDING,
    1,
    MANY,
    (codes.DENSITY,),
    (
        _INTENT,
        *_algorithm("HAS PROPERTIES"),
        Row("HAS PROPERTIES", "NUM", codes.FINDING_CERTAINTY, 0, 1, (codes.PERCENT,)),
        Row("HAS PROPERTIES", "NUM", codes.PROBABILITY, 0, 1, (codes.PERCENT,)),
        *_TID_4021,
    ),
)
_TID_4003: Final = Row(
    "INFERRED FROM",
    "CONTAINER",
    codes.IMPRESSION,
    0,
    MANY,
    below=(_INTENT, *_impression("CONTAINS"), _TID_4006),
)
_SUMMARIES: Final = (
    codes.ALL_WITHOUT,
    codes.ALL_WITH,
    codes.PART_WITHOUT,
    codes.PART_WITH,
    codes.NONE_SUCCEEDED,
)
_TID_4001: Final = Row(
    "CONTAINS",
    "CODE",
    codes.SUMMARY,
    values=_SUMMARIES,
    below=(*_impression("HAS PROPERTIES"), _TID_4003),
)
_TID_4017: Final = Row(
    "CONTAINS",
    "CODE",
    codes.DETECTION,
    1,
    MANY,
    (codes.DENSITY,),
    (
        *_algorithm("HAS PROPERTIES"),
        Row("HAS PROPERTIES", "IMAGE", None, 1, MANY, pointer=True),
    ),
)
_STATUS: Final = (codes.SUCCEEDED, codes.PARTLY, codes.FAILED)
_TID_4000: Final = (
    Row("HAS CONCEPT MOD", "CODE", codes.LANGUAGE, values=(codes.ENGLISH,)),
    Row("CONTAINS", "CONTAINER", codes.LIBRARY, below=(_TID_4020,)),
    _TID_4001,
    Row(
        "CONTAINS",
        "CODE",
        codes.DETECTIONS,
        values=_STATUS,
        below=tuple(
            Row("INFERRED FROM", "CONTAINER", name, 0, 1, below=(_TID_4017,))
            for name in (codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS)
        ),
    ),
    Row("CONTAINS", "CODE", codes.ANALYSES, values=(codes.NOT_ATTEMPTED,)),
)


def check(report: Dataset) -> None:
    """Let a report pass, or stop.

    Raises
    ------
    TemplateViolation
        The report breaks a row or a rule; every violation is named.
    """
    found = violations(report)
    if found:
        raise TemplateViolation(
            "this Mammography CAD SR breaks TID 4000, which is a fault of the program: "
            + "; ".join(found)
        )


def violations(report: Dataset) -> list[str]:
    """List what a report breaks, each with the position of the item."""
    found = [*rules.header_violations(report), *_children(report, _TID_4000, (1,))]
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
