"""Threads that run beside a block of code and end with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["running"]


@contextmanager
def running(name: str, stop: threading.Event, act: Callable[[], object]) -> Iterator[None]:
    """Run `act` in a thread until the block ends; then `stop` is set, and `act` must return."""
    thread = threading.Thread(target=act, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
