"""Read clinical data from a table, CSV or Excel: one row for a patient on one day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from mammolens.clinical.items import ALIASES, BIRTH_DATE, ITEMS, read_value
from mammolens.clinical.records import ClinicalRecord, read_day
from mammolens.core import ClinicalItem
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, Table, read_table

__all__ = ["COLUMNS", "read_item_table", "read_items", "read_rows"]

COLUMNS: Final = ("study_instance_uid", "date", "source", BIRTH_DATE, *ITEMS)
"""The columns that a table may have, beside the needed ``patient_id``."""
_MEANT: Final = {
    **ALIASES,
    "mrn": "patient_id",
    "patient": "patient_id",
    "examdate": "date",
    "studydate": "date",
    "studyuid": "study_instance_uid",
}
_REMEDY: Final = "Give the column patient_id, and columns of docs/reference/clinical-data.md"


def read_item_table(
    path: Path, needed: Sequence[str] = ("patient_id",), optional: Sequence[str] = ()
) -> Table:
    """Read a table with columns of items; a column that is named by an alias is refused by name.

    Raises
    ------
    InvalidManifest
        The table has a fault, or no column of an item.
    """
    table = read_table(path, needed, (*optional, *COLUMNS), meant=_MEANT, remedy=_REMEDY)
    if not table.columns & {BIRTH_DATE, *ITEMS}:
        raise InvalidManifest(
            "the table has no clinical data",
            source=str(path),
            remedy=f"Name at least one column of {', '.join((BIRTH_DATE, *ITEMS))}",
        )
    return table


def read_rows(path: Path, today: date) -> Iterator[ClinicalRecord]:
    """Read the records of a table.

    Raises
    ------
    InvalidManifest
        The table or a cell has a fault; the message has file, line, column and remedy.
    """
    for row in read_item_table(path).rows:
        study = row.text("study_instance_uid")
        yield ClinicalRecord(row.identifier("patient_id"), tuple(read_items(row, today)), study)


def read_items(row: Row, today: date) -> Iterator[ClinicalItem]:
    """Read the items of a row; an empty cell is unknown and gives nothing."""
    place = f"{row.path}, line {row.line}"
    source = f"{row.path.name}, line {row.line}"
    if system := row.text("source"):
        source = f"{system} ({source})"
    stated = read_day(row.text("date") or "", place, "date", today)
    if born := read_day(row.text(BIRTH_DATE) or "", place, BIRTH_DATE, today):
        if stated is not None and born > stated:
            raise row.wrong(BIRTH_DATE, f"a day before the date of the row, {stated}")
        yield ClinicalItem(BIRTH_DATE, born.isoformat(), source, stated)
    for name in ITEMS:
        for value, side in read_value(name, row[name], place):
            yield ClinicalItem(name, value, source, stated, side)
