"""Read a day from a table: a date in one unambiguous form that lies in the past."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from mammolens.tables import Row

__all__ = ["read_day"]

_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?", re.ASCII)
"""2026-03-31, 20260331 as in DICOM, or either with a time. 03/04/2026 has two meanings."""


def read_day(row: Row, column: str, today: date) -> date | None:
    """Read a day; an empty cell gives ``None``.

    Raises
    ------
    InvalidManifest
        It is not such a date, or lies after `today`.
    """
    text = row.text(column)
    if text is None:
        return None
    found = _DAY.fullmatch(text)
    try:
        day = date(*map(int, found.groups())) if found else None
    except ValueError:
        day = None
    if day is None:
        raise row.wrong(column, "a date like 2026-03-31")
    if day > today:
        raise row.wrong(column, f"a day that is not in the future (today is {today})")
    return day
