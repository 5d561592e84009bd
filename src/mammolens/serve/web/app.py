"""The HTTP server: STOW-RS in, health and metrics out.

Nothing is analysed here, and no address that was called is logged: it may hold an identifier. Who
may call is settled before anything of a body is read.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
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
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import audit
from mammolens.serve.settings import WebSettings, is_loopback
from mammolens.serve.web._multipart import MediaType, parse_media_type
from mammolens.serve.web.health import check_health
from mammolens.serve.web.metrics import NodeMetrics, measure
from mammolens.serve.web.stow import DICOM, JSON, RELATED, XML, StoreRequest

__all__ = ["BASE", "build_app"]

ROOM: Final = "web"
BASE: Final = "/dicom-web"
ANYBODY: Final = "anybody"
PIECE_BYTES: Final = 1 << 20
AGAIN_S: Final = "30"
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
GUARDS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"server", f"mammolens/{__version__}".encode()),
)
Uid = Annotated[str, Path(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]


@dataclass
class _Door:
    """Who may come in, and how many store at a time."""

    state: NodeState
    metrics: NodeMetrics
    storing: int = 0

    @property
    def web(self) -> WebSettings:
        return self.state.settings.web

    async def user(self, request: Request) -> str:
        """Say who calls, or refuse."""
        names = self.web.names or (LOOPBACK_NAMES if is_loopback(self.web.host) else ())
        if names and _host_name(request) not in names:
            # A page in a browser on this host could else call us by a name of its own.
            raise await self.refusal(request, 421, "host_name")
        if not self.web.tokens:
            return ANYBODY
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found = None
        for user, token in self.web.tokens.items():
            expected = token.get_secret_value().encode()
            if hmac.compare_digest(given.strip().encode(), expected):
                found = user
        if found is None or scheme.lower() != "bearer":
            raise await self.refusal(request, 401, "token" if given else "no_token")
        return found

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


def build_app(state: NodeState) -> FastAPI:
    """Make the application of a node."""
    metrics = measure(state)
    door = _Door(state, metrics)
    app = FastAPI(title="mammolens", version=__version__, openapi_url=None)
    app.add_middleware(_Measured, metrics=metrics)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Answer, if this process does."""
        return {"status": "alive"}

    @app.get("/health/ready")
    def ready(response: Response) -> dict[str, str]:
        """Say whether an exam that comes now would be kept and analysed."""
        found = check_health(state)
        response.status_code = 200 if found.is_ready else 503
        return found.to_json()

    @app.get("/metrics")
    async def show_metrics(request: Request) -> Response:
        """Show what is measured, in Prometheus' text format."""
        await door.user(request)
        told = await run_in_threadpool(generate_latest, metrics.registry)
        return Response(told, media_type=CONTENT_TYPE_LATEST)

    @app.post(f"{BASE}/studies")
    async def store(request: Request) -> Response:
        """Store instances of any study (STOW-RS)."""
        return await _store(door, request, None)

    @app.post(f"{BASE}/studies/{{study}}")
    async def store_study(request: Request, study: Uid) -> Response:
        """Store instances of one study (STOW-RS)."""
        return await _store(door, request, study)

    return app


async def _store(door: _Door, request: Request, study: str | None) -> Response:
    user = await door.user(request)
    accepted = _acceptable(request.headers.get("accept", "*/*"))
    media = _stored_type(request)
    most = door.web.max_request_mb << 20
    if int(request.headers.get("content-length", "0")) > most:
        raise HTTPException(413, f"the request is larger than {door.web.max_request_mb} MiB")
    if door.storing >= door.web.max_requests:
        raise HTTPException(503, "too many requests at a time", {"Retry-After": AGAIN_S})
    door.storing += 1
    try:
        stored = StoreRequest(door.state, f"web:{user}", media, study)
    except NotAnImage as error:
        door.storing -= 1
        raise HTTPException(400, error.message) from error
    try:
        await _feed(stored, request, most, door.web.timeout_s)
    finally:
        door.storing -= 1
        await run_in_threadpool(stored.discard)
    status = stored.status()
    body = await run_in_threadpool(stored.write_answer, accepted)
    logs.event(ROOM, "stored", count=len(stored.stored), status=status)
    headers = {"Retry-After": AGAIN_S} if status == 507 else None
    return Response(body, status, headers, accepted)


async def _feed(stored: StoreRequest, request: Request, most: int, timeout_s: float) -> None:
    """Feed the body to the store in pieces of a size; what breaks it off stands in the answer."""
    try:
        async for piece in _pieces(request, most, timeout_s):
            await run_in_threadpool(stored.feed, piece)
        await run_in_threadpool(stored.finish)
    except NotAnImage as error:
        stored.statuses.add(400)
        await run_in_threadpool(stored.break_off, error)
    except UnsupportedImage as error:
        stored.statuses.add(413)
        await run_in_threadpool(stored.break_off, error)
    except TimeoutError as error:
        logs.event(ROOM, "request_silent", logging.WARNING)
        raise HTTPException(408, "nothing came for too long") from error
    except ClientDisconnect as error:
        logs.event(ROOM, "request_broken_off", logging.WARNING)
        raise HTTPException(400, "the request broke off") from error


async def _pieces(request: Request, most: int, timeout_s: float) -> AsyncIterator[bytes]:
    stream, gathered, total = request.stream(), bytearray(), 0
    with suppress(StopAsyncIteration):
        while True:
            async with asyncio.timeout(timeout_s):
                gathered += await anext(stream)
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


def _host_name(request: Request) -> str:
    host = request.headers.get("host", "").lower()
    return (
        host[: host.index("]") + 1]
        if host.startswith("[") and "]" in host
        else host.partition(":")[0]
    )


Message = dict[str, object]


class _Measured:
    """Times every request, by its route and not by its address, and guards every answer."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: NodeMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(
        self,
        scope: dict[str, object],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))
                headers = message.get("headers")
                message["headers"] = [*(headers if isinstance(headers, list) else []), *GUARDS]
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = str(scope["method"])
            told = method if method in ("GET", "POST") else "other"
            seconds = time.monotonic() - began
            self.metrics.requests.labels(told, route, str(status)).observe(seconds)
