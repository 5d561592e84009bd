"""Checks of every request, and headers of every answer, for all routes.

The checks are, in this order: the number of requests at the same time, the caller, whether a page
of another site makes the browser call, and the size and the rate of the body. Strangers can only
read the paths in `OPEN`; for them, paths that exist and paths that do not exist are refused in the
same way. Routes need none of these checks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mammolens.serve import logs
from mammolens.serve.portal import make_problem
from mammolens.serve.settings import WebSettings
from mammolens.serve.web._connections import MIN_BYTES_PER_S
from mammolens.serve.web._framing import ONCE
from mammolens.serve.web.health import NodeMetrics

__all__ = ["AGAIN_S", "ANSWER_HEADERS", "Guarded", "host_name"]

ROOM: Final = "web"
AGAIN_S: Final = "30"
READING: Final = frozenset(("GET", "HEAD", "OPTIONS"))
OPEN: Final[Mapping[str, frozenset[str]]] = {"/health/live": READING, "/health/ready": READING}
"""Paths that strangers may read: whether the process runs, and a word each for database, disk and
worker. The portal adds its sign-in and its page."""
MOST_BODY: Final[Mapping[str, int]] = {
    "/api/v1/": 1 << 16,
    "/api/v1/clinical": 1 << 22,
    "/api/v1/pathology": 8 << 20,
    "/api/v1/uploads/": 1 << 40,
}
"""Longest bodies in bytes by the beginning of the path; for others, see the settings. An upload
states its length beforehand, and more is not accepted."""
OWN_SITES: Final = frozenset(("same-origin", "none"))
MOST_REQUESTS: Final = 512
"""Most requests at the same time: two for each connection, because the request of a lost client may
still run."""
PIECE_BYTES: Final = 1 << 16
"""Answers are sent in such pieces, so that a client that does not read uses the memory of one."""
ANSWER_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "server": "mammolens",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-frame-options": "DENY",
    "x-permitted-cross-domain-policies": "none",
}
"""Headers of every answer. A route can replace headers of its answer (`answer_headers` in the state
of its request), as the page does with its Content-Security-Policy.

