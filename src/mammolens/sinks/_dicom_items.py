"""Content items of a structured report as data sets (PS3.3 C.17.3), and their numbering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset

from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_common import code_item

__all__ = [
    "code",
    "code_of",
    "container",
    "image",
    "item",
    "number",
    "point",
    "polyline",
    "reference",
    "text",
    "walk",
]

ACQUISITION = "HAS ACQ CONTEXT"
CONTAINS = "CONTAINS"
INFERRED = "INFERRED FROM"
MODIFIER = "HAS CONCEPT MOD"
PROPERTIES = "HAS PROPERTIES"
SELECTED = "SELECTED FROM"


def item(
    relationship: str,
    value_type: str,
    name: Code | None,
    children: Iterable[Dataset] = (),
    **values: Any,
) -> Dataset:
    """Make one content item; `values` are the attributes of its value."""
    made = Dataset()
    made.RelationshipType = relationship
    made.ValueType = value_type
    if name is not None:
        made.ConceptNameCodeSequence = [code_item(*name)]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    below = list(children)
    if below:
        made.ContentSequence = below
    return made


def container(relationship: str, name: Code, children: Iterable[Dataset]) -> Dataset:
    """Make a heading whose items stand for themselves."""
    return item(relationship, "CONTAINER", name, children, ContinuityOfContent="SEPARATE")


def code(relationship: str, name: Code, value: Code, children: Iterable[Dataset] = ()) -> Dataset:
    """Make a coded answer."""
    return item(relationship, "CODE", name, children, ConceptCodeSequence=[code_item(*value)])


def text(relationship: str, name: Code, words: str) -> Dataset:
    """Make an answer in words."""
    return item(relationship, "TEXT", name, TextValue=words)


def number(relationship: str, name: Code, value: float, unit: Code) -> Dataset:
    """Make a numeric answer with four significant digits."""
    measured = Dataset()
    measured.NumericValue = f"{value:.4g}"
    measured.MeasurementUnitsCodeSequence = [code_item(*unit)]
    return item(relationship, "NUM", name, MeasuredValueSequence=[measured])


def image(
    relationship: str, sop_class_uid: str, sop_instance_uid: str, children: Iterable[Dataset]
) -> Dataset:
    """Make a reference to an image."""
    referred = Dataset()
    referred.ReferencedSOPClassUID = sop_class_uid
    referred.ReferencedSOPInstanceUID = sop_instance_uid
    return item(relationship, "IMAGE", None, children, ReferencedSOPSequence=[referred])


def reference(relationship: str, position: Sequence[int]) -> Dataset:
    """Point to another content item by its position, the root being (1,)."""
    made = Dataset()
    made.RelationshipType = relationship
    made.ReferencedContentItemIdentifier = list(position)
    return made


def point(name: Code, row: float, column: float, library: Sequence[int]) -> Dataset:
    """Mark a point of the image at the position `library`; DICOM says column before row."""
    return _coordinates(name, "POINT", [column, row], library)


def polyline(name: Code, corners: Iterable[tuple[float, float]], library: Sequence[int]) -> Dataset:
    """Mark a line through (row, column) corners of the image at the position `library`."""
    flat = [number for row, column in corners for number in (column, row)]
    return _coordinates(name, "POLYLINE", flat, library)


def _coordinates(name: Code, kind: str, data: list[float], library: Sequence[int]) -> Dataset:
    return item(
        PROPERTIES,
        "SCOORD",
        name,
        [reference(SELECTED, library)],
        GraphicData=data,
        GraphicType=kind,
    )


def code_of(item: Dataset, keyword: str) -> Code | None:
    """Give the first code of a code sequence, or ``None``."""
    for found in item.get(keyword) or ():
        words = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        return Code(*(str(found.get(word, "")) for word in words))
    return None


def walk(
    root: Dataset, position: tuple[int, ...] = (1,)
) -> Iterator[tuple[tuple[int, ...], Dataset]]:
    """Go through a content tree from the top, with every item's position (PS3.3 C.17.3.2.5)."""
    yield position, root
    for count, child in enumerate(root.get("ContentSequence") or (), start=1):
        yield from walk(child, (*position, count))
