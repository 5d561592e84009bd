"""From a file to its rows: delimiter, header, and a check that every row has the header's cells."""

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
"""Titles and notes may stand above the header, no more than this many lines."""
_HEAD_CHARS: Final = 1 << 16
_FORMULA: Final = re.compile(r'="(.*)"', re.DOTALL)
"""How programs keep Excel from taking ``00123`` for a number."""
_NO_WORDS: Final[Mapping[str, str]] = MappingProxyType({})

_Lines = Iterable[tuple[int, list[str]]]


@dataclass(frozen=True)
class Table:
    """A table that was read: its rows, and which of the known columns it has."""

    path: Path
    columns: frozenset[str]
    rows: tuple[Row, ...]

    def refuse_repeats(self, *key: str) -> None:
        """Refuse a second row of one image (patient, …), whether it agrees with the first or not.

        Raises
        ------
        InvalidManifest
            Names both lines, and where they contradict each other.
        """
        seen: dict[tuple[str, ...], Row] = {}
        for row in self.rows:
            first = seen.setdefault(row.key(*key), row)
            if first is row:
                continue
            apart = row.differs(first)
            named = "/".join(row.key(*key))
            what = f"contradicts line {first.line} in {', '.join(apart)}" if apart else "repeats it"
            raise InvalidManifest(
                f"{named} stands twice, in line {first.line} and line {row.line}, which {what}",
                source=str(self.path),
                keyword=key[-1],
                remedy="Keep one row for each",
            )


@dataclass(frozen=True)
class _Reading:
    """One way to read a file: its first lines, and what is needed to read all of them."""

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
        The columns that are used; others are passed over. Names are found whatever their case
        and punctuation.
    meant
        Other words that people use, in lower case without punctuation → an optional column.
    remedy
        What to do when a needed column is missing.

    Returns
    -------
    Table
        Rows in the order of the file. Rows without any cell, comments (``#``) and repeated
        headers are passed over. Of a workbook the first sheet with the needed columns is read.

    Raises
    ------
    InvalidManifest
        The file cannot be read, a needed column is missing, a known one is there twice or
        misspelt, or a row has more or fewer cells than the header.
    ConfigError
        It is a workbook, and the package that reads it is not installed.

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
        found = _of_sheet(reading.lines or [], line, len(head))
    else:
        found = _of_text(text, reading.delimiter, line, head, path)
    shielded = text is not None and '="' in text.text
    rows = tuple(
        Row(cells, where, number, path)
        for number, cells in _data(found, head, where[needed[0]], shielded, path)
    )
    if text is not None and not text.certain:
        _refuse_guessed(rows, needed)
    return Table(path, frozenset(where), rows)


def has_columns(path: Path, needed: Sequence[str]) -> bool:
    """Whether a file is a table with these columns; a file that cannot be read is not.

    Raises
    ------
    ConfigError
        It is a workbook, and the package that reads it is not installed.
    """
    known = Known(tuple(needed), (), _NO_WORDS)
    try:
        readings, _ = _readings(path)
    except InvalidManifest:
        return False
    return any(known.score(cells)[0] for reading in readings for _, cells in reading.head)


def _readings(path: Path) -> tuple[list[_Reading], Text | None]:
    """The ways in which a file can be read, likeliest first, and its text if it is no workbook."""
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
        pass  # What is wrong there is said when the whole text is read.
    return lines


def _header(
    readings: Sequence[_Reading], known: Known, path: Path
) -> tuple[_Reading, int, list[str]]:
    """The line that names the columns: the first with every needed one, or else with the most."""
    found: list[tuple[tuple[bool, int], _Reading, int, list[str]]] = []
    for reading in readings:
        scored = [
            (known.score(cells), reading, line, cells)
            for line, cells in reading.head
            if any(cell.strip() for cell in cells)
        ]
        whole = [one for one in scored if one[0][0]]
        found += whole[:1] or scored
        if whole and reading.lines is not None:
            break  # Of a workbook the first sheet that has the columns.
    if not found:
        raise InvalidManifest(
            f"the table is empty; columns are missing: {', '.join(known.needed)}",
            source=str(path),
            remedy="Give the table itself",
        )
    return max(found, key=lambda one: one[0])[1:]


def _of_sheet(lines: _Lines, header: int, width: int) -> Iterator[tuple[int, list[str]]]:
    """Cells of a sheet have a place of their own: empty ones may be missing at the end."""
    for number, cells in lines:
        if number > header:
            yield number, [*cells, *[""] * (width - len(cells))][:width]


def _of_text(
    text: Text, delimiter: str, header: int, head: Sequence[str], path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Rows of a text, each with the line that it begins in; one of another width is refused."""
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
    """Whether a cell holds whole rows: a quote that was opened by mistake ends at the next one."""
    breaks = cell.rstrip().count("\n")
    return breaks > 0 and cell.count(delimiter) >= (width - 1) * breaks


def _open_quote(line: int, path: Path) -> InvalidManifest:
    return InvalidManifest(
        f"a cell of the row that begins in line {line} opens a quote that is not closed as it "
        "should be",
        source=str(path),
        remedy='Delete the stray quote, or double quotes that belong to a text: ""',
    )


def _other_width(
    begin: int, end: int, cells: Sequence[str], head: Sequence[str], delimiter: str, path: Path
) -> InvalidManifest:
    apart = _NAMES.get(delimiter, repr(delimiter))
    if len(cells) > len(head):
        remedy = (
            f"Put texts and numbers that hold one of the {apart} in quotes (decimal commas too: "
            '"61,0"), or write decimals with a point'
        )
    elif len(cells) == len(head):
        remedy = "Name the last column, or empty its cells"
    else:
        remedy = "Give every row all cells of the header; leave those empty that are unknown"
    lines = f"line {begin}" if end == begin else f"the row of lines {begin} to {end}"
    return InvalidManifest(
        f"{lines} has {len(cells)} cells, where the header names {sum(map(bool, head))} columns in "
        f"{len(head)} cells with {apart} between them",
        source=str(path),
        remedy=remedy,
    )


def _is_comment(cells: Sequence[str]) -> bool:
    return cells[0].lstrip().startswith("#") and not any(cell.strip() for cell in cells[1:])


def _data(
    lines: _Lines, head: Sequence[str], probe: int, shielded: bool, path: Path
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Stripped cells of rows that hold something; `probe` is the place of a needed column."""
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
                remedy="Keep tables with different columns in files of their own",
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
            f"line {marked[0]} begins with '#': whether its row counts is unknown",
            source=str(path),
            remedy="Delete the line, or the mark",
        )


def _is_header(cells: Iterable[str], words: Set[str]) -> bool:
    """Whether most of the cells that are not empty are names of columns."""
    filled = [cell for cell in cells if cell]
    return 2 * sum(cell in words for cell in filled) > len(filled)


def _refuse_guessed(rows: Iterable[Row], needed: Sequence[str]) -> None:
    """An encoding that was guessed may not decide who is who, nor what a label says."""
    for row in rows:
        for column in needed:
            if not row[column].isascii():
                raise InvalidManifest(
                    f"line {row.line} says {row[column]!r}, but the file is not UTF-8, so that "
                    "these letters are a guess",
                    source=str(row.path),
                    keyword=column,
                    remedy='Save the table as "CSV UTF-8"',
                )
