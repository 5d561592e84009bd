"""What follows from readings: urgent findings to acknowledge, and patients to call back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from mammolens.serve import reading
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Before, Form, Id, Limit
from mammolens.serve.portal.readings import PersonRef, Words
from mammolens.serve.reading import Notice, Recall

__all__ = ["router"]

router = APIRouter(tags=["follow-ups"])
Open = Annotated[bool, Query(alias="open", description="only those that wait for somebody")]


class NewNotice(Form):
    """What the referrer must know at once."""

    text: Words


class NoticeView(BaseModel):
    """An urgent finding, and who has acknowledged it."""

    id: int
    exam_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None = Field(description="as DICOM writes it")
    person: PersonRef
    text: str
    created_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class NoticePage(BaseModel):
    """Urgent findings, the newest first."""

    items: list[NoticeView]
    next: int | None


class RecallView(BaseModel):
    """A patient to be called back, and what became of it."""

    id: int
    exam_id: int
    reading_id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None = Field(description="as DICOM writes it")
    created_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    reason: str | None


class RecallPage(BaseModel):
    """Recalls, the newest first."""

    items: list[RecallView]
    next: int | None


class Closing(Form):
    """What became of the patient."""

    closed: Literal[True]
    reason: Words


@router.post("/readings/{reading_id}/notices", status_code=201)
def notify(reading_id: Id, form: NewNotice, caller: SessionNow, portal: PortalNow) -> NoticeView:
    """Tell the site of an exam of an urgent finding, before the reading is signed."""
    return _notice(reading.notify(portal.state.database, caller.person, reading_id, form.text))


@router.get("/notices")
def list_notices(
    caller: CallerNow,
    portal: PortalNow,
    open_only: Open = False,
    before: Before = None,
    limit: Limit = 50,
) -> NoticePage:
    """List urgent findings at the sites of the caller."""
    page = reading.list_notices(
        portal.state.database, caller.person, open_only=open_only, before=before, limit=limit
    )
    return NoticePage(items=[_notice(one) for one in page.items], next=page.next)


@router.post("/notices/{notice_id}/acknowledgement")
def acknowledge(notice_id: Id, caller: SessionNow, portal: PortalNow) -> NoticeView:
    """Say that an urgent finding is known and acted upon; the first counts."""
    return _notice(reading.acknowledge(portal.state.database, caller.person, notice_id))


@router.get("/recalls")
def list_recalls(
    caller: CallerNow,
    portal: PortalNow,
    open_only: Open = True,
    before: Before = None,
    limit: Limit = 50,
) -> RecallPage:
    """List patients to be called back at the sites of the caller."""
    page = reading.list_recalls(
        portal.state.database, caller.person, open_only=open_only, before=before, limit=limit
    )
    return RecallPage(items=[_recall(one) for one in page.items], next=page.next)


@router.patch("/recalls/{recall_id}")
def close_recall(recall_id: Id, form: Closing, caller: SessionNow, portal: PortalNow) -> RecallView:
    """Close a recall, saying what became of the patient."""
    return _recall(
        reading.close_recall(portal.state.database, caller.person, recall_id, form.reason)
    )


def _notice(one: Notice) -> NoticeView:
    shown = {name: value for name, value in vars(one).items() if not name.startswith("person_")}
    return NoticeView(person=PersonRef(id=one.person_id, name=one.person_name), **shown)


def _recall(one: Recall) -> RecallView:
    return RecallView(**vars(one))
