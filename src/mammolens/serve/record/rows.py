"""Turn rows of the database into dataclasses, and read lists in pages, the newest row first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter

__all__ = ["Page", "from_row", "page_of"]

T = TypeVar("T")
_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list; `next` is `before` of the page that follows, if there is one."""

    items: tuple[T, ...]
    next: int | None


def from_row(kind: type[T], row: sa.Row[Any], **more: object) -> T:
    """Make a dataclass of the columns that have the names of its fields.

    Parameters
    ----------
    more
        Fields that are not columns; they take the place of columns of the same name.

    Raises
    ------
    ValidationError
        There is neither a column nor another value for a field, or a value has another type.
    """
    adapter: TypeAdapter[T] | None = _ADAPTERS.get(kind)
    if adapter is None:  # making one takes longer than using it a hundred times
        adapter = _ADAPTERS[kind] = TypeAdapter(kind)
    return adapter.validate_python({**row._mapping, **more})


def page_of(
    connection: sa.Connection,
    asked: sa.Select[Any],
    key: sa.Column[Any],
    before: int | None,
    limit: int,
    make: Callable[[sa.Row[Any]], T],
) -> Page[T]:
    """Read one page of a list, by the number of the last row seen and never by counting."""
    if before is not None:
        asked = asked.where(key < before)
    rows = connection.execute(asked.order_by(key.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    follows = len(rows) > limit
    return Page(tuple(map(make, shown)), int(shown[-1].id) if follows else None)
