"""Files that bear their name only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PartialFile"]


class PartialFile:
    """A text file written as ``.NAME.partial`` beside its place, and renamed when finished.

    What an earlier run left under the final name goes at once: beside the new files of an
    interrupted run it would pass for a result of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        path.unlink(missing_ok=True)
        self._stream = self._partial.open("w", encoding="utf-8", newline="")

    def write(self, text: str) -> None:
        """Append text."""
        self._stream.write(text)

    def finish(self) -> Path:
        """Put everything on the disk and give the file its name."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._partial.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Remove the unfinished file; one that is finished stays."""
        self._stream.close()
        self._partial.unlink(missing_ok=True)
