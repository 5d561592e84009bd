"""Output files: each gets its name only when it is whole, and one error says that it cannot.

A file is written under a hidden name beside its place, put on the disk (fsync) and then renamed. So
a full disk, an interrupt or a power cut leaves the file that was there before, or none; never half
of one. The functions raise `OSError` as the system does; `storage` turns it into the error that a
reader sees.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from mammolens.errors import StorageError

__all__ = ["ROOM", "partial_path", "storage", "whole_file", "whole_text", "write_whole"]

ROOM: Final = "Make room, or give a folder that you may write to"
"""What to do about an output that cannot be written."""


@contextmanager
def storage(
    target: Path, what: str = "it", *, keyword: str | None = None, remedy: str = ROOM
) -> Iterator[None]:
    """Turn the system's refusal to write into one error.

    Parameters
    ----------
    target
        File or folder that is written inside the block.
    what
        Its name for the reader, such as "the report".
    keyword, remedy
        The option that names it, and what to do.

    Raises
    ------
    StorageError
        If anything inside the block raises an `OSError`.

    Examples
    --------
    >>> with storage(Path("/nowhere/x"), "the table"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    mammolens.errors.StorageError: /nowhere/x: the table cannot be written: No space left on \
device. Make room, or give a folder that you may write to.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written: {error.strerror or error}",
            source=str(target),
            keyword=keyword,
            remedy=remedy,
        ) from error


def write_whole(path: Path, data: bytes | str) -> Path:
    """Write a file at once, text as UTF-8, and give its path; its folder is made if need be.

    Raises
    ------
    OSError
        If it cannot be written; the file before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that gets its name when the block ends, and none if the block raises.

    Its folder must exist: one that was unmounted is not made again by mistake.

    Raises
    ------
    OSError
        If it cannot be written; the file before stays.
    """
    partial = partial_path(path)
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def whole_text(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """Open a UTF-8 text file like `whole_file`; line ends are written as they are given."""
    with whole_file(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", errors=errors, newline="")
        yield text
        text.flush()
        text.detach()


def partial_path(path: Path) -> Path:
    """Where a file stands until it is whole: hidden, beside its place.

    Examples
    --------
    >>> partial_path(Path("out/results.json")).name
    '.results.json.partial'
    """
    return path.with_name(f".{path.name}.partial")
