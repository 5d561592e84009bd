"""Names of views such as RCC and LMLO: the four standard views, and how a name is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import ConfigError

__all__ = ["STANDARD_VIEWS", "Slot", "View", "parse_views"]

View = tuple[Laterality, ViewPosition]
Slot = tuple[Laterality | None, ViewPosition | None]
"""Laterality and view position of an image in its exam; ``None`` is unknown."""

STANDARD_VIEWS: Final[tuple[View, ...]] = (
    (Laterality.RIGHT, ViewPosition.CC),
    (Laterality.LEFT, ViewPosition.CC),
    (Laterality.RIGHT, ViewPosition.MLO),
    (Laterality.LEFT, ViewPosition.MLO),
)


def parse_views(names: Iterable[str]) -> tuple[View, ...]:
    """Read view names, in capitals or small letters; spaces around them are ignored.

    Raises
    ------
    ConfigError
        If there is no name, or a name is not a side (R, L) followed by a view position.

    Examples
    --------
    >>> [side.value + view.value for side, view in parse_views(["RCC", " lmlo"])]
    ['RCC', 'LMLO']
    """
    views = tuple(dict.fromkeys(_view(name.strip().upper()) for name in names))
    if not views:
        raise _unknown("")
    return views


def _view(name: str) -> View:
    try:
        return Laterality(name[:1]), ViewPosition(name[1:])
    except ValueError:
        raise _unknown(name) from None


def _unknown(name: str) -> ConfigError:
    return ConfigError(
        f"{name!r} is not a view",
        keyword="complete_views",
        remedy="Give a side and a view position for each, such as RCC,LCC,RMLO,LMLO",
    )
