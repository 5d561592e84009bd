"""Faults of the node's own disk, to be separated from faults of objects, sinks and destinations.

A full disk is not a fault of the exam: its analysis waits, no attempt is counted, and it continues
when there is space. The errors of many libraries hide the cause, so `own_fault` searches the chain
of exceptions.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from mammolens.errors import StorageError

__all__ = ["OF_ONE_FILE", "PATIENCE", "DatabaseAway", "own_fault", "try_folder"]

OF_ONE_FILE: Final = frozenset({errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE})
"""Errors of a whole disk, or of one damaged file on a working disk."""
PATIENCE: Final = timedelta(hours=1)
"""How long work waits for one unreadable file on a working disk; a disk is rarely away for so long.
After that, attempts are counted, so that an exam with an object on a bad sector gets its failed
result."""
_OF_THE_DISK: Final = frozenset(
    {
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENOKEY,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.EROFS,
    }
)
"""Errors that are not about the current file: no space, no handle, no disk, no key."""
_LONGEST_CHAIN: Final = 32
_TRIED_BYTES: Final = 4096
"""One block, because an empty file can be made on a full disk."""


class DatabaseAway(OSError):
    """The database cannot be used; this counts as a fault of our own."""


def own_fault(error: BaseException) -> OSError | None:
    """Find the fault of our own disk or database that caused an exception, if there is one.

    Examples
    --------
    >>> try:
    ...     raise ValueError("a sink broke") from OSError(errno.ENOSPC, "No space left")
    ... except ValueError as raised:
    ...     own_fault(raised).strerror
    'No space left'
    >>> own_fault(ValueError("a sink broke")) is None
    True
    """
    for raised in _chain(error):
        if isinstance(raised, OSError) and raised.errno in _OF_THE_DISK | OF_ONE_FILE:
            return raised
        if isinstance(raised, sa.exc.DBAPIError | sa.exc.TimeoutError) and isinstance(
            error, StorageError
        ):
            return DatabaseAway(None, "the database cannot be used")
    return None


def try_folder(folder: Path) -> OSError | None:
    """Make a folder, write a block there, read it and remove it; give the error, if there is one.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> try_folder(Path(mkdtemp())) is None
    True
    """
    tried = folder / f".tried-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(tried, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if os.write(handle, bytes(_TRIED_BYTES)) < _TRIED_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.lseek(handle, 0, os.SEEK_SET)
            os.read(handle, _TRIED_BYTES)
        finally:
            os.close(handle)
            tried.unlink(missing_ok=True)
    except OSError as error:
        return error
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and its causes; the chain may be a loop."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
