"""Headers that other processes have read already, so that a reader of a data set need not wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mammolens.errors import InputError

__all__ = ["remembered", "remembering"]

_FOUND: Final[ContextVar[Mapping[tuple[str, Path], object]]] = ContextVar(
    "headers", default=MappingProxyType({})
)


@contextmanager
def remembering(found: Mapping[tuple[str, Path], object]) -> Iterator[None]:
    """Inside the block, `identify` and `read_facts` give the results (or errors) in `found`.

    Its keys are the name of the function and the path.
    """
    token = _FOUND.set(found)
    try:
        yield
    finally:
        _FOUND.reset(token)


def remembered(reader: str, path: Path) -> Any:
    """Give what a function has found in a file before; ``None`` if it was not read yet.

    Raises
    ------
    InputError
        If that is what it raised.
    """
    found = _FOUND.get().get((reader, path))
    if isinstance(found, InputError):
        raise found
    return found