Source: OWASP Secure Headers Project; tests/web/test_headers.py explains the differences."""
OVER_TLS: Final[Mapping[str, str]] = {"strict-transport-security": "max-age=31536000"}
"""For browsers that came over TLS: they use TLS for a year, for this host alone."""


class Door(Protocol):
    """Decides who may call."""

    @property
    def web(self) -> WebSettings:
        """The settings of the server."""

    async def user(self, request: Request) -> str:
        """Give the name of the caller, or refuse."""

    async def check_host(self, request: Request) -> None:
        """Refuse a call to a host name that is not ours."""

    async def refusal(self, request: Request, status: int, reason: str) -> HTTPException:
        """Record a refusal, and give the exception for it."""


def host_name(host: str) -> str:
    """Give the name in a header ``Host``, without its port, in small letters.

    Examples
    --------
    >>> host_name("Node:8080"), host_name("[::1]:8080")
    ('node', '[::1]')
    """
    host = host.lower()
    if host.startswith("[") and "]" in host:
        return host[: host.index("]") + 1]
    return host.partition(":")[0]


class Guarded:
    """An application that is called only after all checks.

    Parameters
    ----------
    app
        The application that answers an accepted request.
    door
        Who may call.
    metrics
        Record the time of each request, by its route and not by its address.
    also_open
        Further paths that anyone may call, with their methods.
    """

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        metrics: NodeMetrics,
        also_open: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> None:
        self.app, self.door, self.metrics = app, door, metrics
        self.open = {**OPEN, **also_open}
        is_secure = door.web.certificate is not None or door.web.proxied
        self.always = OVER_TLS if is_secure else {}
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began, status = time.monotonic(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message = {**message, "headers": _with_guards(scope, message, self.always)}
            await _send_in_pieces(send, message)

        self.running += 1
        try:
            most = _most_body(scope["path"], self.door.web)
            await self._answer(scope, _Body(receive, self.door.web, most), sent)
        finally:
            self.running -= 1
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
            seconds = time.monotonic() - began
            self.metrics.requests.labels(method, route, str(status)).observe(seconds)

    async def _answer(self, scope: Scope, body: _Body, send: Send) -> None:
        request = Request(scope)
        try:
            if self.running > MOST_REQUESTS:
                raise HTTPException(503, "too many requests at a time", {"Retry-After": AGAIN_S})
            # Of this request alone: it says who calls.
            state: dict[str, object] = {}
            scope["state"] = state
            if scope["method"] not in self.open.get(scope["path"], ()):
                state["user"] = await self.door.user(request)
            elif scope["path"] not in OPEN:
                await self.door.check_host(request)
            await self._check_site(request)
            _check_headers(request, body.most)
        except HTTPException as refused:
            code = refused.detail if refused.detail.isidentifier() else None
            answer = make_problem(refused.status_code, refused.detail, code, refused.headers)
            await answer(scope, body, send)
            return
        await self.app(scope, body, send)

    async def _check_site(self, request: Request) -> None:
        """Refuse a change that a page of another site makes a browser request.

        Except for plain reads, browsers send the origin of the page, and a page cannot change it.
        Other programs do not send it.
        """
        if request.method in READING:
            return
        site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
        is_own = site is None or site.strip().lower() in OWN_SITES
        if origin is not None:
            # A proxy that does the TLS changes the scheme, and may change the name.
            place = origin.partition("://")[2].lower()
            host = request.headers.get("host", "").lower()
            is_own = (
                is_own
                and bool(place)
                and (place == host or host_name(place) in self.door.web.names)
            )
        if not is_own:
            raise await self.door.refusal(request, 403, "other_site")


def _most_body(path: str, web: WebSettings) -> int:
    fitting = [key for key in MOST_BODY if path.startswith(key)]
    return MOST_BODY[max(fitting, key=len)] if fitting else web.max_request_mb << 20


def _check_headers(request: Request, most: int) -> None:
    counted = Counter(name.lower() for name, _ in request.scope["headers"])
    if any(counted[name] > 1 for name in ONCE):
        raise HTTPException(400, "a header that may occur only once occurs twice")
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise HTTPException(400, "Content-Length is not a number of bytes")
    if int(length) > most:
        raise HTTPException(413, f"the request is larger than {_say_bytes(most)}")


def _say_bytes(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


class _Body:
    """A body that must arrive at a minimum rate; the time of the application is not counted."""

    def __init__(self, receive: Receive, web: WebSettings, most: int) -> None:
        self._receive, self._silence_s, self.most = receive, web.timeout_s, most
        self._bytes, self._waited_s, self._is_whole = 0, 0.0, False

    async def __call__(self) -> Message:
        """Wait for the next piece.

        Raises
        ------
        HTTPException
            408: it does not arrive, or too slowly; 413: it is too large.
        """
        if self._is_whole:
            return await self._receive()
        if self._bytes > self.most:
            raise HTTPException(413, f"the request is larger than {_say_bytes(self.most)}")
        left = self._silence_s + self._bytes / MIN_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(left, self._silence_s))):
                message = await self._receive()
        except TimeoutError as error:
            logs.event(ROOM, "request_too_slow", logging.WARNING)
            raise HTTPException(408, "the request came too slowly") from error
        self._waited_s += time.monotonic() - began
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return message


def _with_guards(
    scope: Scope, message: Message, always: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    own = scope.get("state", {}).get("answer_headers", {})
    guards = {**ANSWER_HEADERS, **own, **always}
    given = [pair for pair in message.get("headers", ()) if pair[0].decode().lower() not in guards]
    return [*given, *((name.encode(), value.encode()) for name, value in guards.items())]


async def _send_in_pieces(send: Send, message: Message) -> None:
    body = message.get("body", b"")
    if message["type"] != "http.response.body" or len(body) <= PIECE_BYTES:
        await send(message)
        return
    for start in range(0, len(body), PIECE_BYTES):
        more = start + PIECE_BYTES < len(body) or message.get("more_body", False)
        piece = bytes(memoryview(body)[start : start + PIECE_BYTES])
        await send({"type": message["type"], "body": piece, "more_body": more})
