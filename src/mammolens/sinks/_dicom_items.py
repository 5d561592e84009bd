"""Content items of a structured report, one function for each value type (PS3.3 C.17.3).

Each item takes its relationship to the item above it, such as ``CONTAINS``, and its concept name.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_common import code_item


def code(
    relationship: str, name: Code, value: Iterable[str], children: Iterable[Dataset] = ()
) -> Dataset:
    """Make a CODE; `value` is its value, scheme and meaning."""
    item = _item(relationship, "CODE", name, children)
    item.ConceptCodeSequence = [code_item(*value)]
    return item


def container(relationship: str, name: Code, children: Iterable[Dataset]) -> Dataset:
    """Make a CONTAINER of other items."""
    item = _item(relationship, "CONTAINER", name, children)
    item.ContinuityOfContent = "SEPARATE"
    return item


def day(relationship: str, name: Code, value: str) -> Dataset:
    """Make a DATE of a DA value."""
    item = _item(relationship, "DATE", name)
    item.Date = value
    return item


def time_of_day(relationship: str, name: Code, value: str) -> Dataset:
    """Make a TIME of a TM value."""
    item = _item(relationship, "TIME", name)
    item.Time = value
    return item


def text(relationship: str, name: Code, value: str) -> Dataset:
    """Make a TEXT."""
    item = _item(relationship, "TEXT", name)
    item.TextValue = value
    return item


def number(relationship: str, name: Code, value: float, unit: Code) -> Dataset:
    """Make a NUM; four significant digits are written."""
    measured = Dataset()
    measured.NumericValue = f"{value:.4g}"
    measured.MeasurementUnitsCodeSequence = [code_item(*unit)]
    item = _item(relationship, "NUM", name)
    item.MeasuredValueSequence = [measured]
    return item


def image(relationship: str, referred: Dataset, children: Iterable[Dataset]) -> Dataset:
    """Make an IMAGE; `referred` has the SOP class and instance UID."""
    item = _item(relationship, "IMAGE", None, children)
    item.ReferencedSOPSequence = [referred]
    return item


def coordinates(
    relationship: str,
    name: Code,
    shape: str,
    points: Iterable[tuple[float, float]],
    children: Iterable[Dataset],
) -> Dataset:
    """Make an SCOORD.

    Parameters
    ----------
    shape
        ``POINT`` or ``POLYLINE``; an outline ends where it begins.
    points
        (row, column) in pixels of the image that a child selects.
    """
    item = _item(relationship, "SCOORD", name, children)
    item.GraphicType = shape
    # DICOM has the column before the row
    item.GraphicData = [value for row, column in points for value in (column, row)]
    return item


def reference(relationship: str, position: tuple[int, ...]) -> Dataset:
    """Refer to another item by its position in the tree; the root is at (1,)."""
    item = Dataset()
    item.RelationshipType = relationship
    item.ReferencedContentItemIdentifier = list(position)
    return item


def _item(
    relationship: str, value_type: str, name: Code | None, children: Iterable[Dataset] = ()
) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    if name is not None:
        item.ConceptNameCodeSequence = [code_item(*name)]
    if below := list(children):
        item.ContentSequence = below
    return item
