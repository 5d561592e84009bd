"""QIDO-RS and WADO-RS: routes that parse, ask `serve.dicomweb`, and answer in pieces.

The guards let in people who are signed in, and the machines that the settings name. Each request
then finds only objects of exams that its caller may see.

Source: PS3.18 10.4 (Retrieve) and 10.6 (Search).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from mammolens.serve.dicomweb import (
    DICOM,
    JSON,
    OCTETS,
    AccessNotes,
    Found,
    FoundObject,
    HeaderIndex,
    Level,
    accepts,
    bulk_parts,
    choose_frame_way,
    choose_syntax,
    frame_parts,
    metadata_pieces,
    object_parts,
    open_object,
    read_query,
    read_rendering,
    read_wishes,
    render,
    search,
    write_picture,
)
from mammolens.serve.holdings import NodeState
from mammolens.serve.portal import DICOMWEB
from mammolens.serve.web.dicomweb_answers import (
    Asked,
    Service,
    Turns,
    answers,
    handle_refusals,
)

__all__ = ["add_dicomweb"]

PLAIN_JSON: Final = "application/json"
PICTURES: Final = ("image/jpeg", "image/png")
THUMBNAIL_PX: Final = 256
MOST_FRAMES: Final = 1000
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_FRAMES: Final = re.compile(r"[0-9]{1,10}(,[0-9]{1,10})*")
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
STUDY: Final = "/studies/{study}"
SERIES: Final = f"{STUDY}/series/{{series}}"
INSTANCE: Final = f"{SERIES}/instances/{{instance}}"

router = APIRouter(prefix=DICOMWEB, include_in_schema=False)


def add_dicomweb(app: FastAPI, state: NodeState) -> None:
    """Add the routes to the application of a node."""
    turns = Turns(state.settings.web.max_retrieves)
    notes = AccessNotes(state.database)
    app.state.dicomweb = Service(state, HeaderIndex(state), notes, turns)
    handle_refusals(app)
    app.include_router(router)


def _asked(request: Request) -> Asked:
    names = ("study", "series", "instance")
    uids = [request.path_params[name] for name in names if name in request.path_params]
    if not all(len(uid) <= 64 and _UID.fullmatch(uid) for uid in uids):
        raise HTTPException(400, "what should be a UID is none")
    service: Service = request.app.state.dicomweb
    return Asked(request, service, tuple(uids))


AskedNow = Annotated[Asked, Depends(_asked)]


@router.get("/studies")
async def search_studies(asked: AskedNow) -> Response:
    """Search for studies."""
    return await _search(asked, Level.STUDY)


@router.get("/series")
@router.get(f"{STUDY}/series")
async def search_series(asked: AskedNow) -> Response:
    """Search for series, of any study or of one."""
    return await _search(asked, Level.SERIES)


@router.get("/instances")
@router.get(f"{STUDY}/instances")
@router.get(f"{SERIES}/instances")
async def search_instances(asked: AskedNow) -> Response:
    """Search for instances, of any study, of one, or of one series."""
    return await _search(asked, Level.INSTANCE)


@router.get(STUDY)
@router.get(SERIES)
@router.get(INSTANCE)
async def retrieve(asked: AskedNow) -> Response:
    """Give all objects of a study, of a series, or one, as they are stored or uncompressed."""
    wishes = read_wishes(asked.accept)
    found = await asked.find()
    chosen = [(one, choose_syntax(wishes, one)) for one in found]
    given = [(one, syntax) for one, syntax in chosen if syntax is not None]
    if not given:
        raise HTTPException(406, f"objects are given as {DICOM} in other transfer syntaxes")
    await asked.note("objects", [one for one, _ in given])
    is_single = (
        len(asked.uids) == 3 and not next(w for w in wishes if accepts(w, DICOM)).is_multipart
    )
    make = partial(object_parts, asked.service.state, given)
    status = 200 if len(given) == len(found) else 206
    return await answers(asked, make, DICOM, is_single, status)


@router.get(f"{STUDY}/metadata")
@router.get(f"{SERIES}/metadata")
@router.get(f"{INSTANCE}/metadata")
async def retrieve_metadata(asked: AskedNow) -> Response:
    """Give all attributes but the large values of objects."""
    _require(asked, JSON, PLAIN_JSON)
    found = await asked.find()
    await asked.note("metadata", found)
    base = asked.base

    def address(one: FoundObject) -> str:
        series, uid = one.series_instance_uid, one.sop_instance_uid
        return f"{base}/studies/{one.study_instance_uid}/series/{series}/instances/{uid}"

    return await asked.stream(lambda: (JSON, metadata_pieces(asked.service.state, found, address)))


@router.get(f"{INSTANCE}/bulkdata/{{tag}}")
async def retrieve_bulk(asked: AskedNow, tag: str) -> Response:
    """Give one large value."""
    if not _TAG.fullmatch(tag):
        raise HTTPException(400, "a large value is named by eight hexadecimal digits")
    wish = next((w for w in read_wishes(asked.accept) if accepts(w, OCTETS)), None)
    if wish is None:
        raise HTTPException(406, f"large values are given as {OCTETS}")
    one = await asked.find_one()
    await asked.note("bulkdata", [one])

    def parts() -> Iterator[tuple[str, Any]]:
        with open_object(asked.service.state, one) as item:
            yield from bulk_parts(item, int(tag, 16), wish.syntax)

    return await answers(asked, parts, OCTETS, not wish.is_multipart)


@router.get(f"{INSTANCE}/frames/{{numbers}}")
async def retrieve_frames(asked: AskedNow, numbers: str) -> Response:
    """Give frames: as they are stored, uncompressed, or as HTJ2K."""
    listed = _numbers(numbers)
    wishes = read_wishes(asked.accept)
    one = await asked.find_one()
    if not one.frames or max(listed) > one.frames:
        raise HTTPException(404, "the object has no such frame")
    way = choose_frame_way(wishes, one, await run_in_threadpool(_is_grey, asked.service.state, one))
    if way is None:
        raise HTTPException(406, "frames are given as they are stored, as octets, or as image/jphc")
    await asked.note("frames", [one])

    def parts() -> Iterator[tuple[str, Any]]:
        with open_object(asked.service.state, one) as item:
            yield from frame_parts(item, listed, way)

    return await answers(asked, parts, way.media, not way.is_multipart and len(listed) == 1)


@router.get(f"{INSTANCE}/rendered")
@router.get(f"{INSTANCE}/frames/{{numbers}}/rendered")
async def retrieve_rendered(asked: AskedNow, numbers: str = "1") -> Response:
    """Give a frame as a picture for people."""
    return await _picture(asked, numbers, None)


@router.get(f"{STUDY}/thumbnail")
@router.get(f"{SERIES}/thumbnail")
@router.get(f"{INSTANCE}/thumbnail")
@router.get(f"{INSTANCE}/frames/{{numbers}}/thumbnail")
async def retrieve_thumbnail(asked: AskedNow, numbers: str = "1") -> Response:
    """Give a small picture of a frame, or of the first picture of a study or series."""
    return await _picture(asked, numbers, THUMBNAIL_PX)


async def _search(asked: Asked, level: Level) -> Response:
    _require(asked, JSON, PLAIN_JSON)
    query = read_query(level, asked.request.query_params.multi_items())
    base = asked.base

    def address(study: str, series: str | None, uid: str | None) -> str:
        parts = ("studies", study, "series", series, "instances", uid)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return base + "".join(f"/{name}/{value}" for name, value in pairs if value)

    def find() -> tuple[Found, bytes]:
        asked.service.index.fill()
        found = search(asked.service.state.database, asked.viewer, query, asked.uids, address)
        asked.service.notes.searched(asked.viewer, query, len(found.rows))
        return found, json.dumps(found.rows, allow_nan=False).encode()

    async with asked.service.turns.turn(asked.viewer.actor):
        found, body = await run_in_threadpool(find)
    headers = {}
    if found.has_more:
        headers["Warning"] = '299 mammolens "There are additional results that can be requested"'
    if not found.rows:
        return Response(status_code=204)
    return Response(body, 200, headers, JSON)


async def _picture(asked: Asked, numbers: str, side_px: int | None) -> Response:
    media = next(
        (m for wish in read_wishes(asked.accept) for m in PICTURES if accepts(wish, m)), None
    )
    if media is None:
        raise HTTPException(406, f"pictures are given as {' or '.join(PICTURES)}")
    listed = _numbers(numbers)
    if len(listed) != 1:
        raise HTTPException(400, "one frame is shown at a time")
    rendering = read_rendering(asked.request.query_params, side_px)
    if len(asked.uids) == 3:
        one = await asked.find_one()
    else:
        one = next((found for found in await asked.find() if found.frames), None)  # type: ignore[assignment]
    if one is None or listed[0] > one.frames:
        raise HTTPException(404, "there is no such picture")
    await asked.note("thumbnail" if side_px else "rendered", [one])

    def draw() -> bytes:
        with open_object(asked.service.state, one) as item:
            picture = render(item, listed[0], rendering)
        return write_picture(picture, media, rendering.quality)

    async with asked.service.turns.turn(asked.viewer.actor):
        body = await run_in_threadpool(draw)
    return Response(body, media_type=media)


def _require(asked: Asked, *media: str) -> None:
    wishes = read_wishes(asked.accept)
    if not any(accepts(wish, one) for wish in wishes for one in media):
        raise HTTPException(406, f"answers are {media[0]}")


def _numbers(text: str) -> list[int]:
    if not _FRAMES.fullmatch(text):
        raise HTTPException(400, "frames are a list of whole numbers")
    listed = [int(part) for part in text.split(",")]
    if min(listed) < 1:
        raise HTTPException(400, "the first frame is number 1")
    if len(listed) > MOST_FRAMES:
        raise HTTPException(400, f"at most {MOST_FRAMES} frames are given at a time")
    return listed


def _is_grey(state: NodeState, one: FoundObject) -> bool:
    with open_object(state, one) as item:
        form = item.frames().form
    return form.samples == 1 and form.bits in (8, 16)
