"""Open zip archives within limits: the directory is checked before Python parses it.

Python reads the whole directory and makes an object for each entry. An archive of a few megabytes
with millions of empty files would need minutes and gigabytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["MAX_ARCHIVE_BYTES", "MAX_ENTRIES", "ZipTooLarge", "open_zip"]

MAX_ENTRIES: Final = 20_000
MAX_DIRECTORY_BYTES: Final = 16 << 20
"""Largest directory: `MAX_ENTRIES` entries with 800 bytes each for names and extra fields."""
MAX_ARCHIVE_BYTES: Final = 16 << 30
_ENTRY: Final = b"PK\x01\x02"


class ZipTooLarge(ValueError):
    """The archive or its directory is beyond a limit."""


@contextmanager
def open_zip(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading.

    Raises
    ------
    ZipTooLarge
        If it has too many bytes or entries, its directory is too long, or its members overlap.
    zipfile.BadZipFile, OSError, ValueError
        If it is damaged.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as raw:
        size = raw.seek(0, io.SEEK_END)
        if size > MAX_ARCHIVE_BYTES:
            raise ZipTooLarge(f"it has {size >> 30:,} GiB, more than {MAX_ARCHIVE_BYTES >> 30}")
        guarded = _Guarded(raw)
        with zipfile.ZipFile(guarded) as archive:
            guarded.is_parsed = True
            infos = archive.infolist()
            if len(infos) > MAX_ENTRIES:
                raise _too_many(len(infos))
            if sum(info.compress_size for info in infos) > size:
                raise ZipTooLarge("its members overlap, as those of a zip bomb do")
            yield archive


class _Guarded(io.BufferedIOBase):
    """A file that refuses to read a zip directory beyond the limits."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw_file, self.is_parsed = raw, False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read like a file; until the directory is parsed, only within the limits."""
        if self.is_parsed:
            return self.raw_file.read(-1 if size is None else size)
        wanted = MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        if wanted <= MAX_DIRECTORY_BYTES + 1:
            data = self.raw_file.read(wanted)
            if len(data) <= MAX_DIRECTORY_BYTES:
                if (entries := data.count(_ENTRY)) > MAX_ENTRIES:
                    raise _too_many(entries)
                return data
        raise ZipTooLarge(f"its directory is longer than {MAX_DIRECTORY_BYTES >> 20} MiB")

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self.raw_file.seek(offset, whence)

    def tell(self) -> int:
        return self.raw_file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _too_many(entries: int) -> ZipTooLarge:
    return ZipTooLarge(f"it has {entries:,} entries, more than {MAX_ENTRIES:,}")
