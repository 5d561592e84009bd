"""Read Excel files as rows of text: ``.xlsx`` with openpyxl, old ``.xls`` with xlrd.

A file is recognised by its first bytes, not by its name. Whole numbers lose their ``.0``, dates
become ISO text, errors keep their name (``#N/A``). A formula without a stored value is kept as
formula text, which labels and identifiers refuse; an empty cell would wrongly mean unknown.
"""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any, Final

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.tables.zips import ZipTooLarge, open_zip

__all__ = ["is_sheet", "read_sheets"]

MAX_SHEET_BYTES: Final = 1 << 30
"""Largest unpacked workbook: the million rows of Excel with about ten cells."""
_XLSX: Final = b"PK\x03\x04"
_XLS: Final = b"\xd0\xcf\x11\xe0"
_EXACT: Final = 1e15
"""Excel keeps 15 digits. Larger numbers have lost digits, and keep their exponent here."""

_Lines = list[tuple[int, list[str]]]


def is_sheet(data: bytes, path: Path) -> bool:
    """Return whether this is an Excel file by its first bytes or by its suffix."""
    return data.startswith((_XLSX, _XLS)) or path.suffix.lower() in (".xlsx", ".xlsm", ".xls")


def read_sheets(data: bytes, path: Path) -> list[_Lines]:
    """Read every sheet of a workbook as rows of (row number from 1, cells as text).

    Raises
    ------
    InvalidManifest
        If the file is damaged or too large.
    ConfigError
        If the package that reads this kind of sheet is not installed.
    """
    old = data.startswith(_XLS) or (path.suffix.lower() == ".xls" and not data.startswith(_XLSX))
    package = "xlrd" if old else "openpyxl"
    try:
        __import__(package)
    except ImportError as error:
        kind = "old Excel sheets" if old else "XLSX sheets"
        raise ConfigError(
            f"reading {kind} needs {package}",
            source=str(path),
            remedy="Run: pip install 'mammolens[data]', or save the sheet as CSV",
        ) from error
    try:
        return _xls(data) if old else _xlsx(data)
    except ZipTooLarge as error:
        raise InvalidManifest(
            f"the sheet is not read: {error}", source=str(path), remedy="Save it as CSV"
        ) from error
    except Exception as error:
        # Both packages raise zip, key, value, assertion, index and XML errors for damaged files.
        raise InvalidManifest(
            f"the sheet cannot be read: {type(error).__name__}",
            source=str(path),
            remedy="Copy it again, or save it as CSV",
        ) from error


def _xlsx(data: bytes) -> list[_Lines]:
    from openpyxl import load_workbook

    with open_zip(data) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > MAX_SHEET_BYTES:
        raise ZipTooLarge(f"it unpacks to {size >> 20:,} MiB, more than {MAX_SHEET_BYTES >> 20:,}")
    stored = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    written = load_workbook(io.BytesIO(data), read_only=True, data_only=False)
    sheets = []
    for values, sources in zip(stored.worksheets, written.worksheets, strict=True):
        pairs = zip(
            values.iter_rows(values_only=True), sources.iter_rows(values_only=True), strict=True
        )
        sheets.append(
            [
                (number, [_text(v if v is not None else f) for v, f in zip(*rows, strict=True)])
                for number, rows in enumerate(pairs, start=1)
            ]
        )
    stored.close()
    written.close()
    return sheets


def _xls(data: bytes) -> list[_Lines]:
    import xlrd

    book = xlrd.open_workbook(file_contents=data)

    def text(cell: Any) -> str:
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#N/A"))
        if cell.ctype == xlrd.XL_CELL_DATE:
            return _text(xlrd.xldate_as_datetime(cell.value, book.datemode))
        return _text(bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value)

    return [
        [(i + 1, [text(cell) for cell in sheet.row(i)]) for i in range(sheet.nrows)]
        for sheet in book.sheets()
    ]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
