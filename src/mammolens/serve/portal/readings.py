"""Readings: opened, drafted, locked, kept or changed after the AI was shown, signed.

A change names the edition that the person sees, in the header If-Match. If somebody, or another
window, was faster, it is refused (412). To lock, revise or sign needs a session; programs with an
API token may only read and draft.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, HTTPException, Response
from pydantic import BaseModel, Field, StringConstraints

from mammolens.readings import Answer
from mammolens.readings import Words as AnyWords
from mammolens.serve import reading
from mammolens.serve.people import Named, Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id
from mammolens.serve.portal.repeats import Repeat, RepeatNow, once
from mammolens.serve.reading import Addendum, Keep, Reading
from mammolens.serve.record import (
    Form,
    Number,
    ReadingMode,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    audit,
)

__all__ = ["ReadingView", "Words", "router", "view_reading"]

router = APIRouter(tags=["readings"])

Words = Annotated[AnyWords, StringConstraints(min_length=1)]


class AfterAi(BaseModel):
    """What became of the first answer with the AI in sight."""

    agreed: bool = Field(description="the first answer was kept")
    at: datetime


class ReadingView(Answer):
    """A reading; the fields of the answer are those of the answer as it is now."""

    id: int
    exam_id: int
    person: Named
    role: ReadingRole
    slot: ReadingSlot | None = Field(description="as what it was signed")
    state: ReadingState
    mode: ReadingMode
    exam_version: int = Field(description="version of the exam that the reader has looked at")
    blinded: bool | None = Field(description="the first answer was given without the AI")
    first_answer: Answer | None
    after_ai: AfterAi | None
    created_at: datetime
    changed_at: datetime
    locked_at: datetime | None
    signed_at: datetime | None
    addenda: list[Addendum]
    etag: str = Field(description="for the header If-Match of the next change")


class Revision(Form):
    """Whether the first answer is kept with the AI in sight; if not, the whole new answer."""

    agree: bool
    changes: Answer | None = None


class Look(Form):
    """The version of the exam that the reader has looked at."""

    exam_version: Number


class Addition(Form):
    """Words to add."""

    text: Words


def view_reading(found: Reading) -> ReadingView:
    """Make the JSON of a reading."""
    after = None
    if found.agreed is not None and found.revised_at is not None:
        after = AfterAi(agreed=found.agreed, at=found.revised_at)
    shown = {**vars(found), **dict(found.answer), "after_ai": after, "etag": f'"{found.edition}"'}
    return ReadingView(**{name: shown[name] for name in ReadingView.model_fields})


def edition_of(if_match: Annotated[str | None, Header()] = None) -> int:
    """Read the edition that a change is meant for.

    Raises
    ------
    HTTPException
        428: no edition is named.
    Refused
        It cannot be an edition of this application.
    """
    if if_match is None:
        raise HTTPException(428, "if_match_needed")
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(Refusal.STALE)
    return int(text)


Edition = Annotated[int, Depends(edition_of)]


def _once(repeat: Repeat, response: Response, act: Callable[[Keep], Reading]) -> ReadingView:
    """Change a reading; a repeated request gets the answer of the first."""

    def keep(connection: sa.Connection, made: Reading) -> None:
        repeat.keep(connection, view_reading(made).model_dump_json(), made.exam_id)

    view = ReadingView.model_validate_json(
        once(repeat, lambda: view_reading(act(keep)).model_dump_json())
    )
    response.headers["ETag"] = view.etag
    return view


@router.post("/exams/{exam_id}/readings", responses={201: {"model": ReadingView}})
def open_reading(
    exam_id: Id, caller: CallerNow, portal: PortalNow, response: Response
) -> ReadingView:
    """Open the reading of the caller, which is created if it does not exist (201)."""
    found, is_new = reading.begin_reading(portal.state.database, caller.person, exam_id)
    response.status_code = 201 if is_new else 200
    return _with_etag(found, response)


@router.get("/exams/{exam_id}/readings")
def list_readings(exam_id: Id, caller: CallerNow, portal: PortalNow) -> list[ReadingView]:
    """List the readings of an exam that the caller may see now."""
    database, person = portal.state.database, caller.person
    with database.write() as connection:
        found = reading.list_readings(connection, person, exam_id)
        shown = ", ".join(str(one.id) for one in found if one.person.id != person.id)
        if shown:
            detail = {"readings": shown}
            audit.append(database, connection, person.actor, "readings_seen", exam_id, detail)
    return [view_reading(one) for one in found]


@router.get("/readings/{reading_id}")
def show_reading(
    reading_id: Id, caller: CallerNow, portal: PortalNow, response: Response
) -> ReadingView:
    """Show one reading."""
    database, person = portal.state.database, caller.person
    with database.write() as connection:
        found = reading.visible_reading(connection, person, reading_id)
        if found.person.id != person.id:
            detail = {"readings": str(found.id)}
            audit.append(database, connection, person.actor, "readings_seen", found.exam_id, detail)
    return _with_etag(found, response)


@router.put("/readings/{reading_id}")
def save_draft(
    reading_id: Id,
    form: Answer,
    edition: Edition,
    caller: CallerNow,
    repeat: RepeatNow,
    response: Response,
) -> ReadingView:
    """Keep a draft; it may be open anywhere."""
    asked = repeat.database, caller.person, reading_id, edition, form
    return _once(repeat, response, lambda keep: reading.save_draft(*asked, keep))


@router.post("/readings/{reading_id}/lock")
def lock(
    reading_id: Id, edition: Edition, caller: SessionNow, repeat: RepeatNow, response: Response
) -> ReadingView:
    """Let the first answer stand for good; in the second-reader mode the AI is shown afterwards."""
    asked = repeat.database, caller.person, reading_id, edition
    return _once(repeat, response, lambda keep: reading.lock_answer(*asked, keep))


@router.post("/readings/{reading_id}/revise")
def revise(
    reading_id: Id,
    form: Revision,
    edition: Edition,
    caller: SessionNow,
    repeat: RepeatNow,
    response: Response,
) -> ReadingView:
    """Keep the first answer with the AI in sight, or change it; both stay."""
    if form.agree is (form.changes is not None):
        raise Refused(Refusal.INCOMPLETE, fields=["changes"])
    asked = repeat.database, caller.person, reading_id, edition, form.changes
    return _once(repeat, response, lambda keep: reading.revise_answer(*asked, keep))


@router.post("/readings/{reading_id}/look")
def look_again(
    reading_id: Id,
    form: Look,
    edition: Edition,
    caller: CallerNow,
    portal: PortalNow,
    response: Response,
) -> ReadingView:
    """Say which version of the exam the reader has looked at, after it or the AI has changed."""
    database = portal.state.database
    made = reading.look_again(database, caller.person, reading_id, edition, form.exam_version)
    return _with_etag(made, response)


@router.post("/readings/{reading_id}/sign")
def sign(
    reading_id: Id, edition: Edition, caller: SessionNow, repeat: RepeatNow, response: Response
) -> ReadingView:
    """Sign; from then on it changes only by addenda."""
    asked = repeat.database, caller.person, reading_id, edition
    return _once(repeat, response, lambda keep: reading.sign_reading(*asked, keep))


@router.post("/readings/{reading_id}/addenda", status_code=201)
def add_addendum(
    reading_id: Id, form: Addition, caller: SessionNow, repeat: RepeatNow, response: Response
) -> ReadingView:
    """Add words to a signed reading of one's own."""
    asked = repeat.database, caller.person, reading_id, form.text
    return _once(repeat, response, lambda keep: reading.add_addendum(*asked, keep))


def _with_etag(found: Reading, response: Response) -> ReadingView:
    view = view_reading(found)
    response.headers["ETag"] = view.etag
    return view
