"""Rows of tables as objects."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sa

__all__ = ["read_as"]

T = TypeVar("T")


def read_as(kind: type[T], row: sa.Row[Any], **others: Any) -> T:
    """Make a dataclass of a row: its fields have the names of columns, except the others given.

    Raises
    ------
    TypeError
        The row has no column for a field without a default.
    """
    columns = row._mapping
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: columns[name] for name in names & {*columns} - {*others}}, **others)
