"""Read CSV, TSV and Excel tables that a person or another program wrote, and check every row.

All tables are read here, so that every reader of labels refuses the same faults. `read_table` finds
delimiter, encoding and header, and returns rows with their line numbers. A cell is read with its
intended meaning, or `InvalidManifest` names file, line, column and remedy. A value never moves into
another column. An empty cell is unknown.
"""

from __future__ import annotations

from mammolens.tables.decoding import read_lines
from mammolens.tables.reading import DEFAULT_REMEDY, Table, has_columns, read_table
from mammolens.tables.rows import UNKNOWN_WORDS, Row

__all__ = [
    "DEFAULT_REMEDY",
    "UNKNOWN_WORDS",
    "Row",
    "Table",
    "has_columns",
    "read_lines",
    "read_table",
]
