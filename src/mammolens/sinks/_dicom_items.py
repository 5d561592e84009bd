"""Content items of a structured report: a row of a template makes them, and says what they are.

A `Row` is said once. The report is made of it, and the report is held to it before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_common import code_item

__all__ = ["Row", "code_of", "walk"]


@dataclass(frozen=True)
class Row:
    """One row of a template: what stands there, how often, and what may stand below, in order.

    `values` are the answers of a CODE, or the unit of a NUM, or the graphic type of an SCOORD;
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

    def make(self, value: Any = None, children: Iterable[Dataset] = ()) -> Dataset:
        """Make the content item of this row (PS3.3 C.17.3).

        Parameters
        ----------
        value
            A `Code`, a text, a number (four significant digits are written), a DA or TM value, the
            SOP class and instance UID of an image, the (row, column) points of a shape, or, for a
            pointer, the position of the other item, the root being (1,).
        """
        made = Dataset()
        made.RelationshipType = self.relationship
        if self.pointer:
            made.ReferencedContentItemIdentifier = list(value)
            return made
        made.ValueType = self.value_type
        if self.name is not None:
            made.ConceptNameCodeSequence = [code_item(*self.name)]
        self._put(made, value)
        below = list(children)
        if below:
            made.ContentSequence = below
        return made

    def _put(self, made: Dataset, value: Any) -> None:
        match self.value_type:
            case "CODE":
                made.ConceptCodeSequence = [code_item(*value)]
            case "CONTAINER":
                made.ContinuityOfContent = "SEPARATE"
            case "DATE":
                made.Date = value
            case "IMAGE":
                referred = Dataset()
                referred.ReferencedSOPClassUID, referred.ReferencedSOPInstanceUID = value
                made.ReferencedSOPSequence = [referred]
            case "NUM":
                measured = Dataset()
                measured.NumericValue = f"{value:.4g}"
                measured.MeasurementUnitsCodeSequence = [code_item(*self.values[0])]
                made.MeasuredValueSequence = [measured]
            case "SCOORD":  # DICOM says column before row
                made.GraphicData = [number for row, column in value for number in (column, row)]
                made.GraphicType = self.values[0]
            case "TEXT":
                made.TextValue = value
            case "TIME":
                made.Time = value


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
