"""Exams: the worklist, one exam for the page and for the viewer, its priors, previews and files.

A place in the worklist, which a page gives to get the next one, holds the rank of an exam; that may
be hidden from the very person. So it is encrypted with a key that follows from the secret of their
session or token: no other key has to be kept, and any process can open it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field, TypeAdapter

from mammolens.core import MarkKind, Standing
from mammolens.serve import people, worklist
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import API, Caller, CallerNow, Portal, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, download, file_of
from mammolens.serve.record import Form, Number
from mammolens.serve.worklist import Addresses, ArtefactNote, ExamRow, Place, Question

__all__ = ["patients", "router"]


class ExamList(BaseModel):
    """One page; `next` is the cursor of the next, `total` how many fit in all."""

    items: list[ExamRow]
    next: str | None
    total: int


@dataclass(frozen=True, kw_only=True)
class ExamView(ExamRow):
    """One exam; `viewer_url` is where the viewer reads it."""

    mode: str
    viewer_url: str
    priors: list[ExamRow]


@dataclass(frozen=True, kw_only=True)
class ArtefactView(ArtefactNote):
    """A file that a sink made of the newest result, and where it is."""

    url: str


class MarkView(BaseModel):
    """A place that shows a criterion: points (row, column) in pixels of the stored image."""

    kind: MarkKind
    points: list[tuple[float, float]]


class CriterionView(BaseModel):
    """One criterion of quality; `doubt` says that it withholds `low`."""

    name: str
    standing: Standing
    reason: str
    value: float | None
    limit: float | None
    unit: str
    doubt: bool
    marks: list[MarkView]


class ImageQualityView(BaseModel):
    """The criteria of one picture; null: it has no verdict."""

    sop_instance_uid: str
    laterality: str | None
    view_position: str | None
    rows: int | None
    columns: int | None
    criteria: list[CriterionView] | None


class QualityView(BaseModel):
    """The quality of an exam; `ready`: no picture waits for its verdict."""

    ready: bool
    exam: list[CriterionView]
    images: list[ImageQualityView]


class NewSite(Form):
    """The site of an exam; `before` is the one that was seen."""

    site_id: Number | None
    before: Number | None = None


router = APIRouter(prefix="/exams", tags=["exams"])
patients = APIRouter(prefix="/patients", tags=["exams"])

ADDRESSES: Final = Addresses(f"{API}/exams", "/dicom-web")
NONCE_BYTES: Final = 12
LONGEST_CURSOR: Final = 1024
_PLACE: Final = TypeAdapter(Place)
Uid = Annotated[str, InPath(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
FILE: Final = file_of("application/octet-stream")
JPEG: Final = file_of("image/jpeg")


class ExamQuery(Question):
    """Which exams are asked for, and the `next` of the page before."""

    cursor: str | None = Field(None, max_length=LONGEST_CURSOR)


@router.get("")
def list_exams(
    asked: Annotated[ExamQuery, Query()], caller: CallerNow, portal: PortalNow
) -> ExamList:
    """List exams in the order in which they are to be read, or another.

    `from` and `to` are times of reception, the second exclusive. What is hidden of the AI's result
    takes part in neither order nor filter nor count.
    """
    about = f"exams {asked.order.value}"
    after = None
    if asked.cursor:
        after = _PLACE.validate_json(open_cursor(caller.secret, asked.cursor, about))
    views = portal.state.settings.exams.complete_views
    with portal.state.database.read() as connection:
        page = worklist.list_exams(connection, caller.person, asked, views, after)
    _note(portal, caller, page.rows)
    following = None
    if page.next is not None:
        following = seal_cursor(caller.secret, _PLACE.dump_json(page.next), about)
    return ExamList(items=page.rows, next=following, total=page.total)


@router.get("/{exam_id}")
def show_exam(exam_id: Id, caller: CallerNow, portal: PortalNow, response: Response) -> ExamView:
    """Show what the worklist shows of one exam, and its priors."""
    state = portal.state
    views = state.settings.exams.complete_views
    with state.database.read() as connection:
        row = worklist.read_exam(connection, caller.person, exam_id, views)
        ids = worklist.prior_ids(connection, caller.person, row)
        priors = worklist.read_rows(connection, caller.person, ids, views)
    _note(portal, caller, [row, *priors])
    response.headers["ETag"] = f'"{row.version}-{row.revision or 0}"'
    shown = {**vars(row), "viewer_url": ADDRESSES.viewer(exam_id), "priors": priors}
    return ExamView(**shown)


@router.get("/{exam_id}/viewer")
def show_to_viewer(
    exam_id: Id,
    caller: CallerNow,
    portal: PortalNow,
    ahead: bool = False,
    look_back: bool = False,
) -> dict[str, Any]:
    """Describe an exam for the viewer (`Exam` of web/src/viewer/exam.ts); the view is audited.

    With `ahead` the pictures are fetched before the exam is opened: nothing of the AI is given.
    With `look_back`, administrators of the site open the exam before an interval cancer.
    """
    return worklist.view_exam(
        portal.state, caller.person, exam_id, ADDRESSES, ahead=ahead, look_back=look_back
    )


@router.get("/{exam_id}/ai")
def show_ai(exam_id: Id, caller: CallerNow, portal: PortalNow) -> dict[str, Any]:
    """Give outlines, scores and maps (`AiResult` of web/src/viewer/exam.ts).

    Where the AI is hidden from the person now the answer is 403 `ai_locked`.
    """
    return worklist.read_overlay(portal.state, caller.person, exam_id)


@router.get("/{exam_id}/quality")
def show_quality(exam_id: Id, caller: CallerNow, portal: PortalNow) -> QualityView:
    """Give the quality of an exam's pictures, which is judged before and without any score."""
    return QualityView(**worklist.read_quality(portal.state, caller.person, exam_id))


