"""The client: one method for each thing that a program asks of the application."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar
from urllib.parse import quote

from mammolens.client.connection import API, ApiError, Connection, NotAnswered
from mammolens.client.forms import Artefact, Exam, ExamPage, Reading, Upload, UploadResult
from mammolens.errors import MissingInput

if TYPE_CHECKING:
    import httpx

__all__ = ["Client"]

PIECE_BYTES: Final = 4 << 20
"""A piece that is lost on a bad line is sent again: half a minute at 1 Mbit/s."""
TRIES: Final = 12
"""Breaks in a row after which an upload is given up; it can be gone on with later."""
LONGEST_WAIT_S: Final = 30.0
POLL_S: Final = 2.0
TUS: Final = {"Tus-Resumable": "1.0.0"}
DONE: Final = "done"
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have arrived."""


class Client:
    """A client of one application, for one person's API token; use it in a ``with`` block.

    Parameters
    ----------
    address
        Such as ``https://mammolens.clinic.example``; plain http only on loopback.
    token
        API token, which a person makes in the application.
    authority
        Whose certificates the application has, PEM; ``None``: those that the system trusts.

    Raises
    ------
    ConfigError
        The address cannot be used, or httpx is not installed.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        authority: Path | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address.rstrip("/")
        self._connection = Connection(address, token, authority, timeout_s, transport, sleep)
        self._sleep = sleep

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def dicomweb_address(self) -> str:
        """Where a DICOMweb client finds the same exams, with the same token."""
        return f"{self.address}/dicom-web"

    def upload(
        self, path: str | Path, site: str | None = None, progress: Progress | None = None
    ) -> Upload:
        """Send a DICOM file or a zip archive of such files; a break of the line is gone on after.

        Parameters
        ----------
        site
            Key of the site; it may be left out by a person who sends for one site alone.

        Raises
        ------
        MissingInput
            There is no such file.
        ApiError
            The application refuses it.
        NotAnswered
            The line stays broken; `resume` goes on later.
        """
        file = Path(path)
        if not file.is_file():
            raise MissingInput("there is no such file", source=str(path))
        words = {"filename": file.name} | ({"site": site} if site else {})
        metadata = ",".join(
            f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in words.items()
        )
        headers = {
            **TUS,
            "Upload-Length": str(file.stat().st_size),
            "Upload-Metadata": metadata,
        }
        done = self._connection.ask("POST", f"{API}/uploads", headers=headers)
        upload_id = done.headers["location"].rpartition("/")[2]
        return self.resume(upload_id, file, progress)

    def resume(self, upload_id: str, path: str | Path, progress: Progress | None = None) -> Upload:
        """Go on with an upload of the same file, from where it came to.

        Raises
        ------
        ApiError, NotAnswered
            As `upload`.
        """
        place, breaks = f"{API}/uploads/{_part(upload_id)}", 0
        with Path(path).open("rb") as stream:
            length = stream.seek(0, 2)
            while True:
                try:
                    offset = self._offset(place)
                    if offset >= length:
                        break
                    offset = self._send_piece(place, stream, offset)
                    breaks = 0
                except NotAnswered as error:
                    breaks += 1
                    if breaks >= TRIES:
                        error.add_note(f"resume({upload_id!r}, ...) goes on")
                        raise
                    self._sleep(min(0.5 * 2**breaks, LONGEST_WAIT_S))
                    continue
                if progress is not None:
                    progress(offset, length)
        return self.upload_result(upload_id)

    def upload_result(self, upload_id: str) -> UploadResult:
        """Say what became of an upload so far.

        Raises
        ------
        ApiError, NotAnswered
        """
        done = self._connection.ask("GET", f"{API}/uploads/{_part(upload_id)}/result")
        return UploadResult.model_validate(done.json())

    def wait_for_upload(self, upload_id: str, timeout_s: float = 600.0) -> UploadResult:
        """Wait until every file of an upload was received or refused.

        Raises
        ------
        ApiError, NotAnswered
            The second also if it takes longer.
        """
        return self._wait(
            lambda: self.upload_result(upload_id), lambda found: found.state == DONE, timeout_s
        )

    def exams(
        self,
        *,
        status: Sequence[str] = (),
        site: Sequence[int] = (),
        category: Sequence[str] = (),
        q: str | None = None,
        sort: str = "worklist",
        **filters: Any,
    ) -> Iterator[Exam]:
        """List exams, page by page; further filters are those of the API (`from`, `to`, `doubt`).

        Raises
        ------
        ApiError, NotAnswered
        """
        params: dict[str, Any] = {"sort": sort, "q": q, **filters}
        params |= {"status": [*status], "site": [*site], "category": [*category]}
        params = {key: value for key, value in params.items() if value not in (None, [])}
        while True:
            done = self._connection.ask("GET", f"{API}/exams", params=params)
            page = ExamPage.model_validate(done.json())
            yield from page.items
            if page.next is None:
                return
            params["cursor"] = page.next

    def exam(self, exam_id: int) -> Exam:
        """Give one exam.

        Raises
        ------
        ApiError
            404: there is none, or none that the person may see.
        NotAnswered
        """
        return Exam.model_validate(self._connection.ask("GET", f"{API}/exams/{exam_id}").json())

    def wait_for_result(self, exam_id: int, timeout_s: float = 1800.0) -> Exam:
        """Wait until an exam is analysed; its `ai` may say that the analysis failed, or be hidden.

        Raises
        ------
        ApiError, NotAnswered
            The second also if it takes longer.
        """
        return self._wait(lambda: self.exam(exam_id), lambda exam: exam.is_analysed, timeout_s)

    def result(self, exam_id: int) -> dict[str, Any]:
        """Give scores, outlines and maps, as the viewer gets them.

        Raises
        ------
        ApiError
            403 with code ``ai_locked``: the person has to answer first.
        NotAnswered
        """
        found: dict[str, Any] = self._connection.ask("GET", f"{API}/exams/{exam_id}/ai").json()
        return found

    def artefacts(self, exam_id: int) -> list[Artefact]:
        """List the files that sinks made of the newest result.

        Raises
        ------
        ApiError, NotAnswered
        """
        found = self._connection.ask("GET", f"{API}/exams/{exam_id}/artefacts").json()
        return [Artefact.model_validate(one) for one in found]

    def fetch(self, artefact: Artefact) -> bytes:
        """Fetch one of those files.

        Raises
        ------
        ApiError, NotAnswered
        """
        return self._connection.ask("GET", quote(artefact.url, safe="/%")).content

    def readings(self, exam_id: int) -> list[Reading]:
        """List what people answered to an exam, as far as the person may see it.

        Raises
        ------
        ApiError, NotAnswered
        """
        found = self._connection.ask("GET", f"{API}/exams/{exam_id}/readings").json()
        return [Reading.model_validate(one) for one in found]

    def _offset(self, place: str) -> int:
        done = self._connection.ask("HEAD", place, headers=TUS)
        return int(done.headers["upload-offset"])

    def _send_piece(self, place: str, stream: BinaryIO, offset: int) -> int:
        stream.seek(offset)
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        piece = stream.read(PIECE_BYTES)
        try:
            done = self._connection.ask("PATCH", place, headers=headers, content=piece)
        except ApiError as error:
            if error.status in (400, 408, 409, 423) or error.status >= 500:
                # The piece before may have arrived although its answer did not.
                raise NotAnswered(error.message, source="mammolens") from error
            raise
        return int(done.headers["upload-offset"])

    def _wait(self, ask: Callable[[], T], is_done: Callable[[T], bool], timeout_s: float) -> T:
        until = time.monotonic() + timeout_s
        while not is_done(found := ask()):
            if time.monotonic() > until:
                raise NotAnswered(
                    f"it is not done after {timeout_s:g} s",
                    source="mammolens",
                    remedy="Wait longer, or look at the application",
                )
            self._sleep(POLL_S)
        return found


def _part(text: str) -> str:
    return quote(text, safe="")
