"""Work that a thread repeats beside everything else, whatever goes wrong with it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.threads import running

__all__ = ["repeating"]

AFTER_FAULT_S: Final = 10.0


@contextlib.contextmanager
def repeating(
    room: str, act: Callable[[], object], stop: threading.Event, every_s: float
) -> Iterator[None]:
    """Call `act` in a thread while the block runs; its end waits for the call that runs.

    Parameters
    ----------
    act
        Returns something true if there is more to do at once. Its errors are logged.
    stop
        Ends the thread too.
    """
    ended = threading.Event()

    def run() -> None:
        while not (ended.is_set() or stop.is_set()):
            wait_s = every_s
            try:
                if act():
                    continue
            except StorageError:
                logs.event(room, "database_away", logging.ERROR)
                wait_s = AFTER_FAULT_S
            except Exception as error:
                logs.event(room, "failed", logging.ERROR, error=type(error).__name__)
                wait_s = AFTER_FAULT_S
            ended.wait(wait_s)

    with running(room, ended, run):
        yield
