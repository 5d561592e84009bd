"""Days of clinical data: in one unambiguous form, and not in the future."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from mammolens.errors import InvalidManifest
from mammolens.pathology.reports import moment
from mammolens.wording import printable

__all__ = ["last_day", "read_day"]


def last_day(now: datetime | None = None) -> date:
    """Give the latest day that it is anywhere: a day after it is in the future everywhere."""
    return ((now or datetime.now(UTC)).astimezone(UTC) + timedelta(hours=14)).date()


def read_day(text: str, source: str, keyword: str, today: date) -> date | None:
    """Read a day; an empty text gives ``None``.

    Raises
    ------
    InvalidManifest
        It is not a date, its day and month cannot be told apart, or it lies after `today`.
    """
    if not text.strip():
        return None
    found = moment(text)
    if found is None:
        raise InvalidManifest(
            f"{printable(text[:30])!r} is not a date",
            source=source,
            keyword=keyword,
            remedy="Write dates as YYYY-MM-DD",
        )
    if found.date() > today:
        raise InvalidManifest(
            f"{found.date()} is in the future",
            source=source,
            keyword=keyword,
            remedy="Correct the date in the source, or the clock of this machine",
        )
    return found.date()