@router.get("/{exam_id}/previews/{sop_instance_uid}", response_class=Response, responses=JPEG)
def show_preview(
    exam_id: Id, sop_instance_uid: Uid, caller: CallerNow, portal: PortalNow
) -> Response:
    """Give the preview of an image: JPEG, 900 pixels at most, as the stored picture lies."""
    content = worklist.read_preview(portal.state, caller.person, exam_id, sop_instance_uid)
    return Response(content, media_type="image/jpeg")


@router.get("/{exam_id}/artefacts")
def list_artefacts(exam_id: Id, caller: CallerNow, portal: PortalNow) -> list[ArtefactView]:
    """List the files that sinks made of the newest result, if its AI may be seen."""
    found = worklist.list_artefacts(portal.state, caller.person, exam_id)
    return [
        ArtefactView(**vars(one), url=f"{API}/exams/{exam_id}/artefacts/{one.sink}/{one.name}")
        for one in found
    ]


@router.get("/{exam_id}/artefacts/{sink}/{name:path}", response_class=Response, responses=FILE)
def fetch_artefact(
    exam_id: Id,
    sink: Annotated[str, InPath(max_length=64)],
    name: Annotated[str, InPath(max_length=255)],
    caller: CallerNow,
    portal: PortalNow,
) -> Response:
    """Fetch one of those files, as a download."""
    content, kind = worklist.read_artefact(portal.state, caller.person, exam_id, sink, name)
    return download(content, kind, _plain(name))


@router.put("/{exam_id}/site")
def assign_site(exam_id: Id, form: NewSite, caller: SessionNow, portal: PortalNow) -> ExamRow:
    """Give an exam a site, another, or none; for administrators of the installation.

    `before` is the site that was seen when this was decided; if it has changed, nothing is done.
    """
    state, person = portal.state, caller.person
    with state.database.read() as connection:
        exam = people.visible_exam(connection, person, exam_id)
    before = form.before if "before" in form.model_fields_set else exam.site_id
    people.assign_exam(state.database, person, exam_id, before, form.site_id)
    views = state.settings.exams.complete_views
    with state.database.read() as connection:
        return worklist.read_exam(connection, person, exam_id, views)


@patients.get("/{key}/exams")
def list_patient_exams(
    key: Annotated[str, InPath(max_length=80)], caller: CallerNow, portal: PortalNow
) -> list[ExamRow]:
    """List all exams of a patient at one site (`patient.key` of an exam), the newest first."""
    views = portal.state.settings.exams.complete_views
    with portal.state.database.read() as connection:
        rows = worklist.list_patient_exams(connection, caller.person, key, views)
    _note(portal, caller, rows)
    return rows


def _note(portal: Portal, caller: Caller, rows: Iterable[ExamRow]) -> None:
    shown = {row.id for row in rows if row.ai is not None and not row.ai_hidden}
    worklist.note_listed(portal.state.database, caller.person, shown)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])


def seal_cursor(secret: str, place: bytes, about: str) -> str:
    """Write a place in the list that `about` names.

    Examples
    --------
    >>> open_cursor("s", seal_cursor("s", b"3", "exams"), "exams")
    b'3'
    """
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_key(secret)).encrypt(nonce, place, about.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")


def open_cursor(secret: str, cursor: str, about: str) -> bytes:
    """Read a place.

    Raises
    ------
    Refused
        It was made for another session or list, or changed: the list begins again.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return AESGCM(_key(secret)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError) as error:
        raise Refused(Refusal.CURSOR) from error


def _key(secret: str) -> bytes:
    return hashlib.sha256(b"cursor\0" + secret.encode("utf-8", "surrogatepass")).digest()
