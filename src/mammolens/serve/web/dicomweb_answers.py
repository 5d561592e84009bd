"""What the routes of DICOMweb share: who asks for what, refusals, and answers in pieces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from mammolens.errors import InputError, UnsupportedImage
from mammolens.serve.dicomweb import (
    RELATED,
    AccessNotes,
    BadQuery,
    BadRendering,
    FoundObject,
    HeaderIndex,
    NoSuchValue,
    NotReadyYet,
    Part,
    Viewer,
    find_objects,
    make_boundary,
    multipart_pieces,
    primed,
)
from mammolens.serve.holdings import NodeState
from mammolens.serve.portal import DICOMWEB, make_problem
from mammolens.serve.web.turns import PieceResponse, Turns

__all__ = ["Asked", "Service", "answers", "handle_refusals"]

AGAIN_S: Final = "5"
_HOST: Final = re.compile(r"[A-Za-z0-9.\-_]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


@dataclass(frozen=True)
class Service:
    """What all requests share."""

    state: NodeState
    index: HeaderIndex
    notes: AccessNotes
    turns: Turns


@dataclass(frozen=True)
class Asked:
    """A request and what answers it; `uids` are those of study, series and instance, if given."""

    request: Request
    service: Service
    uids: tuple[str, ...]

    @cached_property
    def viewer(self) -> Viewer:
        """Who asks; the guards let nobody else come here."""
        caller = getattr(self.request.state, "caller", None)
        if caller is not None:
            return Viewer(caller.person.actor, caller.person)
        name = self.request.state.user
        if name not in self.service.state.settings.web.retrievers:
            raise HTTPException(403, "not_a_retriever")
        return Viewer(f"web:{name}", None)

    @property
    def accept(self) -> str:
        """What the client takes; the parameter counts before the header (PS3.18 8.3.3.1)."""
        given = self.request.query_params.get("accept")
        return given or self.request.headers.get("accept") or "*/*"

    @property
    def base(self) -> str:
        """The address of this service, as the client called it."""
        host = self.request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            return DICOMWEB
        is_secure = self.request.url.scheme == "https" or self.service.state.settings.web.proxied
        return f"{'https' if is_secure else 'http'}://{host}{DICOMWEB}"

    async def find(self) -> tuple[FoundObject, ...]:
        """List the objects that are asked for.

        Raises
        ------
        HTTPException
            404: there is none, or none that the caller may know of.
        """
        found = await run_in_threadpool(
            find_objects, self.service.state, self.service.index, self.viewer, *self.uids
        )
        if not found:
            raise HTTPException(404, "there is no such object")
        return found

    async def find_one(self) -> FoundObject:
        """Find the one object that is asked for.

        Raises
        ------
        HTTPException
            404: there is none; 409: two patients have an object of this UID.
        """
        found = await self.find()
        if len(found) > 1:
            raise HTTPException(409, "objects of two patients have this UID")
        return found[0]

    async def note(self, what: str, found: Sequence[FoundObject]) -> None:
        """Enter in the audit trail that objects are given."""
        await run_in_threadpool(self.service.notes.retrieved, self.viewer, what, found)

    async def stream(
        self, make: Callable[[], tuple[str, Iterator[bytes]]], status: int = 200
    ) -> Response:
        """Answer with pieces of a media type; the first are made before the answer begins."""
        actor = self.viewer.actor
        await self.service.turns.take(actor)
        try:
            media, pieces = await run_in_threadpool(_begun, make)
        except BaseException:
            self.service.turns.give(actor)
            raise
        return PieceResponse(pieces, self.service.turns, actor, media, status)


async def answers(
    asked: Asked,
    make: Callable[[], Iterator[Part]],
    media: str,
    is_single: bool,
    status: int = 200,
) -> Response:
    """Answer with parts of a media type; with `is_single` there is one, without its envelope."""

    def begin() -> tuple[str, Iterator[bytes]]:
        if is_single:
            return _alone(make())
        boundary = make_boundary()
        kind = f'{RELATED}; type="{media}"; boundary={boundary}'
        return kind, multipart_pieces(make(), boundary)

    return await asked.stream(begin, status)


def _begun(make: Callable[[], tuple[str, Iterator[bytes]]]) -> tuple[str, Iterator[bytes]]:
    media, pieces = make()
    return media, primed(pieces)


def _alone(parts: Iterator[Part]) -> tuple[str, Iterator[bytes]]:
    media, pieces = next(parts)

    def content() -> Iterator[bytes]:
        yield from pieces
        for _ in parts:  # closes what is open
            raise AssertionError("there is one part")

    return media, content()


def handle_refusals(app: FastAPI) -> None:
    """Let an application say what the rooms below refuse."""
    app.add_exception_handler(BadQuery, _bad)
    app.add_exception_handler(BadRendering, _bad)
    app.add_exception_handler(NoSuchValue, _unknown)
    app.add_exception_handler(NotReadyYet, _not_ready)
    app.add_exception_handler(InputError, _unusable)


async def _bad(_request: Request, error: Exception) -> Response:
    return make_problem(400, str(error), "bad_parameter")


async def _unknown(_request: Request, _error: Exception) -> Response:
    return make_problem(404, "the object has no such frame or value")


async def _not_ready(_request: Request, _error: Exception) -> Response:
    detail = "the headers of the stored objects are being read"
    return make_problem(503, detail, "not_ready", {"Retry-After": AGAIN_S})


async def _unusable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)
    if isinstance(error, UnsupportedImage):
        return make_problem(406, error.message, "not_in_this_form")
    return make_problem(409, error.message, "damaged_object")
