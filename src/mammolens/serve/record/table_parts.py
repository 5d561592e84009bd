"""Parts that tables share: the names of constraints, times in UTC, numbered rows, indexes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import SchemaItem

__all__ = ["METADATA", "NAMES", "UtcTime", "numbered_table", "one_of", "partial_index", "since"]

Part = TypeVar("Part", bound=SchemaItem)
NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: Final = sa.MetaData(naming_convention=NAMES)


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A time with its time zone: UTC on every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a time zone; SQLite stores UTC as text of fixed length."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the time in UTC, with its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def numbered_table(name: str, *parts: SchemaItem) -> sa.Table:
    """Define a table whose rows have numbers (`id`); no number is used twice."""
    number = sa.Column("id", sa.Integer, primary_key=True)
    return sa.Table(name, METADATA, number, *parts, sqlite_autoincrement=True)


def one_of(column: str, kinds: type[Enum]) -> sa.CheckConstraint:
    """Allow only the values of an enumeration in a column."""
    listed = ", ".join(f"'{kind.value}'" for kind in kinds)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def partial_index(
    name: str, where: sa.ColumnElement[bool], *columns: str, unique: bool = True
) -> sa.Index:
    """Define an index of the rows that fulfil a condition."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


def since(version: str, part: Part) -> Part:
    """Mark a part of a table that came later than the table, with the version that adds it."""
    part.info["since"] = version
    return part
