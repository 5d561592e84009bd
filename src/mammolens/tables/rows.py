"""A row of a table, and its methods that read cells: labels, numbers, ages, identifiers, words.

Each method returns a value, or ``None`` for an empty cell (unknown), or raises `InvalidManifest`
with file, line and column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import InvalidManifest

__all__ = ["UNKNOWN_WORDS", "Row"]

T = TypeVar("T")

UNKNOWN_WORDS: Final = frozenset(
    ("", "-", "--", "–", "—", "?", ".", "na", "n/a", "n.a.", "#n/a", "nan", "<na>", "none")
) | frozenset(("null", "nil", "unknown", "missing"))
"""Words that people and programs (pandas, R, SAS, Excel, SQL) write for an unknown value."""

_FLAGS: Final = {
    **dict.fromkeys(("1", "true", "yes", "y", "t"), True),
    **dict.fromkeys(("0", "false", "no", "n", "f"), False),
}
_FLAG_NUMBER: Final = re.compile(r"([01])[.,]0+")
_SIDES: Final = {
    **dict.fromkeys(("l", "left", "lt"), Laterality.LEFT),
    **dict.fromkeys(("r", "right", "rt"), Laterality.RIGHT),
}
_VIEWS: Final = {view.value.casefold(): view for view in ViewPosition}
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_AGE_STRING: Final = re.compile(r"0*(\d{1,3})\s*([DWMY])", re.IGNORECASE | re.ASCII)
"""Value representation AS (PS3.5 6.2), also if its leading zeros were dropped."""
_PER_YEAR: Final = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_OLDEST: Final = 130.0
"""Oldest possible age: a larger number is a year of birth, a date, or a code for unknown."""
_WHOLE_FLOAT: Final = re.compile(r"(\d+)\.0*", re.ASCII)
_SCIENTIFIC: Final = re.compile(r"\d+([.,]\d+)?E[+-]\d+|\d+[.,]\d+E\d+", re.IGNORECASE | re.ASCII)
_DAMAGE: Final = ("\ufffd", "\n", '"')
"""Characters that a wrong encoding, an open quote or a stray quote leave in a cell."""
_GROUPED: Final = re.compile(r"\d{1,3}([,'\u2019\u00a0\u202f]\d{3})+", re.ASCII)


_SHOWN: Final = 60


class Row:
    """One row: the stripped cells of the known columns; a missing column reads as empty.

    Attributes
    ----------
    line
        First line of the row in its file, counted from 1.
    path
        The file.
    """

    __slots__ = ("_cells", "_where", "line", "path")

    def __init__(
        self, cells: Sequence[str], where: Mapping[str, int], line: int, path: Path
    ) -> None:
        self._cells, self._where, self.line, self.path = cells, where, line, path

    def __getitem__(self, column: str) -> str:
        """The text of a cell; "" if it is empty or its column is missing."""
        index = self._where.get(column)
        return "" if index is None else self._cells[index]

    def key(self, *columns: str) -> tuple[str, ...]:
        """Values of the columns that identify this row; ``7.0`` and ``7`` are the same."""
        texts = (self[column] for column in columns)
        return tuple(m[1] if (m := _WHOLE_FLOAT.fullmatch(text)) else text for text in texts)

    def differs(self, other: Row) -> list[str]:
        """Names of the columns in which two rows of one table differ."""
        return [name for name in self._where if self[name] != other[name]]

    def wrong(self, column: str, expected: str) -> InvalidManifest:
        """Make the error that a cell is not `expected`; the caller raises it."""
        text = self[column]
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
        return InvalidManifest(
            f"line {self.line} says {shown!r}",
            source=str(self.path),
            keyword=column,
            remedy=f"It must be {expected}",
        )

    def text(self, column: str) -> str | None:
        """Read free text; a word for unknown gives ``None``."""
        text = self[column]
        return None if text.casefold() in UNKNOWN_WORDS else text

    def flag(self, column: str) -> bool | None:
        """Read yes or no; empty or a word for unknown gives ``None``.

        Raises
        ------
        InvalidManifest
            For every other word; it is never read as no.
        """
        word = self[column].casefold()
        if word in UNKNOWN_WORDS:
            return None
        if match := _FLAG_NUMBER.fullmatch(word):
            word = match[1]
        if word not in _FLAGS:
            raise self.wrong(column, "1, 0, true, false, yes, no, or empty for unknown")
        return _FLAGS[word]

    def number(self, column: str) -> float | None:
        """Read a finite number with a decimal point or comma; empty gives ``None``.

        Raises
        ------
        InvalidManifest
            If it is not a number, or its comma may separate thousands.
        """
        text = self[column]
        if _NUMBER.fullmatch(text):
            value = float(text)
            if abs(value) != float("inf"):
                return value
        if text.casefold() in UNKNOWN_WORDS:
            return None
        if _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
            return float(text.replace(",", "."))
        raise self.wrong(column, "a number, with a point before decimals and none for thousands")

    def age(self, column: str) -> float | None:
        """Read an age in years: a number, or ``061Y`` as in DICOM; empty gives ``None``.

        Raises
        ------
        InvalidManifest
            If it is not an age, or an impossible one.
        """
        if match := _AGE_STRING.fullmatch(self[column]):
            value: float | None = int(match[1]) / _PER_YEAR[match[2].upper()]
        else:
            value = self.number(column)
        if value is not None and not 0 <= value <= _OLDEST:
            raise self.wrong(column, f"an age in years, 0 to {_OLDEST:.0f}, or empty")
        return value

    def identifier(self, column: str) -> str:
        """Read the identifier of a patient, an image or an exam; ``10006.0`` gives ``10006``.

        Raises
        ------
        InvalidManifest
            If it is empty or unknown, or was changed by a program: scientific notation, separated
            thousands, lost letters, a line break.
        """
        text = self[column]
        if text.casefold() in UNKNOWN_WORDS:
            raise self.wrong(column, "an identifier: without it, rows would be mixed up")
        if match := _WHOLE_FLOAT.fullmatch(text):
            return match[1]
        if _SCIENTIFIC.fullmatch(text):
            raise self.wrong(
                column,
                "written in full: a program read it as a number and digits were lost. Format the "
                "column as text in the original file",
            )
        if _GROUPED.fullmatch(text):
            raise self.wrong(column, "written without separators between its digits")
        if text.startswith("=") or any(mark in text for mark in _DAMAGE):
            raise self.wrong(
                column, "free of formulas, quotes, line breaks and letters lost in a conversion"
            )
        return text

    def identifier_or_none(self, column: str) -> str | None:
        """Read an identifier like `identifier`, but an empty or unknown cell gives ``None``."""
        return None if self.text(column) is None else self.identifier(column)

    def word(self, column: str, words: Mapping[str, T]) -> T | None:
        """Read one of a list of words, in upper or lower case; empty gives ``None``.

        Parameters
        ----------
        words
            Word in lower case → value.

        Raises
        ------
        InvalidManifest
            If it is another word.
        """
        word = " ".join(self[column].casefold().split())
        if word in words:
            return words[word]
        if word in UNKNOWN_WORDS:
            return None
        raise self.wrong(column, f"one of {', '.join(filter(None, words))}, or empty")

    def laterality(self, column: str) -> Laterality | None:
        """Read a side: L, R, left or right; empty gives ``None``, other words are refused."""
        return self.word(column, _SIDES)

    def view(self, column: str) -> ViewPosition | None:
        """Read a view position of DICOM; empty gives ``None``, other words are refused."""
        return self.word(column, _VIEWS)
