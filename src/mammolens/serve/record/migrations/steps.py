"""What migrations do: they make tables, and add what came later to tables that are there.

A table is defined once, in the modules of `record`; `since` marks the parts that came later than
their table. So a new database and one that is brought up from any version are the same. A part that
is taken away needs its definition in the migration that makes it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.table_parts import METADATA, NAMES

__all__ = ["add_parts", "make_tables"]


def make_tables(version: str, *names: str) -> None:
    """Make tables as they were in a version; what their foreign keys refer to is there already."""
    for name in names:
        table = _copied(name)
        for column in table.columns:
            column.system = _came(column) > version  # system columns are not made
        later = {part for part in table.constraints | table.indexes if _came(part) > version}
        table.constraints -= later
        table.indexes -= later
        table.create(op.get_bind())


def add_parts(version: str, *names: str) -> None:
    """Add the columns and indexes that came to tables in a version, and are not there yet.

    A column with a constraint must be there: SQLite cannot add the constraint afterwards.
    """
    for name in names:
        table = _copied(name)
        there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(name)}
        for column in table.columns:
            if _came(column) == version and column.name not in there:
                op.add_column(name, column)
        for index in table.indexes:
            if _came(index) == version:
                index.create(op.get_bind())


def _copied(name: str) -> sa.Table:
    """Copy the definition of a table; of the tables that it refers to only their keys."""
    table, metadata = METADATA.tables[name], sa.MetaData(naming_convention=NAMES)
    copy = table.to_metadata(metadata)
    marks = {index.name: index.info for index in table.indexes}
    for index in copy.indexes:
        index.info.update(marks[index.name])
    for key in copy.foreign_keys:
        referred, _, column = key.target_fullname.partition(".")
        if referred not in metadata.tables:
            sa.Table(referred, metadata, sa.Column(column, sa.Integer))
    return copy


def _came(part: sa.Column[object] | sa.Constraint | sa.Index) -> str:
    """Give the version with which a part came; empty if it came with its table."""
    columns = () if isinstance(part, sa.Column) else getattr(part, "columns", ())
    own: str = part.info.get("since", "")
    return max((own, *map(_came, columns)))
