"""The HTTP server: STOW-RS in, DICOMweb, health and metrics out.

Nothing is analysed here, and no address that was called is logged: it may hold an identifier. Who
may call is settled by the guards, before a route is looked for.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import FastAPI, HTTPException, Path, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mammolens import __version__
from mammolens.errors import NotAnImage, StorageError, UnsupportedImage
from mammolens.serve import logs
from mammolens.serve.dicomweb import DICOM, JSON, RELATED, MediaType, parse_media_type
from mammolens.serve.holdings import NodeState
from mammolens.serve.portal import (
    API,
    DICOMWEB,
    Portal,
    add_portal,
    find_page,
    handle_problems,
    reads_objects,
)
from mammolens.serve.record import audit
from mammolens.serve.settings import WebSettings, is_loopback
from mammolens.serve.web.dicomweb import add_dicomweb
from mammolens.serve.web.guards import AGAIN_S, Guarded, host_name
from mammolens.serve.web.health import Health, check_health, measure
from mammolens.serve.web.stow import XML, StoreRequest

__all__ = ["BASE", "build_app"]

ROOM: Final = "web"
BASE: Final = DICOMWEB
ANYBODY: Final = "anybody"
PIECE_BYTES: Final = 1 << 18
"""A body is written to the disk in such pieces. Each open store may hold one in memory."""
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
MOST_ACCEPT_CHARS: Final = 1024
Uid = Annotated[str, Path(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]


@dataclass
class _Door:
    """Who may come in, and how many write at a time."""

    state: NodeState
    writing: asyncio.Semaphore
    portal: Portal | None = None

    @property
    def web(self) -> WebSettings:
        return self.state.settings.web

    async def user(self, request: Request) -> str:
        """Give the name of the caller, or refuse."""
        await self.check_host(request)
        if self.portal is not None:
            person = await self._person(self.portal, request)
            if person is not None:
                return person
        elif not self.web.tokens:
            if reads_objects(request):
                raise await self.refusal(request, 403, "not_a_retriever")
            return ANYBODY
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found = None
        for user, token in self.web.tokens.items():
            expected = token.get_secret_value().encode()
            if hmac.compare_digest(given.strip().encode(), expected):
                found = user
        if found is None or scheme.lower() != "bearer":
            raise await self.refusal(request, 401, "token" if given else "no_token")
        if self.portal is not None and request.url.path.startswith(f"{API}/"):
            raise await self.refusal(request, 403, "for_people")
        if reads_objects(request) and found not in self.web.retrievers:
            raise await self.refusal(request, 403, "not_a_retriever")
        return found

    async def _person(self, portal: Portal, request: Request) -> str | None:
        """Say which person calls; ``None``: none, so that it may be a machine."""
        try:
            caller = await portal.find_caller(request)
        except StorageError as error:
            raise HTTPException(503, "away", {"Retry-After": AGAIN_S}) from error
        if caller is None:
            return None
        objection = portal.objection(request, caller)
        if objection is not None:
            raise await self.refusal(request, 403, objection)
        request.state.caller = caller
        return caller.person.actor

    async def check_host(self, request: Request) -> None:
        """Refuse a call by a name that is not ours."""
        names = self.web.names or (LOOPBACK_NAMES if is_loopback(self.web.host) else ())
        if names and host_name(request.headers.get("host", "")) not in names:
            # A page in a browser on this host could else call us by a name of its own.
            raise await self.refusal(request, 421, "host_name")

    async def refusal(self, request: Request, status: int, reason: str) -> HTTPException:
        """Log a refusal, and enter it in the audit trail."""
        logs.event(ROOM, "request_refused", logging.WARNING, reason=reason, status=status)
        host = request.client.host if request.client else ""
        await run_in_threadpool(self._audit, {"host": host, "reason": reason})
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return HTTPException(status, reason, headers)

    def _audit(self, detail: audit.Detail) -> None:
        try:
            audit.note_refusal(self.state.database, "web", "refused_request", detail)
        except StorageError:
            logs.event(ROOM, "not_audited", logging.ERROR)


def build_app(state: NodeState, portal: Portal | None = None) -> Guarded:
    """Make the application of a node, behind its guards; with a portal also people may come in."""
    metrics = measure(state)
    door = _Door(state, asyncio.Semaphore(state.settings.web.max_requests), portal)
    ask = _Shared(lambda: run_in_threadpool(check_health, state))
    app = FastAPI(title="mammolens", version=__version__, openapi_url=None, redirect_slashes=False)
    handle_problems(app)
    also_open = add_portal(app, portal, find_page()) if portal is not None else {}

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Answer, if this process does."""
        return {"status": "alive"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, str]:
        """Say whether an exam that comes now would be kept and analysed."""
        found = await ask()
        response.status_code = 200 if found.is_ready else 503
        return found.to_json()

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Show what is measured, in Prometheus' text format."""
        text = await run_in_threadpool(generate_latest, metrics.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.post(f"{BASE}/studies")
    async def store(request: Request) -> Response:
        """Store instances of any study (STOW-RS)."""
        return await _store(door, request, None)

    @app.post(f"{BASE}/studies/{{study}}")
    async def store_study(request: Request, study: Uid) -> Response:
        """Store instances of one study (STOW-RS)."""
        return await _store(door, request, study)

    add_dicomweb(app, state)
    return Guarded(app, door, metrics, also_open)


class _Shared:
    """A question that is asked once at a time; those who ask meanwhile get the same answer.

    Anybody may ask for the health, and each answer costs a thread, a file and a transaction.
    """

    def __init__(self, ask: Callable[[], Awaitable[Health]]) -> None:
        self.ask = ask
        self.asking: asyncio.Future[Health] | None = None

    async def __call__(self) -> Health:
        """Give the answer that is being made, or a new one."""
        if self.asking is None or self.asking.done():
            self.asking = asyncio.ensure_future(self.ask())
        return await asyncio.shield(self.asking)


async def _store(door: _Door, request: Request, study: str | None) -> Response:
    accepted = _acceptable(request.headers.get("accept", "*/*"))
    media = _stored_type(request)
    try:
        stored = StoreRequest(door.state, f"web:{request.state.user}", media, study)
    except NotAnImage as error:
        raise HTTPException(400, error.message) from error
    try:
        await _feed(door, stored, request)
    finally:
        # The file of an unfinished part is deleted, also if the node stops and cancels this.
        await asyncio.shield(run_in_threadpool(stored.discard))
    status = stored.status()
    body = await run_in_threadpool(stored.write_answer, accepted)
    logs.event(ROOM, "stored", count=len(stored.stored), status=status)
    headers = {"Retry-After": AGAIN_S} if status == 507 else None
    return Response(body, status, headers, accepted)


async def _feed(door: _Door, stored: StoreRequest, request: Request) -> None:
    """Feed the body to the store in pieces; an error that ends it is part of the answer."""
    try:
        async for piece in _pieces(request, door.web.max_request_mb << 20):
            async with door.writing:
                await run_in_threadpool(stored.feed, piece)
        async with door.writing:
            await run_in_threadpool(stored.finish)
    except NotAnImage as error:
        stored.statuses.add(400)
        await run_in_threadpool(stored.break_off, error)
    except UnsupportedImage as error:
        stored.statuses.add(413)
        await run_in_threadpool(stored.break_off, error)
    except ClientDisconnect as error:
        logs.event(ROOM, "request_broken_off", logging.WARNING)
        raise HTTPException(400, "the request broke off") from error


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    gathered, total = bytearray(), 0
    async for part in request.stream():
        gathered += part
        if len(gathered) >= PIECE_BYTES:
            total += len(gathered)
            yield bytes(gathered)
            gathered.clear()
        if total + len(gathered) > most:
            raise UnsupportedImage("the request is larger than is read")
    yield bytes(gathered)


def _stored_type(request: Request) -> MediaType:
    """Say what the body is, if it is something that can be stored."""
    media = parse_media_type(request.headers.get("content-type", ""))
    plain = request.headers.get("content-encoding", "identity").lower() == "identity"
    if media is not None and plain:
        of = media.parameters.get("type", DICOM).lower()
        if media.name == DICOM or (media.name == RELATED and of == DICOM):
            return media
    raise HTTPException(415, f'what is stored is {RELATED}; type="{DICOM}", or {DICOM}')


def _acceptable(accept: str) -> str:
    """Choose the media type of the answer; JSON where both will do.

    Examples
    --------
    >>> _acceptable("application/dicom+xml, */*;q=0.1"), _acceptable("*/*")
    ('application/dicom+xml', 'application/dicom+json')
    """
    wished: dict[str, float] = {}
    if len(accept) > MOST_ACCEPT_CHARS:
        raise HTTPException(406, f"answers are {JSON} or {XML}")
    for part in accept.split(","):
        media = parse_media_type(part.replace("*/*", JSON).replace("application/*", JSON))
        if media is not None:
            with suppress(ValueError):
                name = {"application/json": JSON, "application/xml": XML}.get(
                    media.name, media.name
                )
                wished.setdefault(name, float(media.parameters.get("q", "1")))
    best = max((JSON, XML), key=lambda name: wished.get(name, 0.0))
    if wished.get(best, 0.0) <= 0:
        raise HTTPException(406, f"answers are {JSON} or {XML}")
    return best
