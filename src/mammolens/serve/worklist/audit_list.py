"""The audit trail as administrators of the installation read it, page by page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.reading import exams_with_visible_ai
from mammolens.serve.record import AUDIT, EXAMS

__all__ = ["AuditEntry", "AuditQuestion", "list_audit"]

OF_THE_AI: Final = frozenset(
    {"category", "malignancy", "tumour", "score", "files", "agreed", "recall", "about"}
)
"""Keys of details that say what the AI says of an exam, or what others answered."""


@dataclass(frozen=True)
class AuditQuestion:
    """Which rows are asked for; what is ``None`` asks for all. `until` is exclusive."""

    exam_id: int | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


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
    connection: sa.Connection, person: Person, question: AuditQuestion, before: int | None = None
) -> list[AuditEntry]:
    """List rows, the newest first.

    An administrator who also reads must not learn here what is hidden from them elsewhere.

    Parameters
    ----------
    before
        Number of the last row of the page before.

    Raises
    ------
    Refused
        The person does not administer the installation.
    """
    if not person.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)
    of, fits = AUDIT.c, list[sa.ColumnElement[bool]]()
    given = vars(question)
    fits += [of[name] == given[name] for name in ("exam_id", "actor", "action") if given[name]]
    if question.since is not None:
        fits.append(of.at >= question.since)
    if question.until is not None:
        fits.append(of.at < question.until)
    if before is not None:
        fits.append(of.number < before)
    asked = sa.select(AUDIT).where(*fits).order_by(of.number.desc()).limit(question.limit)
    rows = connection.execute(asked).all()
    ids = {row.exam_id for row in rows if row.exam_id is not None}
    there = {*connection.execute(sa.select(EXAMS.c.id).where(EXAMS.c.id.in_(ids))).scalars()}
    hidden = there - exams_with_visible_ai(connection, person, there)
    return [_entry(row, row.exam_id in hidden) for row in rows]


def _entry(row: sa.Row[Any], hides: bool) -> AuditEntry:
    detail: dict[str, Any] = json.loads(row.detail)
    if hides:
        detail = {key: value for key, value in detail.items() if key not in OF_THE_AI}
    return AuditEntry(row.number, row.at, row.actor, row.action, row.exam_id, detail, row.hash)
