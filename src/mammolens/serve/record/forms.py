"""Types that check the values of requests: ids of rows, times, and short lines of text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["MOST_ID", "Form", "Line", "Moment", "Number"]

MOST_ID: Final = 2**31 - 1
"""The largest integer of the databases' columns."""
Number = Annotated[int, Field(ge=1, le=MOST_ID)]
"""The id of a row."""
Line = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
"""A short text of one line; control characters could forge lines of lists and reports."""


class Form(BaseModel):
    """Base of the bodies of requests: an unknown key is an error that names it."""

    model_config = ConfigDict(extra="forbid")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


Moment = Annotated[datetime, AfterValidator(_utc)]
"""A time; without a zone it is UTC."""
