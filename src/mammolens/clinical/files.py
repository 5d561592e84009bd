"""Read clinical data from files: a table, HL7 v2 or FHIR R4; the kind is found by the content.

A table, CSV or Excel, has one row for a patient on one day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from mammolens.clinical.items import ALIASES, BIRTH_DATE, ITEMS, read_value
from mammolens.clinical.messages import read_bundle, read_messages
from mammolens.clinical.records import ClinicalData, ClinicalRecord, last_day, read_day
from mammolens.core import ClinicalItem
from mammolens.errors import InvalidManifest, MissingInput
from mammolens.pathology.fhir import is_json
from mammolens.pathology.hl7 import is_hl7
from mammolens.tables import Row, Table, read_table

__all__ = [
    "COLUMNS",
    "MAX_BYTES",
    "read_clinical",
    "read_content",
    "read_item_table",
    "read_items",
    "read_rows",
]

MAX_BYTES: Final = 64 << 20
"""Largest file of clinical data; the size is checked before reading."""


def read_clinical(paths: Iterable[Path], today: date | None = None) -> ClinicalData:
    """Read clinical data from files.

    Parameters
    ----------
    paths
        CSV, TSV, Excel, HL7 v2 or FHIR R4 (JSON).
    today
        The last possible day; by default the present day.

    Raises
    ------
    MissingInput
        A file does not exist.
    DataError
        A file cannot be read, or a value in it is impossible; nothing is used then.
    """
    day = today or last_day()
    return ClinicalData([record for path in paths for record in _read(path, day)])


def read_content(data: bytes, source: str, today: date | None = None) -> list[ClinicalRecord]:
    """Read clinical data from bytes of HL7 v2 or FHIR R4 (JSON).

    Raises
    ------
    DataError
        The bytes are neither, or a value in them is impossible.
    """
    day = today or last_day()
    if is_hl7(data):
        return list(read_messages(data, source, day))
    if is_json(data):
        return list(read_bundle(data, source, day))
    raise InvalidManifest(
        "the content is neither HL7 v2 nor FHIR R4 in JSON",
        source=source,
        remedy="Send an ADT or ORU message, or a Bundle",
    )


def _read(path: Path, today: date) -> Iterable[ClinicalRecord]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidManifest(
                f"the file has {size >> 20} MiB, more than {MAX_BYTES >> 20}",
                source=str(path),
                remedy="Split it into smaller files",
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(
            "the file does not exist", source=str(path), remedy="Check the spelling"
        ) from None
    except OSError as error:
        raise InvalidManifest(
            f"the file cannot be read: {error.strerror}",
            source=str(path),
            remedy="Give a file that you may read",
        ) from None
    if is_hl7(data) or is_json(data):
        return read_content(data, path.name, today)
    return read_rows(path, today)


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
