"""Links to signed reports over HTTP: for people who make them, and for whoever opens one.

A stranger may call one route, with link and code in the body of the request: an address would lie
in logs. The answer is the report as data; nothing else can be reached by a link.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from mammolens.serve import sharing
from mammolens.serve.people import of_share
from mammolens.serve.portal.caller import Portal, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, Language
from mammolens.serve.record import Form, Number
from mammolens.serve.sharing import NewShare, Share
from mammolens.sinks.reading import make_document, wording
from mammolens.sinks.reading.document import Section

__all__ = ["OPEN_TO_STRANGERS", "router"]

router = APIRouter(tags=["shares"])
OPENING: Final = "/shares/opening"
OPEN_TO_STRANGERS: Final = {OPENING: frozenset(("POST",))}
OPEN: Final[dict[str, Any]] = {"security": []}


class ShareForm(Form):
    """The signed reading whose report is shared."""

    reading_id: Number


class _Seen(BaseModel):
    """Base of answers that are read from the attributes of a document of `sinks.reading`."""

    model_config = ConfigDict(from_attributes=True)


class Opening(Form):
    """What opens a link."""

    token: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")
    code: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    language: Language | None = None


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
    sections: list[Section]
    figures_title: str
    figures: list[FigureView]
    signature: str


@router.post("/exams/{exam_id}/shares", status_code=201)
def make_share(exam_id: Id, form: ShareForm, caller: SessionNow, portal: PortalNow) -> NewShare:
    """Make a link to the report of a signed reading; link and code are given as the only time."""
    return sharing.make_share(portal.state, caller.person, exam_id, form.reading_id)


@router.get("/exams/{exam_id}/shares")
def list_shares(exam_id: Id, caller: SessionNow, portal: PortalNow) -> list[Share]:
    """List the links to reports of an exam, the newest first."""
    return sharing.list_shares(portal.state.database, caller.person, exam_id)


@router.delete("/exams/{exam_id}/shares/{share_id}", status_code=204)
def revoke_share(exam_id: Id, share_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """Revoke a link, at once."""
    sharing.revoke_share(portal.state.database, caller.person, exam_id, share_id)


@router.post(OPENING, openapi_extra=OPEN)
async def open_share(form: Opening, request: Request, portal: PortalNow) -> ReportView:
    """Open a link with its code; five wrong codes lock it (423)."""
    host = portal.origin(request).address
    portal.sign_ins.attempts.spend(of_share(host))
    request.state.answer_headers = {"x-robots-tag": "noindex, nofollow, noarchive"}
    return await run_in_threadpool(_open, portal, form, host)


def _open(portal: Portal, form: Opening, host: str) -> ReportView:
    found = sharing.open_share(portal.state, form.token, form.code, host)
    if not found.images:
        raise HTTPException(409, "not_referable")
    return ReportView.model_validate(make_document(found, wording(form.language or found.language)))
