"""Links to signed reports over HTTP: for people who make them, and for whoever opens one.

A stranger may call one route, with link and code in the body of the request: an address would lie
in logs. The answer is the report as data; nothing else can be reached by a link.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from mammolens.serve import sharing
from mammolens.serve.portal.caller import Portal, PortalNow, SessionNow
from mammolens.serve.portal.forms import MOST_ID, Form, Id, Language
from mammolens.sinks.reading import make_document, wording

__all__ = ["OPEN_TO_STRANGERS", "router"]

router = APIRouter(tags=["shares"])
OPENING: Final = "/shares/opening"
OPEN_TO_STRANGERS: Final = {OPENING: frozenset(("POST",))}
OPEN: Final[dict[str, Any]] = {"security": []}


class ShareForm(Form):
    """The signed reading whose report is shared."""

    reading_id: int = Field(ge=1, le=MOST_ID)


class _Seen(BaseModel):
    """What is read from the attributes of an object of the rooms below."""

    model_config = ConfigDict(from_attributes=True)


class ShareView(_Seen):
    """A link to a report; `is_locked` after too many wrong codes."""

    id: int
    reading_id: int
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    opened_at: datetime | None
    openings: int
    is_locked: bool


class NewShareView(_Seen):
    """A link that was made just now: `token` goes behind `#` of /share, `code` by another way."""

    share: ShareView
    token: str
    code: str


class Opening(Form):
    """What opens a link."""

    token: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")
    code: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    language: Language | None = None


class TableView(_Seen):
    """A small table of a report."""

    head: list[str]
    rows: list[list[str]]


class SectionView(_Seen):
    """A heading of a report with its sentences, and perhaps a table."""

    title: str
    lines: list[str]
    table: TableView | None
    is_urgent: bool


class FigureView(_Seen):
    """A picture of a report: a PNG in Base64."""

    caption: str
    png: Annotated[str, BeforeValidator(lambda png: base64.b64encode(png).decode("ascii"))]


class ReportView(_Seen):
    """The report of a signed reading, in the words of its language."""

    title: str
    notice: str
    banner: str
    warning: str
    language: str
    direction: str
    facts: list[tuple[str, str]]
    sections: list[SectionView]
    figures_title: str
    figures: list[FigureView]
    signature: str


@router.post("/exams/{exam_id}/shares", status_code=201)
def make_share(exam_id: Id, form: ShareForm, caller: SessionNow, portal: PortalNow) -> NewShareView:
    """Make a link to the report of a signed reading; link and code are given as the only time."""
    made = sharing.make_share(portal.state, caller.person, exam_id, form.reading_id)
    return NewShareView.model_validate(made)


@router.get("/exams/{exam_id}/shares")
def list_shares(exam_id: Id, caller: SessionNow, portal: PortalNow) -> list[ShareView]:
    """List the links to reports of an exam, the newest first."""
    found = sharing.list_shares(portal.state.database, caller.person, exam_id)
    return [ShareView.model_validate(share) for share in found]


@router.delete("/exams/{exam_id}/shares/{share_id}", status_code=204)
def revoke_share(exam_id: Id, share_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """Revoke a link, at once."""
    sharing.revoke_share(portal.state.database, caller.person, exam_id, share_id)


@router.post(OPENING, openapi_extra=OPEN)
async def open_share(form: Opening, request: Request, portal: PortalNow) -> ReportView:
    """Open a link with its code; five wrong codes lock it (423)."""
    host = portal.origin(request).address
    portal.sign_ins.attempts.spend_share(host)
    request.state.answer_headers = {"x-robots-tag": "noindex, nofollow, noarchive"}
    return await run_in_threadpool(_open, portal, form, host)


def _open(portal: Portal, form: Opening, host: str) -> ReportView:
    found = sharing.open_share(portal.state, form.token, form.code, host)
    if not found.images:
        raise HTTPException(409, "not_referable")
    return ReportView.model_validate(make_document(found, wording(form.language or found.language)))
