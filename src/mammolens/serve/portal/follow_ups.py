"""What goes beside and follows from readings.

Where one reader is not enough: arbitration between two, and opinions of named readers. Then urgent
findings to acknowledge, and patients to call back.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from mammolens.readings import Words as AnyWords
from mammolens.serve import reading
from mammolens.serve.people import Named
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, PagingNow
from mammolens.serve.portal.readings import ReadingView, Words, view_reading
from mammolens.serve.reading import Notice, Opinion, Recall
from mammolens.serve.record import Form, Number, Page

__all__ = ["follow_ups", "router"]

router = APIRouter(tags=["readings"])


class DisputeView(BaseModel):
    """Two readings side by side, and what they differ in."""

    exam_id: int
    first: ReadingView
    second: ReadingView
    differences: list[str] = Field(description="names of fields of the answer")


class Question(Form):
    """Who is asked, and what."""

    person_id: Number
    question: AnyWords = ""


@router.get("/exams/{exam_id}/arbitration")
def show_dispute(exam_id: Id, caller: CallerNow, portal: PortalNow) -> DisputeView:
    """Show both readings of an exam about which two readers disagree."""
    found = reading.read_dispute(portal.state.database, caller.person, exam_id)
    return DisputeView(
        exam_id=found.exam_id,
        first=view_reading(found.first),
        second=view_reading(found.second),
        differences=list(found.differences),
    )


@router.post("/exams/{exam_id}/arbitration", responses={201: {"model": ReadingView}})
def arbitrate(
    exam_id: Id, caller: SessionNow, portal: PortalNow, response: Response
) -> ReadingView:
    """Open the arbiter's reading of the caller, which is created if it does not exist (201)."""
    made, is_new = reading.begin_arbitration(portal.state.database, caller.person, exam_id)
    view = view_reading(made)
    response.status_code = 201 if is_new else 200
    response.headers["ETag"] = view.etag
    return view


@router.post("/exams/{exam_id}/opinions", status_code=201)
def ask_opinion(exam_id: Id, form: Question, caller: SessionNow, portal: PortalNow) -> Opinion:
    """Ask a named reader, who may work at another site and then sees this exam."""
    database, asked = portal.state.database, form.person_id
    return reading.ask_opinion(database, caller.person, exam_id, asked, form.question)


@router.get("/opinions")
def list_opinions(caller: CallerNow, portal: PortalNow, page: PagingNow) -> Page[Opinion]:
    """List the opinions that the caller was asked for, or has asked for, the newest first."""
    return reading.list_opinions(portal.state.database, caller.person, **page)


@router.delete("/opinions/{opinion_id}", status_code=204)
def end_opinion(opinion_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """End a request: whoever was asked sees the exam no longer; what they signed stays."""
    reading.end_opinion(portal.state.database, caller.person, opinion_id)


@router.get("/readers")
def list_readers(caller: CallerNow, portal: PortalNow, page: PagingNow) -> Page[Named]:
    """List the readers of the installation, for those who may ask them."""
    return reading.list_readers(portal.state.database, caller.person, **page)


follow_ups = APIRouter(tags=["follow-ups"])
Open = Annotated[bool, Query(alias="open", description="only those that wait for somebody")]


class NewNotice(Form):
    """What the referrer must know at once."""

    text: Words


class Closing(Form):
    """What became of the patient."""

    closed: Literal[True]
    reason: Words


@follow_ups.post("/readings/{reading_id}/notices", status_code=201)
def notify(reading_id: Id, form: NewNotice, caller: SessionNow, portal: PortalNow) -> Notice:
    """Tell the site of an exam of an urgent finding, before the reading is signed."""
    return reading.notify(portal.state.database, caller.person, reading_id, form.text)


@follow_ups.get("/notices")
def list_notices(
    caller: CallerNow, portal: PortalNow, page: PagingNow, open_only: Open = False
) -> Page[Notice]:
    """List urgent findings at the sites of the caller, the newest first."""
    database = portal.state.database
    return reading.list_notices(database, caller.person, open_only=open_only, **page)


@follow_ups.post("/notices/{notice_id}/acknowledgement")
def acknowledge(notice_id: Id, caller: SessionNow, portal: PortalNow) -> Notice:
    """Say that an urgent finding is known and acted upon; the first counts."""
    return reading.acknowledge(portal.state.database, caller.person, notice_id)


@follow_ups.get("/recalls")
def list_recalls(
    caller: CallerNow, portal: PortalNow, page: PagingNow, open_only: Open = True
) -> Page[Recall]:
    """List patients to be called back at the sites of the caller, the newest first."""
    database = portal.state.database
    return reading.list_recalls(database, caller.person, open_only=open_only, **page)


@follow_ups.patch("/recalls/{recall_id}")
def close_recall(recall_id: Id, form: Closing, caller: SessionNow, portal: PortalNow) -> Recall:
    """Close a recall, saying what became of the patient."""
    return reading.close_recall(portal.state.database, caller.person, recall_id, form.reason)
