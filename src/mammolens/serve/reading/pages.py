"""Pages of lists, the newest row first: by the number of the last row seen, never by counting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

__all__ = ["Page", "page_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list; `next` is `before` of the page that follows, if there is one."""

    items: tuple[T, ...]
    next: int | None


def page_of(
    connection: sa.Connection,
    asked: sa.Select[Any],
    key: sa.Column[Any],
    before: int | None,
    limit: int,
    make: Callable[[sa.Row[Any]], T],
) -> Page[T]:
    """Read one page of a list."""
    if before is not None:
        asked = asked.where(key < before)
    rows = connection.execute(asked.order_by(key.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    follows = len(rows) > limit
    return Page(tuple(map(make, shown)), int(shown[-1].id) if follows else None)
