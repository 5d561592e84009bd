"""Turns: how many answers with pixels are made at a time, in all and for each caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from fastapi import HTTPException
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

__all__ = ["PieceResponse", "Turns"]

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
