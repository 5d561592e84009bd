"""Uploads over HTTP, which go on after a break: tus 1.0 with creation and termination.

The metadata `filename` names the file for its sender, `site` says for which site it is (key or
number; left out where the person uploads at one alone), `consent` is what the patient agreed to
(JSON of `Consent`; health workers must send it). For a photograph of a film, `photograph` is
its view (RCC, LCC, RMLO, LMLO), `patient` the patient ID, `examDate` the date of the films
(YYYY-MM-DD, from 1900 to today). An image of another patient than the one of `consent` is rejected.
`X-HTTP-Method-Override` is not obeyed.

Source: https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from fastapi import Path as InPath
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mammolens.serve import uploads
from mammolens.serve.portal.caller import API, CallerNow, PortalNow
from mammolens.serve.portal.forms import Id
from mammolens.serve.portal.repeats import RepeatNow, once
from mammolens.serve.uploads import Consent, KeptConsent, Upload, UploadResult, Writer

__all__ = ["consents", "router"]

VERSION: Final = "1.0.0"
RESUMABLE: Final = "Tus-Resumable"
PIECE_BYTES: Final = 1 << 18
CONTENT: Final = "application/offset+octet-stream"
MOST_METADATA: Final = 4096
MOST_LENGTH: Final = 1 << 53


def _speaks_tus(
    response: Response, tus_resumable: Annotated[str | None, Header(max_length=16)] = None
) -> None:
    if tus_resumable != VERSION:
        raise HTTPException(412, "tus_version", {"Tus-Version": VERSION, RESUMABLE: VERSION})
    response.headers[RESUMABLE] = VERSION


router = APIRouter(prefix="/uploads", tags=["uploads"])
TUS: Final = [Depends(_speaks_tus)]
UploadId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{43}$")]


@router.options("", status_code=204)
def describe(_caller: CallerNow, portal: PortalNow, response: Response) -> None:
    """Say what of tus is offered."""
    response.headers[RESUMABLE] = VERSION
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = "creation,termination"
    response.headers["Tus-Max-Size"] = str(portal.state.settings.uploads.max_mb << 20)


@router.get("")
def list_uploads(caller: CallerNow, portal: PortalNow) -> list[Upload]:
    """List the uploads of the caller, the newest first."""
    return uploads.list_uploads(portal.state, caller.person)


@router.post("", status_code=201, dependencies=TUS)
def begin_upload(
    caller: CallerNow,
    portal: PortalNow,
    repeat: RepeatNow,
    response: Response,
    upload_length: Annotated[int, Header(ge=0, le=MOST_LENGTH)],
    upload_metadata: Annotated[str, Header(max_length=MOST_METADATA)] = "",
) -> None:
    """Begin an upload; `Location` is where its pieces go."""
    given = _metadata(upload_metadata)
    consent = read_consent(given["consent"]) if "consent" in given else None
    name = given.get("relativePath") or given.get("filename") or "unnamed"
    upload = portal.state, caller.person, given.get("site") or None, name, upload_length
    statements = consent, uploads.read_facts(given, portal.state.settings.intake, consent)
    upload_id = once(repeat, lambda: uploads.begin_upload(*upload, repeat.keep, *statements).id)
    if upload_length == 0:
        portal.receiver.wake(portal.state)
    response.headers["Location"] = f"{API}/uploads/{upload_id}"
    response.headers["Upload-Offset"] = "0"


@router.head("/{upload_id}", dependencies=TUS)
def show_offset(
    upload_id: UploadId, caller: CallerNow, portal: PortalNow, response: Response
) -> None:
    """Say where an upload goes on."""
    found = uploads.find_upload(portal.state, caller.person, upload_id)
    response.headers["Upload-Offset"] = str(found.received)
    response.headers["Upload-Length"] = str(found.length)


@router.patch(
    "/{upload_id}",
    status_code=204,
    dependencies=TUS,
    openapi_extra={
        "requestBody": {
            "content": {CONTENT: {"schema": {"type": "string", "format": "binary"}}},
            "required": True,
        }
    },
)
async def add_piece(
    upload_id: UploadId,
    caller: CallerNow,
    portal: PortalNow,
    request: Request,
    response: Response,
    upload_offset: Annotated[int, Header(ge=0, le=MOST_LENGTH)],
) -> None:
    """Add a piece where the upload has come to; one that begins elsewhere is refused (409)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT:
        raise HTTPException(415, f"a piece is {CONTENT}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "a piece is not encoded")
    writer = await run_in_threadpool(
        uploads.open_writer, portal.state, caller.person, upload_id, upload_offset
    )
    is_whole = False
    try:
        await _write(writer, request)
    finally:
        # The part that was received is kept, also if the line breaks or the node stops.
        is_whole = await asyncio.shield(run_in_threadpool(writer.close))
    if is_whole:
        await run_in_threadpool(portal.receiver.wake, portal.state)
    response.headers["Upload-Offset"] = str(writer.received)


@router.delete("/{upload_id}", status_code=204, dependencies=TUS)
def cancel_upload(upload_id: UploadId, caller: CallerNow, portal: PortalNow) -> None:
    """Give an upload up, or forget one that is done."""
    uploads.cancel_upload(portal.state, caller.person, upload_id)


@router.get("/{upload_id}/result")
def show_result(upload_id: UploadId, caller: CallerNow, portal: PortalNow) -> UploadResult:
    """Say what became of an upload, and of each file in it."""
    return uploads.read_result(portal.state, caller.person, upload_id)


async def _write(writer: Writer, request: Request) -> None:
    """Write the body as it comes; the part before a break of the line is written too."""
    gathered = bytearray()
    try:
        async for part in request.stream():
            gathered += part
            if len(gathered) >= PIECE_BYTES:
                piece = bytes(gathered)
                gathered.clear()
                await run_in_threadpool(writer.write, piece)
    except ClientDisconnect as error:
        raise HTTPException(400, "the request broke off") from error
    finally:
        if gathered:
            await asyncio.shield(run_in_threadpool(writer.write, bytes(gathered)))


def _metadata(text: str) -> Mapping[str, str]:
    """Read pairs of a key and its value in Base64, with commas between them.

    Examples
    --------
    >>> _metadata("filename YS5kY20=,site bm9ydGg=,empty")
    {'filename': 'a.dcm', 'site': 'north', 'empty': ''}
    """
    found: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        key, _, value = pair.strip().partition(" ")
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except ValueError as error:
            raise HTTPException(422, "the metadata cannot be read") from error
        found[key] = decoded
    return found


consents = APIRouter(tags=["exams"])


@consents.get("/exams/{exam_id}/consents")
def list_consents(exam_id: Id, caller: CallerNow, portal: PortalNow) -> list[KeptConsent]:
    """List the consents that came with the images of an exam."""
    return uploads.list_consents(portal.state, caller.person, exam_id)


def read_consent(text: str) -> Consent:
    """Read the consent in the metadata of an upload.

    Raises
    ------
    HTTPException
        It cannot be understood; nothing of it is repeated, as it names a patient.
    """
    try:
        return Consent.model_validate_json(text)
    except ValidationError as error:
        raise HTTPException(422, "invalid") from error
