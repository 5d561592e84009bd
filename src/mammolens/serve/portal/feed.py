"""Open event streams of this process: how many, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from starlette.concurrency import run_in_threadpool

from mammolens.serve.people import Refusal, Refused
from mammolens.serve.record import Database, audit

__all__ = ["Feed"]

LOOK_S: Final = 1.0
"""Time between two looks at the audit trail, however many streams are open."""
MOST_OF_PERSON: Final = 12
"""Open pages of one person; a browser opens six connections to one host."""
MOST: Final = 128
"""Half of the connections of the server stay for requests."""


@dataclass
class Feed:
    """What all event streams of a process share; its numbers are changed by one event loop."""

    stopped: threading.Event = field(default_factory=threading.Event)
    _open: Counter[int] = field(default_factory=Counter)
    _length: int = 0
    _looked: float = float("-inf")
    _looking: asyncio.Future[int] | None = None

    def stop(self) -> None:
        """Let every stream end soon."""
        self.stopped.set()

    @contextlib.contextmanager
    def place(self, person_id: int) -> Iterator[None]:
        """Take a place for a stream.

        Raises
        ------
        Refused
            The person has as many streams as they may have, or all places are taken.
        """
        if self._open[person_id] >= MOST_OF_PERSON or self._open.total() >= MOST:
            raise Refused(Refusal.TOO_MANY, retry_after_s=30)
        self._open[person_id] += 1
        try:
            yield
        finally:
            self._open[person_id] -= 1

    async def length(self, database: Database) -> int:
        """Give the length of the audit trail, at most a second old; many share one look."""
        if time.monotonic() - self._looked < LOOK_S:
            return self._length
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(run_in_threadpool(_length, database))
        self._length = await asyncio.shield(self._looking)
        self._looked = time.monotonic()
        return self._length


def _length(database: Database) -> int:
    with database.read() as connection:
        return audit.read_head(connection).length
