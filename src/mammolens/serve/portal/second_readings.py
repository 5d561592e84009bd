"""Where one reader is not enough: arbitration between two, and opinions of named readers."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from mammolens.serve import reading
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import MOST_ID, Before, Form, Id, Limit
from mammolens.serve.portal.readings import PersonRef, ReadingView, view_reading
from mammolens.serve.reading import Opinion, Words
from mammolens.serve.record import ReadingState

__all__ = ["router"]

router = APIRouter(tags=["readings"])


class DisputeView(BaseModel):
    """Two readings side by side, and what they differ in."""

    exam_id: int
    first: ReadingView
    second: ReadingView
    differences: list[str] = Field(description="names of fields of the answer")


class Question(Form):
    """Who is asked, and what."""

    person_id: int = Field(ge=1, le=MOST_ID)
    question: Words = ""


class OpinionView(BaseModel):
    """A request for an opinion, and how far the answer is."""

    id: int
    exam_id: int
    patient_name: str | None = Field(description="as DICOM writes it")
    person: PersonRef
    asked_by: PersonRef
    question: str
    created_at: datetime
    ended_at: datetime | None
    reading_id: int | None
    state: ReadingState | None


class OpinionPage(BaseModel):
    """Requests, the newest first."""

    items: list[OpinionView]
    next: int | None


class ColleaguePage(BaseModel):
    """Readers who may be asked."""

    items: list[PersonRef]
    next: int | None


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
def ask_opinion(exam_id: Id, form: Question, caller: SessionNow, portal: PortalNow) -> OpinionView:
    """Ask a named reader, who may work at another site and then sees this exam."""
    made = reading.ask_opinion(
        portal.state.database, caller.person, exam_id, form.person_id, form.question
    )
    return _view(made)


@router.get("/opinions")
def list_opinions(
    caller: CallerNow, portal: PortalNow, before: Before = None, limit: Limit = 50
) -> OpinionPage:
    """List the opinions that the caller was asked for, or has asked for."""
    page = reading.list_opinions(portal.state.database, caller.person, before=before, limit=limit)
    return OpinionPage(items=[_view(one) for one in page.items], next=page.next)


@router.delete("/opinions/{opinion_id}", status_code=204)
def end_opinion(opinion_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """End a request: whoever was asked sees the exam no longer; what they signed stays."""
    reading.end_opinion(portal.state.database, caller.person, opinion_id)


@router.get("/readers")
def list_readers(
    caller: CallerNow, portal: PortalNow, before: Before = None, limit: Limit = 50
) -> ColleaguePage:
    """List the readers of the installation, for those who may ask them."""
    page = reading.list_readers(portal.state.database, caller.person, before=before, limit=limit)
    people = [PersonRef(id=one.id, name=one.display_name) for one in page.items]
    return ColleaguePage(items=people, next=page.next)


def _view(one: Opinion) -> OpinionView:
    return OpinionView(
        id=one.id,
        exam_id=one.exam_id,
        patient_name=one.patient_name,
        person=PersonRef(id=one.person_id, name=one.person_name),
        asked_by=PersonRef(id=one.asked_by, name=one.asked_by_name),
        question=one.question,
        created_at=one.created_at,
        ended_at=one.ended_at,
        reading_id=one.reading_id,
        state=one.state,
    )
