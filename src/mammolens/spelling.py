"""Suggest a known name for an unknown one, or refuse the unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mammolens.errors import ConfigError

__all__ = ["check_known", "did_you_mean", "nearest"]


def nearest(word: str, known: Iterable[str], similarity: float = 0.5) -> str | None:
    """Give the most similar known name, or ``None`` if none is similar.

    Parameters
    ----------
    similarity
        Smallest similarity, 0 to 1 (the ratio of difflib).

    Examples
    --------
    >>> nearest("jsn", ["json", "html"])
    'json'
    >>> nearest("pdf", ["json", "html"])
    """
    return next(iter(difflib.get_close_matches(word, list(known), 1, similarity)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give a remedy for an unknown name: the most similar known name, or all known names.

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


def check_known(word: str, known: Iterable[str], what: str, keyword: str) -> None:
    """Refuse a name that is not known.

    Parameters
    ----------
    what, keyword
        What the name stands for, such as "method", and the setting that gives it.

    Raises
    ------
    ConfigError
        With the most similar known name, or all known names.
    """
    names = set(known)
    if word not in names:
        raise ConfigError(
            f"there is no {what} {word!r}", keyword=keyword, remedy=did_you_mean(word, names)
        )
