"""Exams: the worklist, one exam for the page and for the viewer, its priors, previews and files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from mammolens.serve import people, worklist
from mammolens.serve.portal.caller import API, Caller, CallerNow, Portal, PortalNow, SessionNow
from mammolens.serve.portal.cursors import LONGEST_CURSOR, open_cursor, seal_cursor
from mammolens.serve.portal.exam_forms import (
    ArtefactView,
    CategoryName,
    ExamList,
    ExamRowView,
    ExamView,
    NewSite,
    QualityView,
    view_row,
)
from mammolens.serve.portal.forms import MOST_ID, Id
from mammolens.serve.worklist import (
    Addresses,
    ExamRow,
    ExamStatus,
    ListOrder,
    Page,
    Place,
    Question,
)

__all__ = ["patients", "router"]

router = APIRouter(prefix="/exams", tags=["exams"])
patients = APIRouter(prefix="/patients", tags=["exams"])

ADDRESSES: Final = Addresses(f"{API}/exams", "/dicom-web")
ABOUT: Final = "exams"
Uid = Annotated[str, InPath(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Number = Annotated[int, Query(ge=1, le=MOST_ID)]
JPEG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    }
}


@router.get("")
def list_exams(
    caller: CallerNow,
    portal: PortalNow,
    status: Annotated[list[ExamStatus] | None, Query()] = None,
    site: Annotated[list[Number] | None, Query(max_length=100)] = None,
    category: Annotated[list[CategoryName] | None, Query(max_length=10)] = None,
    doubt: bool | None = None,
    reader: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    q: Annotated[str, Query(max_length=200)] = "",
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[datetime | None, Query(alias="to")] = None,
    sort: ListOrder = ListOrder.WORKLIST,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=LONGEST_CURSOR)] = None,
) -> ExamList:
    """List exams in the order in which they are to be read, or another.

    `from` and `to` are times of reception, the second exclusive. What is hidden of the AI's result
    takes part in neither order nor filter nor count.
    """
    question = Question(
        order=sort,
        status=status or (),
        sites=site or (),
        categories=category or (),
        doubt=doubt,
        reader=reader,
        words=q,
        since=_utc(since),
        until=_utc(until),
        limit=limit,
    )
    after = _place(caller, cursor, sort) if cursor else None
    views = portal.state.settings.exams.complete_views
    with portal.state.database.read() as connection:
        page = worklist.list_exams(connection, caller.person, question, views, after)
    _note(portal, caller, page.rows)
    return _list(caller, page, sort)


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
    return ExamView(
        **view_row(row).model_dump(),
        mode=row.mode,
        viewer_url=ADDRESSES.viewer(exam_id),
        priors=[view_row(prior) for prior in priors],
    )


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
        ArtefactView(**asdict(one), url=f"{API}/exams/{exam_id}/artefacts/{one.sink}/{one.name}")
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
    headers = {"Content-Disposition": f'attachment; filename="{_plain(name)}"'}
    return Response(content, media_type=kind, headers=headers)


@router.put("/{exam_id}/site")
def assign_site(exam_id: Id, form: NewSite, caller: SessionNow, portal: PortalNow) -> ExamRowView:
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
        return view_row(worklist.read_exam(connection, person, exam_id, views))


@patients.get("/{key}/exams")
def list_patient_exams(
    key: Annotated[str, InPath(max_length=80)], caller: CallerNow, portal: PortalNow
) -> list[ExamRowView]:
    """List all exams of a patient at one site (`patient.key` of an exam), the newest first."""
    views = portal.state.settings.exams.complete_views
    with portal.state.database.read() as connection:
        rows = worklist.list_patient_exams(connection, caller.person, key, views)
    _note(portal, caller, rows)
    return [view_row(row) for row in rows]


def _note(portal: Portal, caller: Caller, rows: Iterable[ExamRow]) -> None:
    shown = {row.id for row in rows if row.ai is not None and not row.ai_hidden}
    worklist.note_listed(portal.state.database, caller.person, shown)


def _list(caller: Caller, page: Page, order: ListOrder) -> ExamList:
    following = None
    if page.next is not None:
        place = {**vars(page.next), "received_at": page.next.received_at.isoformat()}
        following = seal_cursor(caller.secret, place, f"{ABOUT} {order.value}")
    items = [view_row(row) for row in page.rows]
    return ExamList(items=items, next=following, total=page.total)


def _place(caller: Caller, cursor: str, order: ListOrder) -> Place:
    place = open_cursor(caller.secret, cursor, f"{ABOUT} {order.value}")
    return Place(**{**place, "received_at": datetime.fromisoformat(place["received_at"])})


def _utc(time: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])
