"""The files of a whole upload: one file, or those of a zip archive, which nobody has to trust.

Nothing of an archive is written under a name that it gives, and what its directory says of sizes is
not believed: bytes are counted as they come out.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final

from mammolens.serve.settings import UploadSettings

__all__ = ["BrokenArchive", "Member", "Pieces", "members_of"]

ENTRY_HEAD: Final = b"PK\x01\x02"
ZIP_HEADS: Final = (b"PK\x03\x04", b"PK\x05\x06")
PIECE_BYTES: Final = 1 << 20
MOST_DIRECTORY_BYTES: Final = 32 << 20
"""Longest directory of an archive: it is read into memory before anything else is known."""
MOST_TIMES: Final = 200
FREE_BYTES: Final = 256 << 20
"""An archive whose files are more than so many times as long as itself is a bomb, once more than
this has come out. Raw mammograms shrink to a third; wholly black ones to a thousandth, but one of
them is shorter than this."""
KNOWN_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
PASSED_OVER: Final = re.compile(
    r"(^|/)(__MACOSX/.*|\.[^/]*|Thumbs\.db|desktop\.ini|DICOMDIR)$", re.I
)
"""Files that other programs add to folders and disks; none of them holds a picture."""
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_LONGEST_NAME: Final = 255


class BrokenArchive(Exception):
    """An archive cannot be read (on); `reason` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Member:
    """One file: its name as shown, and either a word for why it is refused, or its content."""

    number: int
    name: str
    refusal: str | None = None
    content: Pieces | None = None


@dataclass
class Pieces:
    """The content of a file as it comes out; counted against what the whole upload may hold."""

    stream: IO[bytes]
    most: int
    budget: Budget

    def __iter__(self) -> Iterator[bytes]:
        """Give the content piece by piece.

        Raises
        ------
        BrokenArchive
            The archive is damaged or a bomb.
        """
        total = 0
        while True:
            try:
                piece = self.stream.read(PIECE_BYTES)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
                raise BrokenArchive("damaged") from error
            if not piece:
                return
            self.budget.spend(len(piece))
            total += len(piece)
            if total > self.most:
                raise BrokenArchive("too_large")
            yield piece


@dataclass
class Budget:
    """How much may still come out of an upload."""

    length: int
    most: int
    spent: int = 0

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises
        ------
        BrokenArchive
            There are too many.
        """
        self.spent += count
        is_bomb = self.spent > FREE_BYTES and self.spent > self.length * MOST_TIMES
        if is_bomb or self.spent > self.most:
            raise BrokenArchive("bomb")


def members_of(
    path: Path, name: str, settings: UploadSettings, most_bytes: int
) -> Iterator[Member]:
    """List the files of an upload, one after the other.

    Parameters
    ----------
    name
        What its sender calls it.
    most_bytes
        Longest single file.

    Raises
    ------
    BrokenArchive
        It is an archive that cannot be read.
    """
    length = path.stat().st_size
    budget = Budget(length, settings.max_unpacked_mb << 20)
    with path.open("rb") as file:
        if not length:
            raise BrokenArchive("empty")
        if file.read(4) not in ZIP_HEADS:
            file.seek(0)
            yield Member(
                1, shown_name(name), None, Pieces(file, most_bytes, Budget(length, length))
            )
            return
        _check_directory(file, length, settings)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, struct.error) as error:
            raise BrokenArchive("damaged") from error
        with archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > settings.max_files:
                raise BrokenArchive("too_many_files")
            for number, entry in enumerate(entries, start=1):
                yield from _member(archive, entry, number, budget, most_bytes)


def _member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, budget: Budget, most: int
) -> Iterator[Member]:
    name = shown_name(entry.filename)
    refusal = _refusal(entry, most)
    if refusal is not None:
        yield Member(number, name, refusal)
        return
    try:
        stream = archive.open(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, UnicodeError):
        yield Member(number, name, "damaged")
        return
    with stream:
        yield Member(number, name, None, Pieces(stream, most, budget))


def _refusal(entry: zipfile.ZipInfo, most: int) -> str | None:
    if PASSED_OVER.search(entry.filename):
        return "passed_over"
    if _leaves_its_folder(entry.filename):
        return "bad_path"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "not_a_file"
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.compress_type not in KNOWN_COMPRESSIONS:
        return "unknown_compression"
    return "too_large" if entry.file_size > most else None


def _leaves_its_folder(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]


def shown_name(name: str) -> str:
    """Give a name that can be shown: one line, and not too long.

    Examples
    --------
    >>> shown_name("a/b\\n.dcm")
    'a/b?.dcm'
    """
    plain = "".join(sign if sign.isprintable() else "?" for sign in name)
    return plain if len(plain) <= _LONGEST_NAME else f"...{plain[3 - _LONGEST_NAME :]}"


def _check_directory(file: BinaryIO, length: int, settings: UploadSettings) -> None:
    """Look at how long the directory of an archive is before it is read into memory.

    Source: APPNOTE.TXT of PKWARE, 4.3.14 to 4.3.16.
    """
    tail_bytes = min(length, _END.size + (1 << 16))
    file.seek(length - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BrokenArchive("damaged")
    *_, count, size, _offset, _comment = _END.unpack_from(tail, at)
    locator = length - tail_bytes + at - _LOCATOR_64.size
    if at >= _LOCATOR_64.size and tail[at - _LOCATOR_64.size :].startswith(b"PK\x06\x07"):
        _, _, place, _ = _LOCATOR_64.unpack_from(tail, at - _LOCATOR_64.size)
        # Programs differ in where they look for the record: where it is said to be, or before this.
        found = [_end_64(file, min(place, length)), _end_64(file, locator - _END_64.size)]
        count, size = (max(pair) for pair in zip((count, size), *found, strict=True))
    file.seek(0)
    if size > MOST_DIRECTORY_BYTES or count > settings.max_files * 2:
        raise BrokenArchive("too_many_files")
    start = length - tail_bytes + at - size
    for before in (0, _END_64.size + _LOCATOR_64.size):  # without and with 64-bit records
        file.seek(max(0, start - before))
        # `zipfile` reads by size, whatever the count says, and an entry in memory is far larger.
        if file.read(size).count(ENTRY_HEAD) > settings.max_files * 2:
            raise BrokenArchive("too_many_files")
    file.seek(0)


def _end_64(file: BinaryIO, place: int) -> tuple[int, int]:
    """Read how many entries a directory has, and how long it is; (0, 0): there is no such record.

    Raises
    ------
    BrokenArchive
        The record is cut off.
    """
    file.seek(max(0, place))
    record = file.read(_END_64.size)
    if len(record) < _END_64.size:
        raise BrokenArchive("damaged")
    head, *_, count, size, _offset = _END_64.unpack(record)
    return (count, size) if head == b"PK\x06\x06" else (0, 0)
