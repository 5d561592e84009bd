"""The audit trail, for administrators of the installation."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.record import Page, audit
from mammolens.serve.worklist import AuditEntry, AuditQuestion, list_audit

__all__ = ["router"]

router = APIRouter(prefix="/audit", tags=["audit"])
_one_at_a_time = threading.Lock()
"""Verifying reads the whole trail."""


class VerificationView(BaseModel):
    """Whether the trail is whole; `head` is worth keeping elsewhere."""

    sound: bool
    length: int
    head: str
    broken_at: int | None
    reason: str | None


@router.get("")
def list_trail(
    asked: Annotated[AuditQuestion, Query()], caller: CallerNow, portal: PortalNow
) -> Page[AuditEntry]:
    """List the trail, the newest row first; `next` is the cursor of the next page."""
    with portal.state.database.read() as connection:
        return list_audit(connection, caller.person, asked)


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
