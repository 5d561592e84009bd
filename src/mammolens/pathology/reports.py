"""A pathology report as it was received: who, which, when, its status and its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Final

from mammolens.errors import UnreadableReport

__all__ = ["MAX_BYTES", "SECTION_OF_LOINC", "PathologyReport", "ReportStatus", "day_of",
           "identifier", "moment", "refuse_future"]  # fmt: skip

MAX_BYTES: Final = 32 << 20
"""Largest file of reports; the size is checked before reading."""
_LONGEST_ID: Final = 64
"""DICOM's LO, the longest patient id that an exam can have."""
_DAY_AHEAD: Final = timedelta(hours=14)
"""The earliest time zone is 14 hours before UTC: a date beyond it is in the future everywhere."""
SECTION_OF_LOINC: Final = {
    "22637-3": "DIAGNOSIS",
    "34574-4": "DIAGNOSIS",
    "22635-7": "MICROSCOPY",
    "22635-8": "MICROSCOPY",
    "22634-0": "GROSS DESCRIPTION",
    "22633-2": "SPECIMEN",
    "22636-5": "CLINICAL HISTORY",
    "22638-1": "COMMENT",
    "60569-1": "ADDENDUM",
    "35265-8": "ADDENDUM",
    "60568-3": "SYNOPTIC REPORT",
    "60567-5": "",
    "11529-5": "",
    "11526-1": "",
}
"""LOINC codes of the parts of a pathology report → our title; "" is the whole report."""


class ReportStatus(Enum):
    """How far a report is; a later value overrules an earlier one of the same time."""

    PRELIMINARY = 0
    FINAL = 1
    ADDENDUM = 2
    """Adds to the earlier text."""
    CORRECTED = 3
    """Replaces the earlier text."""
    WITHDRAWN = 4
    """Entered in error, cancelled, or of another patient."""


@dataclass(frozen=True)
class PathologyReport:
    """One version of one report.

    Attributes
    ----------
    source
        File, and place in the file.
    report_id
        The laboratory's number of the report; ``None`` if unknown.
    patient_id, accession_number
        As in the source; ``None`` if unknown.
    collected
        When the tissue was taken.
    issued
        When this version was signed, with time zone if known.
    text
        The text; never shown by ``repr``.
    birth_date
        Of the patient, as the message states it; ``None`` if unknown.
    """

    source: str
    report_id: str | None
    patient_id: str | None
    accession_number: str | None
    collected: date | None
    issued: datetime | None
    status: ReportStatus
    text: str = field(repr=False)
    birth_date: date | None = field(default=None, repr=False)


def identifier(value: str | None, source: str, keyword: str) -> str | None:
    """Check an identifier; "" gives ``None``.

    Raises
    ------
    UnreadableReport
        If it is longer than any identifier or has control characters; its text is not shown,
        because it may be a part of the report.
    """
    text = (value or "").strip()
    if not text:
        return None
    if len(text) > _LONGEST_ID or not text.isprintable():
        raise UnreadableReport(
            "the identifier is too long or has control characters",
            source=source,
            keyword=keyword,
            remedy="Check that every value is in its own column or field",
        )
    return text


_STAMP: Final = re.compile(
    r"(\d{4})-?(\d\d)(?:-?(\d\d))?(?:[T ]?(\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d{1,9})?)?)?"
    r"\s?(Z|[+-]\d\d:?\d\d)?"
)
_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)
_WORDED: Final = re.compile(r"(\d{1,2})[ .-]{1,2}([A-Za-z]{3})[a-z]*\.?[ ,.-]{1,3}(\d{4})")
_SLASHED: Final = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")


def moment(text: str | None) -> datetime | None:
    """Read a date with or without time: FHIR, HL7, ISO, ``3 May 2025``, ``25/12/2025``.

    A date such as ``03/04/2025``, whose day and month cannot be told apart, gives ``None``.

    Examples
    --------
    >>> moment("20250314101500+0100").isoformat(), moment("3 May 2025").date().isoformat()
    ('2025-03-14T10:15:00+01:00', '2025-05-03')
    >>> moment("03/04/2025"), moment("14/04/2025").date().isoformat()
    (None, '2025-04-14')
    """
    value = (text or "").strip()[:40]
    try:
        if match := _STAMP.fullmatch(value):
            parts = [int(group) if group else None for group in match.groups()[:6]]
            year, month, day, hour, minute, second = parts  # A month alone is its first day.
            zone = _zone(match[7])
            return datetime(
                year or 0, month or 0, day or 1, hour or 0, minute or 0, second or 0, tzinfo=zone
            )
        if match := _WORDED.fullmatch(value):
            month = _MONTHS.index(match[2].lower()) + 1
            return datetime(int(match[3]), month, int(match[1]))
        if match := _SLASHED.fullmatch(value):
            first, second = int(match[1]), int(match[2])
            if first > 12 >= second or first == second:
                return datetime(int(match[3]), second, first)
            if second > 12 >= first:
                return datetime(int(match[3]), first, second)
    except ValueError:
        return None
    return None


def day_of(text: str | None) -> date | None:
    """Read a date as `moment` does, without its time."""
    found = moment(text)
    return found.date() if found else None


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def refuse_future(report: PathologyReport, now: datetime) -> None:
    """Refuse a report that was collected or signed in the future.

    Parameters
    ----------
    report
        The report.
    now
        The present time with time zone.

    Raises
    ------
    UnreadableReport
        If one of its dates is in the future in every time zone.
    """
    limit = now.astimezone(UTC) + _DAY_AHEAD
    issued = report.issued
    if issued is not None and issued.tzinfo is None:
        issued = issued.replace(tzinfo=UTC)
    late = issued is not None and issued > limit
    early = report.collected is not None and report.collected > limit.date()
    if late or early:
        raise UnreadableReport(
            "the report is dated in the future",
            source=report.source,
            keyword="issued" if late else "collected",
            remedy="Correct the date in the source, or the clock of this machine",
        )
