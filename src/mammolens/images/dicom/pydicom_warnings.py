"""Collect the warnings of pydicom, separately for each thread.

Python's `warnings` has one set of filters for the whole process. The first thread that collects
replaces the filters, and the last one restores them. In between, each warning goes to the thread
that caused it. No thread waits for another.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

__all__ = ["quiet_pydicom"]


class _Collectors(threading.local):
    """The lists of this thread; warnings go into the last one."""

    def __init__(self) -> None:
        self.lists: list[list[warnings.WarningMessage]] = []


class _Filters:
    """The filters of the process, replaced while at least one thread collects."""

    def __init__(self) -> None:
        self.lock, self.users, self.held = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        with self.lock:
            if not self.users:
                dispatch: Any = _Dispatch(warnings.showwarning, warnings.filters)
                self.held.enter_context(warnings.catch_warnings())
                warnings.simplefilter("always")
                warnings.showwarning = dispatch
            self.users += 1

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.held.close()


class _Dispatch:
    """Give a warning to the collecting thread, or treat it by the replaced filters."""

    def __init__(self, shown: Any, filters: Sequence[tuple[Any, ...]]) -> None:
        self.shown, self.filters = shown, tuple(filters)

    def __call__(self, message: Any, category: Any, filename: str, lineno: int, *more: Any) -> None:
        if _collectors.lists:
            warning = warnings.WarningMessage(message, category, filename, lineno)
            _collectors.lists[-1].append(warning)
            return
        action = self._action(message, category)
        if action == "error":
            raise message if isinstance(message, Warning) else category(message)
        if action != "ignore":
            self.shown(message, category, filename, lineno, *more)

    def _action(self, message: Any, category: Any) -> str:
        """Action of the replaced filters for a warning. Its module is not known here."""
        for action, text, kind, module, _ in self.filters:
            fits = text is None or text.match(str(message))
            if fits and module is None and issubclass(category, kind):
                return str(action)
        return "default"


_collectors: Final = _Collectors()
_filters: Final = _Filters()


@contextmanager
def quiet_pydicom() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings of this thread within the block; they are not shown."""
    caught: list[warnings.WarningMessage] = []
    _filters.enter()
    _collectors.lists.append(caught)
    try:
        yield caught
    finally:
        _collectors.lists.pop()
        _filters.leave()
