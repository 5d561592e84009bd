"""The files of uploads: in a folder of their own, each locked by whoever writes or reads it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Refusal, Refused

__all__ = ["check_room", "list_files", "open_locked", "remove_file", "upload_path"]


def upload_path(state: NodeState, upload_id: str) -> Path:
    """Where an upload lies: in memory, if identity must not reach the disk."""
    return _folder(state) / upload_id


def open_locked(path: Path, make: bool = False) -> BinaryIO:
    """Open the file of an upload to read and write, so that nobody else does.

    The lock ends with the file handle, and so with the process that held it.

    Raises
    ------
    Refused
        Somebody else writes or reads it.
    StorageError
        It is gone, or cannot be written.
    """
    try:
        if make:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if make else 0)
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise away(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise Refused(Refusal.IN_USE, retry_after_s=2) from error
        raise away(path, error) from error
    return os.fdopen(handle, "r+b", buffering=0)


def check_room(state: NodeState, size: int) -> None:
    """Make sure that there is room for an upload.

    Raises
    ------
    StorageError
        There is not.
    """
    folder = _folder(state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise away(folder, error) from error
    if free - size < state.settings.intake.min_free_mb << 20:
        raise away(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def remove_file(path: Path) -> None:
    """Remove the file of an upload that is done or given up."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def list_files(state: NodeState) -> list[Path]:
    """List the files of all uploads."""
    folder = _folder(state)
    return sorted(folder.iterdir()) if folder.is_dir() else []


def away(path: Path, error: OSError) -> StorageError:
    """Name a fault of the disk."""
    return StorageError(
        f"an upload cannot be kept ({error.strerror})",
        source=str(path.parent),
        remedy="Check that the folder is there, writable, and has room",
    )


def _folder(state: NodeState) -> Path:
    return state.settings.scratch / "uploads"
