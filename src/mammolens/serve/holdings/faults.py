"""Faults of the node's own disk, as distinct from those of an object, a sink or a destination.

A full disk is not a fault of the exam: its analysis waits, no attempt is counted, and it goes on
when there is room. The errors of many libraries hide the cause, so `own_fault` searches the chain
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
"""Errors that a whole disk may give, and also one damaged file on a sound disk."""
PATIENCE: Final = timedelta(hours=1)
"""How long work waits for one file that cannot be read while the disk is sound otherwise. Longer
than a disk takes to come back; after it, attempts are counted, so that an exam with an object on a
bad sector gets its failed result."""
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
"""Errors that say nothing about the file at hand: no room, no handle, no disk, no key."""
_LONGEST_CHAIN: Final = 32
_TRIED_BYTES: Final = 4096
"""One block: an empty file can still be made on a disk that is full."""


class DatabaseAway(OSError):
    """The database cannot be used, as a fault of our own."""


def own_fault(error: BaseException) -> OSError | None:
    """Find the fault of our own disk or database that an exception came from, if there is one.

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
    """Give an exception and what it came from; a chain may be a loop."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
