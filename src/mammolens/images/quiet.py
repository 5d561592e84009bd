"""What pydicom warns of, collected for each thread by itself.

`warnings` has one set of filters for the whole process. So the first thread that collects sets
them, the last puts them back, and between them each warning goes to the thread that caused it: no
thread waits for another.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

__all__ = ["quiet_pydicom"]


class _Collectors(threading.local):
    """The lists of this thread, the innermost last."""

    def __init__(self) -> None:
        self.lists: list[list[warnings.WarningMessage]] = []


class _Filters:
    """The filters of the process, while at least one thread collects."""

    def __init__(self) -> None:
        self.lock, self.users, self.held = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        with self.lock:
            if not self.users:
                self.held.enter_context(warnings.catch_warnings())
                warnings.simplefilter("always")
                warnings.showwarning = _Dispatch(warnings.showwarning)
            self.users += 1

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.held.close()


class _Dispatch:
    """Gives a warning to the thread that collects, or else to whoever showed it before."""

    def __init__(self, shown: Any) -> None:
        self.shown: Any = shown.shown if isinstance(shown, _Dispatch) else shown

    def __call__(
        self,
        message: Any,
        category: Any,
        filename: str,
        lineno: int,
        file: Any = None,
        line: Any = None,
    ) -> None:
        if _collectors.lists:
            warning = warnings.WarningMessage(message, category, filename, lineno, file, line)
            _collectors.lists[-1].append(warning)
        else:
            self.shown(message, category, filename, lineno, file, line)


_collectors: Final = _Collectors()
_filters: Final = _Filters()


@contextmanager
def quiet_pydicom() -> Iterator[list[warnings.WarningMessage]]:
    """Collect what pydicom warns of in this thread; no other thread waits meanwhile."""
    caught: list[warnings.WarningMessage] = []
    _filters.enter()
    _collectors.lists.append(caught)
    try:
        yield caught
    finally:
        _collectors.lists.pop()
        _filters.leave()
