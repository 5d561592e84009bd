"""What the routes of DICOMweb share: who asks for what, turns, refusals, and answers in pieces.

Turns say how many answers with pixels are made at a time, in all and for each caller.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

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

__all__ = ["Asked", "PieceResponse", "Service", "Turns", "answers", "handle_refusals"]

WAIT_S: Final = 20.0
AGAIN_S: Final = "5"
SHARE: Final = 2
"""One caller takes at most this part of all turns, so that another always finds one."""


@dataclass
class Turns:
    """A number of turns; whoever finds none waits for a while.

    Examples
    --------
    >>> Turns(16).most_each
    8
    """

    most: int
    _all: asyncio.Semaphore = field(init=False)
    _each: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _users: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.most)

    @property
    def most_each(self) -> int:
        """How many one caller has at a time."""
        return max(1, self.most // SHARE)

    async def take(self, actor: str) -> None:
        """Wait for a turn.

        Raises
        ------
        HTTPException
            503: there is none in time.
        """
        own = self._each.setdefault(actor, asyncio.Semaphore(self.most_each))
        self._users[actor] = self._users.get(actor, 0) + 1
        is_own = False
        try:
            async with asyncio.timeout(WAIT_S):
                await own.acquire()
                is_own = True
                await self._all.acquire()
        except BaseException as error:
            if is_own:
                own.release()
            self._leave(actor)
            if isinstance(error, TimeoutError):
                detail = "too many objects are read at a time"
                raise HTTPException(503, detail, {"Retry-After": AGAIN_S}) from error
            raise

    def give(self, actor: str) -> None:
        """Give a turn back."""
        self._all.release()
        self._each[actor].release()
        self._leave(actor)

    @asynccontextmanager
    async def turn(self, actor: str) -> AsyncIterator[None]:
        """Have a turn within a block."""
        await self.take(actor)
        try:
            yield
        finally:
            self.give(actor)

    def _leave(self, actor: str) -> None:
        self._users[actor] -= 1
        if not self._users[actor]:
            del self._users[actor], self._each[actor]


class PieceResponse(StreamingResponse):
    """An answer in pieces that are made in threads; its turn ends with it, however it ends."""

    def __init__(
        self, pieces: Iterator[bytes], turns: Turns, actor: str, media: str, status: int = 200
    ) -> None:
        super().__init__(iterate_in_threadpool(pieces), status, None, media)
        self._pieces, self._turns, self._actor = pieces, turns, actor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self._pieces, "close", None)
            try:
                if close is not None:
                    await asyncio.shield(run_in_threadpool(close))
            finally:
                self._turns.give(self._actor)


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
