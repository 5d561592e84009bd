"""The audit trail, for administrators of the installation."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.portal.forms import MOST_ID
from mammolens.serve.record import audit
from mammolens.serve.worklist import AuditQuestion, list_audit

__all__ = ["router"]

router = APIRouter(prefix="/audit", tags=["audit"])
_one_at_a_time = threading.Lock()
"""Verifying reads the whole trail."""


class AuditEntryView(BaseModel):
    """One row of the trail."""

    number: int
    at: datetime
    actor: str
    action: str
    exam_id: int | None
    detail: dict[str, Any]
    hash: str


class AuditList(BaseModel):
    """One page, the newest row first; `next` is the cursor of the next."""

    items: list[AuditEntryView]
    next: int | None


class VerificationView(BaseModel):
    """Whether the trail is whole; `head` is worth keeping elsewhere."""

    sound: bool
    length: int
    head: str
    broken_at: int | None
    reason: str | None


@router.get("")
def list_trail(
    caller: CallerNow,
    portal: PortalNow,
    exam: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    actor: Annotated[str | None, Query(max_length=128)] = None,
    action: Annotated[str | None, Query(max_length=32)] = None,
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[datetime | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
) -> AuditList:
    """List the trail, the newest row first."""
    question = AuditQuestion(exam, actor, action, _utc(since), _utc(until), limit)
    with portal.state.database.read() as connection:
        entries = list_audit(connection, caller.person, question, cursor)
    following = entries[-1].number if len(entries) == limit else None
    return AuditList(items=[AuditEntryView(**vars(one)) for one in entries], next=following)


@router.get("/verification")
def verify_trail(caller: CallerNow, portal: PortalNow) -> VerificationView:
    """Read the whole trail, and find the first row that was changed, removed or put in."""
    if not caller.person.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)
    if not _one_at_a_time.acquire(blocking=False):
        raise Refused(Refusal.BUSY, retry_after_s=10)
    try:
        with portal.state.database.read() as connection:
            report = audit.verify(connection)
    finally:
        _one_at_a_time.release()
    return VerificationView(
        sound=report.sound,
        length=report.head.length,
        head=str(report.head),
        broken_at=report.broken_at,
        reason=report.reason,
    )


def _utc(time: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
