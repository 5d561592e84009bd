"""The known name that an unknown one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, known: Iterable[str], similarity: float = 0.5) -> str | None:
    """Give the known name most like `word`, or ``None`` if none is like it.

    Parameters
    ----------
    similarity
        Least similarity in [0, 1] (difflib's ratio).

    Examples
    --------
    >>> nearest("jsn", ["json", "html"])
    'json'
    >>> nearest("pdf", ["json", "html"])
    """
    return next(iter(difflib.get_close_matches(word, list(known), 1, similarity)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say what can be used instead of an unknown name: the nearest, or all that are known.

    Examples
    --------
    >>> did_you_mean("jsn", ["json", "html"])
    "Use 'json'"
    >>> did_you_mean("pdf", ["json", "html"])
    'Known are html, json'
    """
    names = sorted(known)
    near = nearest(word, names)
    return f"Use {near!r}" if near else f"Known are {', '.join(names)}"
