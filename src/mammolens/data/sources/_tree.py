"""What readers of data sets share: finding files in a tree, reading tables, saying what lacks."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.images.names import IMAGE_SUFFIXES

__all__ = [
    "Row",
    "counted",
    "find_file",
    "finish",
    "images_under",
    "laterality_of",
    "number_of",
    "read_table",
    "view_of",
]

Row = Mapping[str, str]

_SIDES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}


def find_file(root: Path, *names: str) -> Path:
    """Find a file by its name (case and ``-_`` against spaces do not matter), the nearest first.

    Raises
    ------
    InvalidManifest
        There is none.
    """
    wanted = {_plain(name) for name in names}
    found = [p for p in root.rglob("*") if _plain(p.name) in wanted and p.is_file()]
    if not found:
        raise InvalidManifest(
            f"there is no {' or '.join(names)} here",
            source=str(root),
            remedy="Give the folder that the data set was unpacked to, its tables included",
        )
    return min(found, key=lambda path: (len(path.parts), str(path)))


def images_under(root: Path) -> list[Path]:
    """List the pictures under `root` by their suffix, sorted; hidden files are passed over."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and "__MACOSX" not in path.parts
        and path.is_file()
    )


def read_table(table: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file (commas, semicolons or tabs) or the first sheet of an XLSX file.

    Returns
    -------
    One mapping a row, column → cell, both stripped; an empty cell is "". Rows without any cell
    are passed over.

    Raises
    ------
    InvalidManifest
        The file cannot be read, or columns are missing.
    ConfigError
        A sheet is to be read and openpyxl is not installed.
    """
    lines = _sheet(table) if table.suffix.lower() == ".xlsx" else _csv(table)
    head = [cell.lstrip("#") for cell in lines[0]] if lines else []
    missing = [name for name in needed if name not in head]
    if missing:
        raise InvalidManifest(
            f"columns are missing: {', '.join(missing)}",
            source=str(table),
            remedy="Use the file as its source hands it out",
        )
    return [dict(zip(head, cells, strict=False)) for cells in lines[1:] if any(cells)]


def number_of(text: str, table: Path, column: str) -> float | None:
    """Read a number; an empty cell is ``None``.

    Raises
    ------
    InvalidManifest
        The cell holds something else.
    """
    if not text or text.lower() in ("nan", "none", "na", "n/a"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidManifest(
            f"{text!r} is no number", source=str(table), keyword=column
        ) from error


def laterality_of(text: str) -> Laterality | None:
    """Read a side; another word is ``None``."""
    return _SIDES.get(text.strip().upper())


def view_of(text: str) -> ViewPosition | None:
    """Read a view position; another word is ``None``."""
    return ViewPosition.__members__.get(text.strip().upper())


def counted(name: str, what: str, items: Sequence[object]) -> tuple[Caution, ...]:
    """One caution that counts items and names the first three, or none if there are none.

    Examples
    --------
    >>> str(counted("no_image", "listed images are not here", ["a", "b", "c", "d"])[0])
    'no_image: 4 listed images are not here: a, b, c …'
    """
    if not items:
        return ()
    first = ", ".join(str(item) for item in items[:3])
    return (Caution(name, f"{len(items)} {what}: {first}{' …' if len(items) > 3 else ''}"),)


def finish(records: Iterable[Record], cautions: Iterable[Caution], root: Path) -> Manifest:
    """Make the manifest; a tree without any image of the source is refused.

    Raises
    ------
    InvalidManifest
        No image was found.
    """
    kept = tuple(records)
    if not kept:
        raise InvalidManifest(
            "none of the images is here",
            source=str(root),
            remedy="See docs/data.md for the layout that this source is read in",
        )
    return Manifest.of(kept, cautions)


def _plain(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ")


def _csv(table: Path) -> list[list[str]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidManifest(
            f"the table cannot be read: {error}", source=str(table), remedy="Give a UTF-8 CSV file"
        ) from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        return [
            [cell.strip() for cell in line]
            for line in csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
        ]
    except csv.Error as error:
        raise InvalidManifest(f"the table cannot be read: {error}", source=str(table)) from error


def _sheet(table: Path) -> list[list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise ConfigError(
            "reading XLSX sheets needs openpyxl",
            source=str(table),
            remedy="Run: pip install 'mammolens[data]', or save the sheet as CSV beside it",
        ) from error
    try:
        book = load_workbook(table, read_only=True, data_only=True)
        lines = [[_cell(value) for value in row] for row in book.worksheets[0].values]
        book.close()
    except Exception as error:
        # openpyxl lets zip, key, value and XML errors of damaged files pass.
        raise InvalidManifest(
            f"the sheet cannot be read: {type(error).__name__}",
            source=str(table),
            remedy="Copy it again, or save it as CSV",
        ) from error
    return lines


def _cell(value: object) -> str:
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole and isinstance(value, float) else value).strip()
