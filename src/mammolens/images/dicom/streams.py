"""Streams that are read forward only: a plain file, or a deflated data set.

A deflated data set is inflated piece by piece. Only the current piece is in memory, and the
inflated size is limited, so that a few kilobytes cannot fill gigabytes of memory.
"""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO, Final

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.dicom.attributes import MAX_RATIO, RATIO_COUNTS_FROM_BYTES

__all__ = ["Forward", "Inflated", "Plain"]

_PIECE_BYTES: Final = 1 << 16
"""Bytes read or inflated at once."""


class Plain:
    """A plain file or bytes; skipped values are not read.

    `read` gives fewer bytes at the end; skipping beyond it is allowed. `mark` remembers a position,
    and `since_mark` gives the bytes from there to the current one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self._mark = stream, 0
        self.read, self.tell = stream.read, stream.tell

    def skip(self, count: int) -> None:
        self.stream.seek(count, io.SEEK_CUR)

    def mark(self) -> None:
        self._mark = self.tell()

    def since_mark(self) -> bytes:
        here = self.tell()
        self.stream.seek(self._mark)
        return self.read(here - self._mark)


class Inflated:
    """A deflated data set (PS3.5 A.5), inflated as far as it is read.

    Parameters
    ----------
    stream
        Positioned at the first deflated byte.
    most
        Largest inflated size in bytes.
    longest
        Largest number of bytes that are kept after a mark.
    source
        Name of the file for errors.
    """

    def __init__(self, stream: BinaryIO, most: int, longest: int, source: str) -> None:
        self._stream, self._most, self._longest, self._source = stream, most, longest, source
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        # The current piece, the position in it, and the inflated bytes before it.
        self._piece, self._at, self._before = b"", 0, 0
        self._read_bytes = 0  # of `stream`, still deflated
        self._ended = False
        self._kept: bytearray | None = None

    def read(self, count: int) -> bytes:
        """Read the next bytes; fewer than `count` at the end.

        Raises
        ------
        NotAnImage
            If the stream is damaged.
        UnsupportedImage
            If the inflated size is larger than allowed.
        """
        found = self._piece[self._at : self._at + count]
        self._at += len(found)
        if len(found) < count:
            parts = [found]
            missing = count - len(found)
            while missing and self._next():
                part = self._piece[:missing]
                self._at = len(part)
                missing -= len(part)
                parts.append(part)
            found = b"".join(parts)
        self._keep(found)
        return found

    def skip(self, count: int) -> None:
        """Skip bytes; they are inflated piece by piece."""
        while count > 0:
            passed = self._piece[self._at : self._at + count]
            self._keep(passed)
            self._at += len(passed)
            count -= len(passed)
            if count and not self._next():
                return

    def tell(self) -> int:
        return self._before + self._at

    def mark(self) -> None:
        self._kept = bytearray()

    def since_mark(self) -> bytes:
        kept, self._kept = bytes(self._kept or b""), None
        return kept

    def finish(self) -> None:
        """Inflate the rest without keeping it.

        Raises
        ------
        NotAnImage
            If the stream is truncated or damaged.
        UnsupportedImage
            If the inflated size is larger than allowed.
        """
        while self._next():
            pass
        if not self._ended:
            raise self._damaged("truncated")

    def _next(self) -> bool:
        """Inflate the next piece; ``False`` at the end."""
        self._before += len(self._piece)
        self._piece, self._at = b"", 0
        while not self._piece and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail
            if not packed:
                packed = self._stream.read(_PIECE_BYTES)
                self._read_bytes += len(packed)
            try:
                self._piece = self._inflater.decompress(packed, _PIECE_BYTES)
            except zlib.error as error:
                raise self._damaged("damaged") from error
            if not packed and not self._piece:
                return False
        self._ended = self._inflater.eof
        self._check_size(self._before + len(self._piece))
        return bool(self._piece)

    def _check_size(self, inflated: int) -> None:
        what = None
        if inflated > self._most:
            what = f"is larger than {self._most >> 20} MiB"
        elif inflated > max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * self._read_bytes):
            what = f"becomes more than {MAX_RATIO} times larger when it is inflated"
        if what is not None:
            raise UnsupportedImage(
                f"the deflated data set {what}",
                source=self._source,
                keyword="TransferSyntaxUID",
                remedy="Send single 2D images, not deflated",
            )

    def _keep(self, passed: bytes) -> None:
        if self._kept is not None and len(self._kept) <= self._longest:
            self._kept += passed[: self._longest + 1 - len(self._kept)]

    def _damaged(self, how: str) -> NotAnImage:
        return NotAnImage(
            f"the deflated data set is {how}",
            source=self._source,
            keyword="TransferSyntaxUID",
            remedy="Send or export the object again",
        )


Forward = Plain | Inflated
"""Stream from which `walk` and `scan` read."""
