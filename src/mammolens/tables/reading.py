"""Read a table: find its delimiter and header, and check the number of cells of every row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mammolens.errors import InvalidManifest
from mammolens.tables.columns import Known
from mammolens.tables.decoding import Text, decode, read_bytes
from mammolens.tables.rows import UNKNOWN_WORDS, Row
from mammolens.tables.sheets import is_sheet, read_sheets

__all__ = ["DEFAULT_REMEDY", "Table", "has_columns", "read_table"]

DEFAULT_REMEDY: Final = "Use the file as its source hands it out"
_DELIMITERS: Final = (",", ";", "\t", "|")
_NAMES: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE: Final = re.compile(r'"?sep=([^"\w ])"?[,;\t|]*', re.IGNORECASE)
"""Excel's own way to state the delimiter, in the first line."""
_HEAD_LINES: Final = 20
"""Lines in which the header is looked for; titles and notes may be above it."""
_HEAD_CHARS: Final = 1 << 16
_FORMULA: Final = re.compile(r'="(.*)"', re.DOTALL)
"""Form with which programs prevent Excel from reading ``00123`` as a number."""
_NO_WORDS: Final[Mapping[str, str]] = MappingProxyType({})

_Lines = Iterable[tuple[int, list[str]]]


@dataclass(frozen=True)
class Table:
    """A table that was read: its rows, and the known columns that it has."""

    path: Path
    columns: frozenset[str]
    rows: tuple[Row, ...]

    def refuse_repeats(self, *key: str) -> None:
        """Refuse two rows with the same `key`, even if they agree.

        Raises
        ------
        InvalidManifest
            With both lines, and the columns in which they contradict each other.
        """
        seen: dict[tuple[str, ...], Row] = {}
        for row in self.rows:
            first = seen.setdefault(row.key(*key), row)
            if first is row:
                continue
            differing = row.differs(first)
            name = "/".join(row.key(*key))
            relation = "they are equal"
            if differing:
                relation = f"they contradict each other in {', '.join(differing)}"
            raise InvalidManifest(
                f"{name} is there twice, in line {first.line} and line {row.line}; {relation}",
                source=str(self.path),
                keyword=key[-1],
                remedy="Keep one row for each",
            )


@dataclass(frozen=True)
class _Reading:
    """One way to read a file: its first lines with their numbers.

    For a sheet of a workbook, `lines` are all its lines; for a text, `delimiter` separates cells.
    """

    head: list[tuple[int, list[str]]]
    lines: list[tuple[int, list[str]]] | None = None
    delimiter: str = ","


def read_table(
    path: Path,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    *,
    meant: Mapping[str, str] = _NO_WORDS,
    remedy: str = DEFAULT_REMEDY,
) -> Table:
    """Read a table: CSV with any usual delimiter and encoding, or an Excel workbook.

    Parameters
    ----------
    needed, optional
        The columns that are used; others are ignored. Upper case and punctuation in column names
        are ignored too.
    meant
        Other words that people use for an optional column: word in lower case without punctuation
        → column.
    remedy
        What the reader of the message can do if a needed column is missing.

    Returns
    -------
    Table
        Rows in the order of the file. Empty rows, comments (``#``) and repeated headers are
        skipped. Of a workbook, the first sheet with the needed columns is read.

    Raises
    ------
    InvalidManifest
        If the file cannot be read, a needed column is missing, a known one occurs twice or is
        misspelt, or a row has more or fewer cells than the header.
    ConfigError
        If it is a workbook, and the package that reads it is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.csv"
    ...     _ = path.write_text("Image ID;Cancer\\n7.0;1\\n8;\\n")
    ...     [(r.identifier("image_id"), r.flag("cancer"))
    ...      for r in read_table(path, ("image_id", "cancer")).rows]
    [('7', True), ('8', None)]
    """
    known = Known(tuple(needed), tuple(optional), meant)
    readings, text = _readings(path)
    reading, line, head = _header(readings, known, path)
    where = known.positions(head, line, path, remedy)
    if text is None:
        lines = _sheet_rows(reading.lines or [], line, len(head))
    else:
        lines = _text_rows(text, reading.delimiter, line, head, path)
    shielded = text is not None and '="' in text.text
    rows = tuple(
        Row(cells, where, number, path)
        for number, cells in _data_rows(lines, head, where[needed[0]], shielded, path)
    )
    if text is not None and not text.certain:
        _refuse_guessed(rows, needed)
    return Table(path, frozenset(where), rows)


