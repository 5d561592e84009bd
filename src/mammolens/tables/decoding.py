"""Bytes of a text file → text: byte order marks, UTF-8, UTF-16, and the code page of old Windows.

Unicode is recognised by its mark, by its zero bytes, or because it decodes without a fault. What
is left is decoded as Windows-1252, which keeps different bytes different but may show the wrong
letters: `Text.certain` is then false, and no identifier with such a letter is accepted.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammolens.errors import InvalidManifest

__all__ = ["Text", "decode", "read_bytes", "read_lines"]

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The mark of UTF-32 LE begins with that of UTF-16 LE, so it is looked for first."""

_PROBED: Final = 4096
_INVISIBLE: Final = "\ufeff\u200b\u200e\u200f\u2060\u00ad"
"""Marks without width that copying from web pages and joining files leaves between letters."""
_SAVE_AS: Final = "Save it again as CSV in UTF-8, from the program that wrote it"


@dataclass(frozen=True)
class Text:
    """What a file says; `certain` is false if its encoding had to be guessed."""

    text: str
    certain: bool


MAX_TABLE_BYTES: Final = 1 << 30
"""Some millions of rows; a sparse file of terabytes is refused by its size."""


def read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises
    ------
    InvalidManifest
        It is missing, a folder, too large, or may not be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TABLE_BYTES:
            raise InvalidManifest(
                f"the table has {size >> 20:,} MiB, more than {MAX_TABLE_BYTES >> 20:,}",
                source=str(path),
                remedy="Give a table of images; split it if it is one",
            )
        return path.read_bytes()
    except OSError as error:
        raise InvalidManifest(
            f"the table cannot be read: {error.strerror or error}",
            source=str(path),
            remedy="Give a CSV, TSV or Excel file that is there and may be read",
        ) from error


def decode(data: bytes, path: Path) -> Text:
    """Turn the bytes of a text file into text with plain line ends.

    Raises
    ------
    InvalidManifest
        They are damaged (NUL bytes, a cut UTF-16 file) or no text at all.

    Examples
    --------
    >>> decode("a;é".encode("utf-16"), Path("t.csv"))
    Text(text='a;é', certain=True)
    >>> decode("a;é".encode("latin-1"), Path("t.csv"))
    Text(text='a;é', certain=False)
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    encoding = encoding or _unmarked_utf16(data) or "utf-8"
    certain = True
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise InvalidManifest(
                f"the table cannot be read: it begins as {encoding.upper()} and is damaged at byte "
                f"{error.start}",
                source=str(path),
                remedy="Copy the file again",
            ) from error
        text, certain = _code_page(data), False
    text = text.rstrip("\x1a").translate(_TRANSLATION) if _has_marks(text) else text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidManifest(
            f"line {line} holds NUL bytes: the file is damaged, or is no table of text",
            source=str(path),
            remedy=_SAVE_AS,
        )
    return Text(text, certain)


def read_lines(path: Path) -> list[str]:
    """Read a text file that is no table, line by line, without line ends.

    Raises
    ------
    InvalidManifest
        It cannot be read, or is no text.
    """
    return decode(read_bytes(path), path).text.split("\n")


_TRANSLATION: Final = dict.fromkeys(map(ord, _INVISIBLE))


def _has_marks(text: str) -> bool:
    return text.endswith("\x1a") or any(mark in text for mark in _INVISIBLE)


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: in most text every second byte is zero."""
    even, odd = data[:_PROBED:2], data[1:_PROBED:2]
    if len(even) < 4:
        return None
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) > 0.6 * len(zeros) and others.count(0) == 0:
            return name
    return None


def _code_page(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
