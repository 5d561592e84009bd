"""Decode a text file: Unicode with or without a byte order mark, or the code page of old Windows.

Unicode is recognised by its byte order mark, by its zero bytes, or because it decodes without an
error. All other bytes are decoded as Windows-1252. Different bytes stay different, but letters may
be wrong: then `Text.certain` is false, and an identifier with such a letter is refused.
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
"""UTF-32 LE comes before UTF-16 LE, because its mark begins with the mark of UTF-16 LE."""

_PROBED: Final = 4096
"""Bytes that are searched for the zero bytes of UTF-16."""
_INVISIBLE: Final = "\ufeff\u200b\u200e\u200f\u2060\u00ad"
"""Invisible characters that remain after copying from web pages or joining files."""
_SAVE_AS: Final = "Save it again as CSV in UTF-8, from the program that wrote it"


@dataclass(frozen=True)
class Text:
    """The text of a file; `certain` is false if its encoding was guessed."""

    text: str
    certain: bool


MAX_TABLE_BYTES: Final = 1 << 30
"""Largest table: some millions of rows. The size is checked before reading."""


def read_bytes(path: Path) -> bytes:
    """Read the bytes of a file.

    Raises
    ------
    InvalidManifest
        If it is missing, a folder, too large, or not readable.
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
            remedy="Give a CSV, TSV or Excel file that exists and is readable",
        ) from error


def decode(data: bytes, path: Path) -> Text:
    r"""Decode the bytes of a text file; line ends become ``\n``.

    Raises
    ------
    InvalidManifest
        If they are not text, or damaged (NUL bytes, truncated UTF-16).

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
            f"line {line} has NUL bytes: the file is damaged, or is not a text table",
            source=str(path),
            remedy=_SAVE_AS,
        )
    return Text(text, certain)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, without line ends.

    Raises
    ------
    InvalidManifest
        If it cannot be read, or is not text.
    """
    return decode(read_bytes(path), path).text.split("\n")


_TRANSLATION: Final = dict.fromkeys(map(ord, _INVISIBLE))


def _has_marks(text: str) -> bool:
    return text.endswith("\x1a") or any(mark in text for mark in _INVISIBLE)


def _unmarked_utf16(data: bytes) -> str | None:
    """Detect UTF-16 without a byte order mark: in most text, every second byte is zero."""
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
