"""Parse a multipart body piece by piece, with only one piece in memory.

Source: RFC 2046 section 5.1.1 (boundaries), RFC 2387 (multipart/related), PS3.18 8.6.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mammolens.errors import NotAnImage

__all__ = ["Multipart", "Sink"]

LONGEST_HEADERS: Final = 8192
LONGEST_LINE: Final = 1024
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


Sink = tuple[Callable[[bytes], object], Callable[[], object]]
"""What takes the pieces of one part, and what is called at its end."""


@dataclass
class Multipart:
    """Parses a body piece by piece; `begin` gives the sink for each part.

    Parameters
    ----------
    boundary
        The boundary in the header, without dashes.
    begin
        Called with the headers of each part; names are in lower case.
    """

    boundary: str
    begin: Callable[[dict[str, str]], Sink]
    _rest: bytearray = field(default_factory=lambda: bytearray(b"\r\n"))  # A mark begins with it.
    _state: str = "preamble"
    _sink: Sink | None = None
    _skip: int = 0  # Bytes of a line end before the content of a part.

    def __post_init__(self) -> None:
        if not _BOUNDARY.fullmatch(self.boundary):
            raise NotAnImage("the multipart boundary is not valid", keyword="boundary")
        self._mark = b"\r\n--" + self.boundary.encode("ascii")

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises
        ------
        NotAnImage
            The body is not multipart with this boundary.
        """
        if self._state == "epilogue":
            return
        self._rest += piece
        while self._step():
            pass

    def close(self) -> None:
        """End the body.

        Raises
        ------
        NotAnImage
            The last boundary is missing, so the last part is not complete.
        """
        if self._state != "epilogue":
            raise NotAnImage("the multipart body ends before its last boundary")

    def _step(self) -> bool:
        match self._state:
            case "preamble" | "content":
                return self._find_mark()
            case "delimiter":
                return self._read_delimiter()
            case "headers":
                return self._read_headers()
        return False

    def _find_mark(self) -> bool:
        """Give the sink the content before the next boundary, or before its possible beginning."""
        at = self._rest.find(self._mark)
        end = at if at >= 0 else max(0, len(self._rest) - len(self._mark) + 1)
        skip = min(self._skip, end)
        self._skip -= skip
        if self._sink is not None and end > skip:
            self._sink[0](bytes(memoryview(self._rest)[skip:end]))
        if at < 0:
            del self._rest[:end]
            return False
        del self._rest[: at + len(self._mark)]
        if self._sink is not None:
            (_, end_part), self._sink = self._sink, None
            end_part()
        self._state = "delimiter"
        return True

    def _read_delimiter(self) -> bool:
        """Read the rest of the line of a boundary: two dashes after the last one, else blanks."""
        if self._rest.startswith(b"--"):
            self._state = "epilogue"
            self._rest.clear()
            return False
        at = self._rest.find(b"\r\n")
        line = bytes(self._rest if at < 0 else self._rest[:at]).strip(b" \t")
        begun = (b"", b"\r", b"-") if at < 0 else (b"",)  # What an incomplete line may hold.
        if line not in begun or (at if at >= 0 else len(self._rest)) > LONGEST_LINE:
            raise NotAnImage("a multipart boundary does not end its line", keyword="boundary")
        if at < 0:
            return False
        del self._rest[:at]
        self._state = "headers"
        return True

    def _read_headers(self) -> bool:
        """Read the headers of a part, which may be empty."""
        at = self._rest.find(b"\r\n\r\n")
        if (at if at >= 0 else len(self._rest)) > LONGEST_HEADERS:
            raise NotAnImage("the headers of a part are too long", keyword="Content-Type")
        if at < 0:
            return False
        headers = {}
        for line in bytes(self._rest[:at]).decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise NotAnImage("a header of a part is not valid", keyword="Content-Type")
            headers[name.strip().lower()] = value.strip()
        # A part may have no content; then the second line end belongs to the next boundary.
        del self._rest[: at + 2]
        self._skip = 2
        self._sink = self.begin(headers)
        self._state = "content"
        return True
