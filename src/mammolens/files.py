"""Output files: a file gets its name only when it is complete.

A file is written under a hidden name in the same folder, flushed to the disk (fsync) and then
renamed. So after a full disk, an interrupt or a power cut, the earlier file is still there, or no
file; never half of one. The functions raise the `OSError` of the system; `storage` turns it into
the error that the user sees.
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
"""The remedy if an output cannot be written."""


@contextmanager
def storage(
    target: Path, what: str = "it", *, keyword: str | None = None, remedy: str = ROOM
) -> Iterator[None]:
    """Turn an `OSError` of the block into the error for an output that cannot be written.

    Parameters
    ----------
    target
        File or folder that is written inside the block.
    what
        Its name in the message, such as "the report".
    keyword, remedy
        The option that gives the target, and what the user can do.

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
    """Write a file and give its path; text is written as UTF-8, and a missing folder is made.

    Raises
    ------
    OSError
        If it cannot be written; the earlier file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)
    return path


@contextmanager
def whole_file(path: Path, writer: str = "") -> Iterator[BinaryIO]:
    """Open a binary file that gets its name when the block ends; it is deleted if the block raises.

    Its folder must exist, so that the mount point of an unmounted disk is not written to. If
    several processes may write the same file, each gives its own name as `writer`.

    Raises
    ------
    OSError
        If it cannot be written; the earlier file stays.
    """
    partial = partial_path(path, writer)
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


def partial_path(path: Path, writer: str = "") -> Path:
    """Give the hidden path of a file while it is not complete.

    Examples
    --------
    >>> partial_path(Path("out/results.json")).name
    '.results.json.partial'
    """
    return path.with_name(f".{path.name}{writer and f'.{writer}'}.partial")
