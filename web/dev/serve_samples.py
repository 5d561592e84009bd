"""A development server for the viewer: the sample exams in the contract of `src/viewer/exam.ts`.

    python web/dev/serve_samples.py [--port 8930]

Listens on the loopback address alone, has no accounts and keeps everything in memory. It serves
`web/dist-demo` (built by `npm run build:demo`) under the application's content security policy.
An exam is also there as `ID~N` (N a number): the same pictures under other UIDs, for long runs.
"""

from __future__ import annotations

import argparse
import copy
import json
import mimetypes
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))

from samples import HTJ2K, RAW, RLE, Library, load_library

BUILT: Final = Path(__file__).parents[1] / "dist-demo"
CSP: Final = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "worker-src 'self'; img-src 'self' blob: data:"
)
_FRAME: Final = re.compile(r"/dicomweb/studies/[^/]+/series/[^/]+/instances/([^/]+)/frames/(\d+)")
_BOUNDARY: Final = "mammolens-frame"
_MEDIA: Final = {RLE: "image/dicom-rle", HTJ2K: "image/jphc", RAW: "application/octet-stream"}


class Handler(BaseHTTPRequestHandler):
    """Answers GET; one instance per connection."""

    protocol_version = "HTTP/1.1"
    library: Library

    def do_GET(self) -> None:
        """Route a request."""
        path = self.path.split("?")[0]
        if path == "/api/v1/exams":
            self._json(list(self.library.exams))
        elif path.startswith("/api/v1/exams/"):
            self._exam(path.rsplit("/", 1)[1])
        elif path.startswith("/previews/"):
            self._bytes(self.library.previews.get(_known(path.rsplit("/", 1)[1])), "image/jpeg")
        elif match := _FRAME.fullmatch(path):
            self._frame(_known(match[1]), int(match[2]))
        else:
            self._file(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _exam(self, name: str) -> None:
        base, _, number = name.partition("~")
        exam = self.library.exams.get(base)
        if exam is None:
            self._problem(HTTPStatus.NOT_FOUND, f"there is no exam {name}")
        else:
            self._json(_numbered(exam, number) if number.isdigit() else exam)

    def _frame(self, uid: str, number: int) -> None:
        frame = self.library.frames.get((uid, number))
        if frame is None:
            self._problem(HTTPStatus.NOT_FOUND, f"{uid} has no frame {number}")
            return
        accept = self.headers.get("Accept", "")
        asked = [s for s in re.findall(r"transfer-syntax=([\d.]+)", accept) if s in frame.makers]
        syntax = asked[0] if asked else next(iter(frame.makers))
        head = f"Content-Type: {_MEDIA[syntax]}; transfer-syntax={syntax}\r\n\r\n"
        body = frame.bytes_in(syntax)
        envelope = f"--{_BOUNDARY}\r\n{head}".encode(), body, f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="{_MEDIA[syntax]}"; boundary={_BOUNDARY}'
        self._bytes(b"".join(envelope), kind)

    def _file(self, path: str) -> None:
        file = (BUILT / (path.strip("/") or "index.html")).resolve()
        if not file.is_relative_to(BUILT) or not file.is_file():
            self._problem(HTTPStatus.NOT_FOUND, "npm run build:demo makes the pages")
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._bytes(file.read_bytes(), "text/javascript" if file.suffix == ".js" else kind)

    def _json(self, content: Any) -> None:
        self._bytes(json.dumps(content).encode(), "application/json")

    def _problem(self, status: HTTPStatus, detail: str) -> None:
        body = json.dumps({"status": status.value, "title": status.phrase, "detail": detail})
        self._bytes(body.encode(), "application/problem+json", status)

    def _bytes(self, body: bytes | None, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        if body is None:
            self._problem(HTTPStatus.NOT_FOUND, "there is no such picture")
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _known(uid: str) -> str:
    """A UID without the number of a repeated exam."""
    return uid.partition("~")[0]


def _numbered(exam: dict[str, Any], number: str) -> dict[str, Any]:
    text = json.dumps(copy.deepcopy(exam))
    for image in exam["images"]:
        uid = image["sopInstanceUid"]
        text = text.replace(f'"{uid}"', f'"{uid}~{number}"')
        text = text.replace(f"/{uid}/frames", f"/{uid}~{number}/frames")
        text = text.replace(f"/previews/{uid}", f"/previews/{uid}~{number}")
    return json.loads(text) | {"id": f"{exam['id']}~{number}"}


def main() -> None:
    """Read the samples and serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=8930)
    port = parser.parse_args().port
    Handler.library = load_library()
    print(f"http://127.0.0.1:{port}/ shows {', '.join(Handler.library.exams)}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
