"""The page itself: the files of the built front end, which a stranger may read.

What is served is a list made at the start, so no path that is asked for reaches the disk. Files
with a hash in their name never change and may be kept by browsers; the page itself is asked for
each time. Texts and WebAssembly are sent compressed to who accepts that: over a weak line the page
would else take three times as long.
"""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from mammolens import DISCLAIMER

__all__ = ["add_pages", "find_page"]

READING: Final = frozenset(("GET", "HEAD"))
INDEX: Final = "index.html"
SHARE: Final = "/share"
"""Where a referring doctor opens a link: a page of its own, without the application."""
HASHED: Final = "/assets/"
FOREVER: Final = "public, max-age=31536000, immutable"
PACKED: Final = frozenset((".js", ".mjs", ".css", ".html", ".wasm", ".svg", ".webmanifest"))
"""Kinds of files that gzip makes much smaller."""
MOST_PACKED: Final = 256
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
PERMISSIONS: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
NOT_BUILT: Final = (
    f"The page is not built: run npm ci and npm run build in the folder web. {DISCLAIMER}\n"
)
MEDIA_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


def find_page() -> Path | None:
    """Find the built front end: in the installed package, or in a checkout; ``None``: not built."""
    package = Path(__file__).parents[2]
    for folder in (package / "page", package.parents[1] / "web" / "dist"):
        if (folder / INDEX).is_file():
            return folder
    return None


def add_pages(app: FastAPI, folder: Path | None) -> Mapping[str, frozenset[str]]:
    """Add a route for every file of the page; gives what a stranger may call."""
    if folder is None:
        app.add_api_route("/", _not_built, methods=["GET"], include_in_schema=False)
        return {"/": READING}
    files = {f"/{file.relative_to(folder).as_posix()}": file for file in folder.rglob("*")}
    served = {path: file for path, file in files.items() if file.is_file()}
    served["/"] = served.pop(f"/{INDEX}")
    if f"{SHARE}.html" in served:
        served[SHARE] = served.pop(f"{SHARE}.html")
    for path, file in served.items():
        app.add_api_route(
            path, _server(path, file), methods=["GET"], include_in_schema=False, name=path
        )
    return dict.fromkeys(served, READING)


def _server(path: str, file: Path) -> Any:
    kind = MEDIA_TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    kind = kind or "application/octet-stream"
    may_pack = file.suffix in PACKED

    async def serve(request: Request) -> Response:
        request.state.answer_headers = _headers(path)
        headers = {"vary": "accept-encoding"} if may_pack else {}
        if may_pack and _accepts_gzip(request.headers.get("accept-encoding", "")):
            packed = await run_in_threadpool(_packed, file, file.stat().st_mtime_ns)
            headers["content-encoding"] = "gzip"
            return Response(packed, media_type=kind, headers=headers)
        return FileResponse(file, media_type=kind, headers=headers)

    return serve


def _accepts_gzip(header: str) -> bool:
    """Read Accept-Encoding (RFC 9110, 12.5.3) as far as it names gzip.

    Examples
    --------
    >>> [_accepts_gzip(text) for text in ("gzip, deflate, br", "gzip;q=0", "br", "")]
    [True, False, False, False]
    """
    asked = [one.replace(" ", "").lower().partition(";q=") for one in header.split(",")]
    return any(name == "gzip" and (q or "1").strip("0.") != "" for name, _, q in asked)


@lru_cache(MOST_PACKED)
def _packed(file: Path, _changed_at: int) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)


async def _not_built(request: Request) -> Response:
    request.state.answer_headers = _headers("/")
    return PlainTextResponse(NOT_BUILT)


def _headers(path: str) -> dict[str, str]:
    kept = FOREVER if path.startswith(HASHED) else "no-cache"
    headers = {
        "content-security-policy": POLICY,
        "cache-control": kept,
        "permissions-policy": PERMISSIONS,
    }
    if path == SHARE:
        no_code = POLICY.replace(" 'wasm-unsafe-eval'", "")
        unseen = {"cache-control": "no-store", "x-robots-tag": "noindex, nofollow, noarchive"}
        headers |= {"content-security-policy": no_code, **unseen}
    return headers
