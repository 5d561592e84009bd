"""Read pathology reports from files and folders: text, tables, HL7 v2, FHIR R4.

The kind of a file is found by its content. Scans, PDF, XML and office documents are refused with a
message that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from mammolens.errors import InvalidManifest, MissingInput, UnreadableReport
from mammolens.pathology.fhir import is_json, read_fhir
from mammolens.pathology.hl7 import is_hl7, read_hl7
from mammolens.pathology.reports import (
    MAX_BYTES,
    PathologyReport,
    ReportStatus,
    identifier,
    moment,
)
from mammolens.tables import read_table
from mammolens.tables.decoding import decode

__all__ = ["find_files", "read_content", "read_file"]

_SUFFIXES: Final = frozenset(
    (".txt", ".text", ".csv", ".tsv", ".xlsx", ".json", ".ndjson", ".hl7", ".er7", ".oru")
) | frozenset((".pdf", ".xml", ".rtf", ".doc", ".docx", ".html", ".htm", ".tif", ".tiff"))
"""Files that a folder is searched for; the last two rows are refused with a message."""
_TABLES: Final = frozenset((".csv", ".tsv", ".xlsx"))
_MAGIC: Final = (
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"\x89PNG", "a picture: a scan without text"),
    (b"\xff\xd8\xff", "a picture: a scan without text"),
    (b"II*\0", "a picture: a scan without text"),
    (b"MM\0*", "a picture: a scan without text"),
)


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Give the files of reports among paths; folders are searched.

    Raises
    ------
    MissingInput
        If a path does not exist, or no file is found.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
            found += sorted(p for p in inside if not p.name.startswith("."))
        elif path.exists():
            found.append(path)
        else:
            raise MissingInput(
                "the path does not exist", source=str(path), remedy="Give files or folders"
            )
    if not found:
        raise MissingInput(
            "no pathology report was found",
            remedy="Give text, CSV, Excel, HL7 or JSON files, or folders with them",
        )
    return found


def read_file(path: Path) -> Iterator[PathologyReport | UnreadableReport]:
    """Read all reports of a file; what cannot be read gives its error in its place."""
    try:
        yield from _read(path)
    except UnreadableReport as error:
        yield error


def _read(path: Path) -> Iterator[PathologyReport | UnreadableReport]:
    data = _bytes(path)
    source, low = str(path), path.suffix.lower()
    if low == ".xlsx" and data.startswith(b"PK"):
        yield from _read_rows(path)
        return
    if low in _TABLES and not is_hl7(data):
        _refuse_documents(data, source)
        yield from _read_rows(path)
    else:
        yield from read_content(data, source, is_text=low == ".txt")


def read_content(
    data: bytes, source: str, *, is_text: bool = False
) -> Iterator[PathologyReport | UnreadableReport]:
    """Read all reports of a message, a JSON document or a text; its kind is found by its content.

    Parameters
    ----------
    source
        Name of the content in errors.
    is_text
        A leading brace belongs to a text, not to JSON.

    Raises
    ------
    UnreadableReport
        Nothing of it can be read. What cannot be read in it gives its error in its place.
    """
    _refuse_documents(data, source)
    if is_hl7(data):
        yield from read_hl7(data, source)
    elif is_json(data) and not is_text:
        yield from read_fhir(data, source)
    else:
        yield _read_text(data, source)


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableReport(
                f"the file has {size >> 20:,} MiB, more than {MAX_BYTES >> 20}",
                source=str(path),
                remedy="Split it into smaller files",
            )
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableReport(
            f"the file cannot be read: {error.strerror}",
            source=str(path),
            remedy="Give a file that exists and is readable",
        ) from None
    if not data.strip():
        raise UnreadableReport("the file is empty", source=str(path), remedy="Copy it again")
    return data


def _refuse_documents(data: bytes, source: str) -> None:
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:400]
    what = ""
    if head.startswith(b"%PDF"):
        if b"/Encrypt" in data:
            what = "an encrypted PDF"
        elif b"/Font" not in data and b"/ObjStm" not in data:
            what = "a PDF of a scan, without text"
        else:
            what = "a PDF"
    elif head.startswith(b"<"):
        page = b"<html" in head.lower() or b"<!doctype html" in head.lower()
        what = "a web page" if page else "XML"
    elif data[128:132] == b"DICM":
        what = "a DICOM object"
    else:
        what = next((words for magic, words in _MAGIC if head.startswith(magic)), "")
    if what:
        raise UnreadableReport(
            f"the file is {what}; such files are not read",
            source=source,
            remedy="Export the text of the report as a text file, HL7 v2 or FHIR R4 in JSON",
        )


_COLUMNS: Final = (
    *("report_id", "patient_id", "accession_number", "collected", "issued", "status"),
)
_MEANT: Final = {
    "accession": "accession_number",
    "mrn": "patient_id",
    "patient": "patient_id",
    "report": "report_id",
    "date": "issued",
}
_STATUS_WORDS: Final = {
    "": ReportStatus.FINAL,
    "final": ReportStatus.FINAL,
    "f": ReportStatus.FINAL,
    "preliminary": ReportStatus.PRELIMINARY,
    "p": ReportStatus.PRELIMINARY,
    "addendum": ReportStatus.ADDENDUM,
    "appended": ReportStatus.ADDENDUM,
    "corrected": ReportStatus.CORRECTED,
    "amended": ReportStatus.CORRECTED,
    "c": ReportStatus.CORRECTED,
    "withdrawn": ReportStatus.WITHDRAWN,
    "cancelled": ReportStatus.WITHDRAWN,
    "entered-in-error": ReportStatus.WITHDRAWN,
}


def _read_rows(path: Path) -> Iterator[PathologyReport | UnreadableReport]:
    """Read a table with the column ``text`` and those of `_COLUMNS`, a report in each row."""
    source = str(path)
    try:
        if path.suffix.lower() != ".xlsx" and not decode(path.read_bytes(), path).certain:
            raise UnreadableReport(
                "the table is not in UTF-8", source=source, remedy='Save it as "CSV UTF-8"'
            )
        table = read_table(path, ("text",), _COLUMNS, meant=_MEANT)
    except InvalidManifest:
        # Its message may quote a cell, and so a report.
        raise UnreadableReport(
            "the table cannot be read: the column text is missing, a row has another number of "
            "cells, or a quote is not closed",
            source=source,
            remedy="Give a table with a header, and put texts in quotes",
        ) from None
    for row in table.rows:
        where = f"{source}, line {row.line}"
        try:
            status = _STATUS_WORDS.get(row["status"].casefold())
            dates = {}
            for name in ("collected", "issued"):
                dates[name] = moment(row[name])
                if row[name] and dates[name] is None:
                    raise UnreadableReport(
                        "the date cannot be read", source=where, keyword=name,
                        remedy="Write dates as YYYY-MM-DD",
                    )  # fmt: skip
            if status is None:
                raise UnreadableReport(
                    "the status is not known", source=where, keyword="status",
                    remedy="Use preliminary, final, addendum, corrected or withdrawn",
                )  # fmt: skip
            taken = dates["collected"]
            yield PathologyReport(
                where,
                identifier(row["report_id"], where, "report_id"),
                identifier(row["patient_id"], where, "patient_id"),
                identifier(row["accession_number"], where, "accession_number"),
                taken.date() if taken else None,
                dates["issued"],
                status,
                row["text"],
            )
        except UnreadableReport as error:
            yield error


_IDENTITY: Final = {
    "patient_id": r"(?:patient (?:id|number|no\.?)|mrn|hospital (?:no\.?|number|id)|nhs (?:no\.?|"
    r"number)|unit (?:no\.?|number))",
    "report_id": r"(?:accession(?: (?:no\.?|number|#))?|lab(?:oratory)? (?:no\.?|number|ref)|"
    r"report (?:no\.?|number|id)|case (?:no\.?|number|#)|path(?:ology)? (?:no\.?|number)|"
    r"specimen (?:no\.?|number|id))",
    "collected": r"(?:date (?:collected|taken|of (?:collection|procedure|biopsy|surgery))|"
    r"collected(?: on)?|collection date|taken)",
    "issued": r"(?:date (?:reported|signed|of report|authori[sz]ed)|reported(?: on)?|"
    r"signed(?: on)?|"
    r"report date|authori[sz]ed(?: on)?)",
}
_ROWS: Final = {
    name: re.compile(
        rf"(?:^|[;|]|\s{{2,}}){title}\s?[:#]\s?([\w/.+: -]{{1,40}}?)(?=\s{{2,}}|[;|,]|$)", re.I
    )
    for name, title in _IDENTITY.items()
}
_HEAD_LINES: Final = 60


def _read_text(data: bytes, source: str) -> PathologyReport:
    """Read one text; identity and dates are looked for in its first and last lines."""
    try:
        text = decode(data, Path(source)).text
    except InvalidManifest:
        raise UnreadableReport(
            "the bytes are not text, or are damaged", source=source,
            remedy="Save the report as text in UTF-8",
        ) from None  # fmt: skip
    controls = sum(text.count(chr(code)) for code in range(32) if code not in (9, 10, 12, 13))
    if controls * 200 > len(text):
        raise UnreadableReport(
            "the file has control characters and is not text", source=source,
            remedy="Save the report as text in UTF-8",
        )  # fmt: skip
    lines = text.split("\n")
    shown = [*lines[:_HEAD_LINES], *lines[_HEAD_LINES:][-20:]]
    found: dict[str, list[str]] = {name: [] for name in _ROWS}
    for line in shown:
        for name, pattern in _ROWS.items():
            found[name] += [match[1].strip() for match in pattern.finditer(line[:300])]
    if len(set(found["patient_id"])) > 1:
        raise UnreadableReport(
            "the report names two patients", source=source, keyword="patient_id",
            remedy="Put the report of each patient into a file of its own",
        )  # fmt: skip
    dates: dict[str, datetime | None] = {
        name: next(filter(None, map(moment, found[name])), None) for name in ("collected", "issued")
    }
    number = next(iter(found["report_id"]), "")
    taken = dates["collected"]
    return PathologyReport(
        source,
        identifier(number, source, "report_id"),
        identifier(next(iter(found["patient_id"]), ""), source, "patient_id"),
        identifier(number, source, "accession_number"),
        taken.date() if taken else None,
        dates["issued"],
        ReportStatus.FINAL,
        text,
    )
