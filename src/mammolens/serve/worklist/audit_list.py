"""The audit trail as administrators of the installation read it, page by page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.reading import exams_with_visible_ai
from mammolens.serve.record import AUDIT, EXAMS, Moment, Number, Page, from_row

__all__ = ["AuditEntry", "AuditQuestion", "list_audit"]

OF_THE_AI: Final = frozenset(
    {"category", "malignancy", "tumour", "score", "files", "agreed", "recall", "about"}
)
"""Keys of details that say what the AI says of an exam, or what others answered."""


class AuditQuestion(BaseModel):
    """Which rows are asked for; what is ``None`` asks for all. `until` is exclusive.

    `cursor` is the number of the last row of the page before. A program asks by the aliases.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    exam_id: Number | None = Field(None, alias="exam")
    actor: str | None = Field(None, max_length=128)
    action: str | None = Field(None, max_length=32)
    since: Moment | None = Field(None, alias="from")
    until: Moment | None = Field(None, alias="to")
    limit: int = Field(100, ge=1, le=500)
    cursor: Number | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One row of the trail."""

    number: int
    at: datetime
    actor: str
    action: str
    exam_id: int | None
    detail: dict[str, Any]
    hash: str


def list_audit(
    connection: sa.Connection, person: Person, question: AuditQuestion
) -> Page[AuditEntry]:
    """List rows, the newest first.

    An administrator who also reads must not learn here what is hidden from them elsewhere.

    Raises
    ------
    Refused
        The person does not administer the installation.
    """
    if not person.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)
    of, given = AUDIT.c, question.model_dump(exclude_none=True)
    fits = [of[name] == given[name] for name in ("exam_id", "actor", "action") if given.get(name)]
    if question.since is not None:
        fits.append(of.at >= question.since)
    if question.until is not None:
        fits.append(of.at < question.until)
    if question.cursor is not None:
        fits.append(of.number < question.cursor)
    asked = sa.select(AUDIT).where(*fits).order_by(of.number.desc()).limit(question.limit)
    rows = connection.execute(asked).all()
    ids = {row.exam_id for row in rows if row.exam_id is not None}
    there = {*connection.execute(sa.select(EXAMS.c.id).where(EXAMS.c.id.in_(ids))).scalars()}
    hidden = there - exams_with_visible_ai(connection, person, there)
    entries = tuple(_entry(row, row.exam_id in hidden) for row in rows)
    return Page(entries, entries[-1].number if len(entries) == question.limit else None)


def _entry(row: sa.Row[Any], hides: bool) -> AuditEntry:
    detail: dict[str, Any] = json.loads(row.detail)
    if hides:
        detail = {key: value for key, value in detail.items() if key not in OF_THE_AI}
    return from_row(AuditEntry, row, detail=detail)
