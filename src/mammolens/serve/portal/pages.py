"""The page itself: the files of the built front end, which a stranger may read.

What is served is a list made at the start, so no path that is asked for reaches the disk. Files
with a hash in their name never change and may be kept by browsers; the page itself is asked for
each time.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from mammolens import DISCLAIMER

__all__ = ["add_pages", "find_page"]

READING: Final = frozenset(("GET", "HEAD"))
INDEX: Final = "index.html"
SHARE: Final = "/share"
"""Where a referring doctor opens a link: a page of its own, without the application."""
HASHED: Final = "/assets/"
FOREVER: Final = "public, max-age=31536000, immutable"
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

    async def serve(request: Request) -> Response:
        request.state.answer_headers = _headers(path)
        return FileResponse(file, media_type=kind or "application/octet-stream")

    return serve


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
