"""Find the end of an HTTP/1.1 request in linear time, and check it, before h11 parses it.

The parser h11 uses regular expressions whose time grows with the square of a run of blanks, and it
accepts a single piece of any length. Therefore h11 gets a head only when it is complete, within the
limits and without long runs of blanks, and it gets a body only up to its end. Unusual requests are
refused here, so that both parsers understand the others in the same way.

Source: RFC 9112 (HTTP/1.1), sections 2.2, 3, 5, 6.3 and 7.1; RFC 9110 sections 10.1.1 and 15.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MOST_HEAD_BYTES", "BadFraming", "ChunkScanner", "check_head", "check_partial_head"]

MOST_HEAD_BYTES: Final = 16 << 10
"""Request line and headers together. Tokens with the groups of a directory reach 8 to 12 KiB."""
MOST_TARGET_BYTES: Final = 4 << 10
"""The address. A QIDO-RS query with twenty attributes has about 1 KiB."""
MOST_HEADERS: Final = 100
"""Browsers send about 20, and each proxy adds a few."""
MOST_BLANKS: Final = 64
"""Blanks in a row. Clients do not send such runs; the time of h11 grows with their square."""
MOST_CHUNK_LINE_BYTES: Final = 256
"""Size and extension of a chunk. Common clients send no extension."""
FREE_CHUNKS: Final = 1024
MEAN_CHUNK_BYTES: Final = 128
"""A body may have `FREE_CHUNKS` chunks, and one more for every `MEAN_CHUNK_BYTES` bytes. Each chunk
takes the event loop about 20 µs, even for a single byte. Common clients send 8 KiB and more."""
METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
ONCE: Final = frozenset(
    b"host content-length transfer-encoding content-type content-encoding authorization origin "
    b"sec-fetch-site expect cookie x-csrf-token".split()
)
"""Headers that may occur only once, because programs differ in how they read two of them."""
_FORBIDDEN: Final = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])|[ \t]{%d}" % MOST_BLANKS
)
_START: Final = re.compile(rb"([A-Za-z]{1,20}) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class BadFraming(Exception):
    """A request that is refused before it is parsed.

    Parameters
    ----------
    status
        HTTP status of the answer.
    reason
        The fault; the text repeats nothing of the request.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def check_partial_head(head: bytes | bytearray, searched: int = 0) -> None:
    """Refuse a head that is not complete yet, but is already too large or not allowed.

    Raises
    ------
    BadFraming
    """
    if _FORBIDDEN.search(head, max(0, searched - MOST_BLANKS)):
        raise BadFraming(400, "the headers hold characters that are not allowed")
    if head.find(b"\r\n", 0, MOST_TARGET_BYTES) < 0 and len(head) > MOST_TARGET_BYTES:
        raise BadFraming(414, "the address is too long")
    if len(head) > MOST_HEAD_BYTES:
        raise BadFraming(431, "the headers are too large")


def check_head(head: bytes) -> None:
    """Refuse a head that is not plain HTTP/1. It reaches from the first line to the blank line.

    Raises
    ------
    BadFraming
    """
    check_partial_head(head)
    first, *lines = head[:-4].split(b"\r\n")
    start = _START.fullmatch(first)
    if start is None:
        raise BadFraming(400, "the request line is not HTTP")
    method, target, version = start.groups()
    if version not in (b"1.0", b"1.1"):
        raise BadFraming(505, "only HTTP/1.0 and HTTP/1.1 are supported")
    if method not in METHODS:
        raise BadFraming(405, "this method is not known")
    if not target.startswith(b"/"):
        raise BadFraming(400, "the address must begin with a slash")
    if len(target) > MOST_TARGET_BYTES:
        raise BadFraming(414, "the address is too long")
    if len(lines) > MOST_HEADERS:
        raise BadFraming(431, "there are too many headers")
    _check_headers(lines, version)


def _check_headers(lines: list[bytes], version: bytes) -> None:
    seen: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[:1] in b" \t":
            raise BadFraming(400, "a header is not a name and a value")
        name = name.lower()
        if name in seen and name in ONCE:
            raise BadFraming(400, "a header that may occur only once occurs twice")
        seen[name] = value.strip()
    encoding = seen.get(b"transfer-encoding")
    if encoding is not None and (b"content-length" in seen or version == b"1.0"):
        raise BadFraming(400, "Transfer-Encoding is not allowed with Content-Length or HTTP/1.0")
    if encoding is not None and encoding.lower() != b"chunked":
        raise BadFraming(501, "the only transfer encoding is chunked")
    length = seen.get(b"content-length")
    if length is not None and not re.fullmatch(rb"[0-9]{1,15}", length):
        raise BadFraming(400, "Content-Length is not a number of bytes")
    if seen.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise BadFraming(417, "the value of Expect is not known")


@dataclass
class ChunkScanner:
    """Finds the end of a chunked body, and refuses chunks that are too small."""

    done: bool = False
    _line: bytearray = field(default_factory=bytearray)
    _left: int = 0
    _is_last: bool = False
    _chunks: int = 0
    _bytes: int = 0

    def scan(self, data: bytes | bytearray) -> int:
        """Give the number of these bytes that belong to the body.

        Raises
        ------
        BadFraming
            They are not chunks, there are too many small chunks, or there are trailers.
        """
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at, at + MOST_CHUNK_LINE_BYTES) + 1
            self._line += data[at : end or at + MOST_CHUNK_LINE_BYTES]
            if len(self._line) > MOST_CHUNK_LINE_BYTES or (
                not end and len(data) - at >= MOST_CHUNK_LINE_BYTES
            ):
                raise BadFraming(400, "the line before a chunk is too long")
            at = end or len(data)
            if end:
                self._end_line()
        return at

    def _end_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._is_last:
            if line != b"\r\n":
                raise BadFraming(400, "trailers are not accepted")
            self.done = True
            return
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise BadFraming(400, "the line before a chunk is not a size")
        size = int(found[1], 16)
        self._chunks += 1
        self._bytes += size
        if self._chunks > FREE_CHUNKS + self._bytes // MEAN_CHUNK_BYTES:
            raise BadFraming(400, "the chunks are too small")
        self._is_last = not size
        # The line end that follows the content of a chunk is checked by h11.
        self._left = size + 2 if size else 0
