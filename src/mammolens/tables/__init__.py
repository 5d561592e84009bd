"""Tables that a person or another program wrote: CSV, TSV and Excel files in, checked rows out.

This is the only way in which a table is read, so that every reader of labels refuses the same
faults. `read_table` finds delimiter, encoding and header, and returns rows that know their line.
A cell is read as it was meant, or `InvalidManifest` names file, line, column and remedy; no cell
is ever taken for its neighbour's. An empty cell is unknown.
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