def has_columns(path: Path, needed: Sequence[str]) -> bool:
    """Return whether a file is a table with these columns; false if it cannot be read.

    Raises
    ------
    ConfigError
        If it is a workbook, and the package that reads it is not installed.
    """
    known = Known(tuple(needed), (), _NO_WORDS)
    try:
        readings, _ = _readings(path)
    except InvalidManifest:
        return False
    return any(known.score(cells)[0] for reading in readings for _, cells in reading.head)


def _readings(path: Path) -> tuple[list[_Reading], Text | None]:
    """Give the ways to read a file, the likeliest first, and its text if it is not a workbook."""
    data = read_bytes(path)
    if is_sheet(data, path):
        return [_Reading(lines[:_HEAD_LINES], lines) for lines in read_sheets(data, path)], None
    text = decode(data, path)
    stated = _SEP_LINE.fullmatch(text.text.partition("\n")[0].strip(" "))
    first = (stated[1],) if stated else ()
    delimiters = dict.fromkeys((*first, *_DELIMITERS))
    head = text.text[:_HEAD_CHARS]
    return [_Reading(_head(head, delimiter), None, delimiter) for delimiter in delimiters], text


def _head(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in islice(reader, _HEAD_LINES):
            lines.append((reader.line_num, cells))
    except csv.Error:
        pass  # The fault is reported when the whole text is read.
    return lines


def _header(
    readings: Sequence[_Reading], known: Known, path: Path
) -> tuple[_Reading, int, list[str]]:
    """Find the header: the first line with all needed columns, or else with the most known ones."""
    candidates: list[tuple[tuple[bool, int], _Reading, int, list[str]]] = []
    for reading in readings:
        scored = [
            (known.score(cells), reading, line, cells)
            for line, cells in reading.head
            if any(cell.strip() for cell in cells)
        ]
        complete = [candidate for candidate in scored if candidate[0][0]]
        candidates += complete[:1] or scored
        if complete and reading.lines is not None:
            break  # Of a workbook, the first sheet with the columns is read.
    if not candidates:
        raise InvalidManifest(
            f"the table is empty; columns are missing: {', '.join(known.needed)}",
            source=str(path),
            remedy="Give a table with rows",
        )
    return max(candidates, key=lambda candidate: candidate[0])[1:]


def _sheet_rows(lines: _Lines, header: int, width: int) -> Iterator[tuple[int, list[str]]]:
    """Give the rows after the header of a sheet, all with `width` cells."""
    for number, cells in lines:
        if number > header:
            yield number, [*cells, *[""] * (width - len(cells))][:width]


def _text_rows(
    text: Text, delimiter: str, header: int, head: Sequence[str], path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Give the rows after the header with their first lines; refuse rows of another width."""
    reader = csv.reader(
        io.StringIO(text.text), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    width = len(head)
    named = max(index for index, cell in enumerate(head) if cell.strip()) + 1
    end = 0
    try:
        for cells in reader:
            begin, end = end + 1, reader.line_num
            if end <= header:
                continue
            if end > begin and any(_swallowed(cell, delimiter, width) for cell in cells):
                raise _open_quote(begin, path)
            if len(cells) != width or (named < width and any(map(str.strip, cells[named:]))):
                if not any(map(str.strip, cells)) or _is_comment(cells):
                    continue
                raise _other_width(begin, end, cells, head, delimiter, path)
            yield begin, cells
    except csv.Error as error:
        raise _open_quote(end + 1, path) from error


def _swallowed(cell: str, delimiter: str, width: int) -> bool:
    """Return whether a cell contains whole rows, as after a quote that was opened by mistake."""
    breaks = cell.rstrip().count("\n")
    return breaks > 0 and cell.count(delimiter) >= (width - 1) * breaks


def _open_quote(line: int, path: Path) -> InvalidManifest:
    return InvalidManifest(
        f"a cell of the row that begins in line {line} opens a quote that is not closed",
        source=str(path),
        remedy='Delete the stray quote, or double quotes that belong to a text: ""',
    )


def _other_width(
    begin: int, end: int, cells: Sequence[str], head: Sequence[str], delimiter: str, path: Path
) -> InvalidManifest:
    delimiters = _NAMES.get(delimiter, repr(delimiter))
    if len(cells) > len(head):
        remedy = (
            f"Put texts and numbers that contain {delimiters} in quotes (decimal commas too: "
            '"61,0"), or write decimals with a point'
        )
    elif len(cells) == len(head):
        remedy = "Name the last column, or empty its cells"
    else:
        remedy = "Give every row all cells of the header; leave unknown cells empty"
    lines = f"line {begin}" if end == begin else f"the row of lines {begin} to {end}"
    return InvalidManifest(
        f"{lines} has {len(cells)} cells, but the header has {len(head)} cells, separated by "
        f"{delimiters}, with {sum(map(bool, head))} column names",
        source=str(path),
        remedy=remedy,
    )


def _is_comment(cells: Sequence[str]) -> bool:
    return cells[0].lstrip().startswith("#") and not any(cell.strip() for cell in cells[1:])


def _data_rows(
    lines: _Lines, head: Sequence[str], probe: int, shielded: bool, path: Path
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give the stripped cells of rows with data; skip empty rows, comments and repeated headers.

    `probe` is the index of a needed column. If `shielded`, cells like ``="00123"`` are unwrapped.
    """
    titles = tuple(map(str.strip, head))
    words = set(filter(None, titles))
    marked: list[int] = []
    count = 0
    for line, raw in lines:
        cells = tuple(map(str.strip, raw))
        if not any(cells):
            continue
        if cells[probe] in words and _is_header(cells, words):
            if cells == titles:
                continue
            raise InvalidManifest(
                f"line {line} is a second header with other columns",
                source=str(path),
                remedy="Put tables with different columns into separate files",
            )
        if cells[0].startswith("#") and cells[0].casefold() not in UNKNOWN_WORDS:
            if _is_comment(cells):
                continue
            marked.append(line)
        count += 1
        if shielded:
            cells = tuple(m[1] if (m := _FORMULA.fullmatch(c)) else c for c in cells)
        yield line, cells
    if marked and len(marked) < count:
        raise InvalidManifest(
            f"line {marked[0]} begins with '#': it may be a comment or a row",
            source=str(path),
            remedy="Delete the line, or the '#'",
        )


def _is_header(cells: Iterable[str], words: Set[str]) -> bool:
    """Return whether most of the cells with text are names of columns."""
    filled = [cell for cell in cells if cell]
    return 2 * sum(cell in words for cell in filled) > len(filled)


def _refuse_guessed(rows: Iterable[Row], needed: Sequence[str]) -> None:
    """Refuse non-ASCII letters in needed columns if the encoding was guessed.

    A wrong letter could change an identifier or a label.
    """
    for row in rows:
        for column in needed:
            if not row[column].isascii():
                raise InvalidManifest(
                    f"line {row.line} has {row[column]!r}, but the file is not UTF-8, so these "
                    "letters may be wrong",
                    source=str(row.path),
                    keyword=column,
                    remedy='Save the table as "CSV UTF-8"',
                )
