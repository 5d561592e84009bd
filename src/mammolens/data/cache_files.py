"""The files of one cache folder: the pictures, the state of each, and the stamp of its image file.

::

    pictures.u8   uint8 (n, H, W)
    done.u8       uint8 (n): 0 to do, 1 prepared, 2 refused
    files.i8      int64 (n, 2): size in bytes and modification time (ns) of the image file; -1 if it
                  does not exist
    phantom.u8    uint8 (H, W): a drawn breast, prepared at the same time as the pictures
    refused.json  image path → reason, for people

Pictures are written before their stamps, and stamps before their states. So a process may be killed
at any moment: a picture counts only after its state is written. Nothing is written through a memory
map, because a full disk would then end the process with a bus error instead of a Python error.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import StorageError
from mammolens.files import write_whole

__all__ = [
    "PREPARED",
    "REFUSED",
    "TO_DO",
    "Outcome",
    "PictureStore",
    "file_stamp",
    "locked",
    "open_store",
]

TO_DO, PREPARED, REFUSED = 0, 1, 2
_NO_FILE = (-1, -1)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_RESERVABLE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""Errors of file systems that cannot reserve space."""


class Outcome(NamedTuple):
    """The result for one row: a picture, uint8 (H, W), or the reason of a refusal. `stamp` is that
    of the image file before it was read."""

    row: int
    stamp: tuple[int, int]
    picture: npt.NDArray[np.uint8] | str


@dataclass(frozen=True)
class PictureStore:
    """One cache folder, open for building.

    `state` (n) and `stamps` (n, 2) are the contents of the files. `phantom` (H, W) is ``None`` in
    a folder that has no phantom yet.
    """

    folder: Path
    shape: tuple[int, int, int]
    state: npt.NDArray[np.uint8]
    stamps: npt.NDArray[np.int64]
    phantom: npt.NDArray[np.uint8] | None

    def forget(self, rows: npt.NDArray[np.intp]) -> None:
        """Set the state of rows to TO_DO; their pictures no longer count."""
        if not len(rows):
            return
        self.state[rows] = TO_DO
        with self._storage_errors():
            _write(self.folder / "done.u8", [(int(row), b"\0") for row in rows])

    def write_phantom(self, phantom: npt.NDArray[np.uint8]) -> None:
        """Store the phantom (H, W) as it is prepared now."""
        with self._storage_errors():
            write_whole(self.folder / "phantom.u8", phantom.tobytes())

    def reserve(self) -> None:
        """Reserve the disk space of all pictures before the work begins.

        Raises
        ------
        StorageError
            If the disk has too little space; the file is left as it was before.
        """
        path, needed = self.folder / "pictures.u8", self._bytes
        size_before = path.stat().st_size if path.exists() else None
        with self._storage_errors():
            try:
                with path.open("ab"):
                    pass
                with path.open("r+b") as stream:
                    _allocate(stream.fileno(), needed)
                    stream.truncate(needed)
            except OSError:
                with suppress(OSError):
                    path.unlink() if size_before is None else os.truncate(path, size_before)
                raise

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Write rows: first the pictures, then the stamps, then the states.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written; earlier rows are kept.
        """
        if not outcomes:
            return
        size = self.shape[1] * self.shape[2]
        pictures = [
            (row * size, picture.tobytes())
            for row, _, picture in outcomes
            if not isinstance(picture, str)
        ]
        stamps = [(o.row * 16, np.array(o.stamp, "<i8").tobytes()) for o in outcomes]
        states = [(o.row, bytes([_state(o)])) for o in outcomes]
        with self._storage_errors():
            _write(self.folder / "pictures.u8", pictures)
            _write(self.folder / "files.i8", stamps)
            _write(self.folder / "done.u8", states)
        for outcome in outcomes:
            self.stamps[outcome.row] = outcome.stamp
            self.state[outcome.row] = _state(outcome)

    def list_refused(self, refused: dict[str, str]) -> None:
        """Write ``refused.json`` (image path → reason) for people to read."""
        with self._storage_errors():
            write_whole(self.folder / "refused.json", json.dumps(refused, indent=1).encode())

    def pictures(self) -> npt.NDArray[np.uint8]:
        """Map all pictures (n, H, W) for reading; rows that are not prepared are zero."""
        with self._storage_errors():
            return np.memmap(self.folder / "pictures.u8", np.uint8, mode="r", shape=self.shape)

    @property
    def _bytes(self) -> int:
        n, height, width = self.shape
        return n * height * width

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _storage_error(self.folder, self._bytes, error) from error


def open_store(
    folder: Path, shape: tuple[int, int, int], present: npt.NDArray[np.int64]
) -> PictureStore:
    """Open a cache folder, or start a new one. If a file is damaged or cut off, all rows are to do.

    A folder of an older release has no stamps. Its pictures then get the stamps of the present
    image files.

    Parameters
    ----------
    shape
        (n, H, W) of the pictures.
    present
        Present stamps of the image files, int64 (n, 2).
    """
    n, height, width = shape
    path = folder / "pictures.u8"
    try:
        whole = path.is_file() and path.stat().st_size == n * height * width
        state = _read(folder / "done.u8", "u1", n)
        stamps = _read(folder / "files.i8", "<i8", 2 * n)
        phantom = _read(folder / "phantom.u8", "u1", height * width)
        if state is None or not whole:
            state = np.zeros(n, np.uint8)
            write_whole(folder / "done.u8", state.tobytes())
        if stamps is None:
            stamps = np.where((state == PREPARED)[:, None], present, _NO_FILE).reshape(-1)
            write_whole(folder / "files.i8", stamps.astype("<i8").tobytes())
    except OSError as error:
        raise _storage_error(folder, n * height * width, error) from error
    return PictureStore(
        folder,
        shape,
        state,
        stamps.astype(np.int64).reshape(n, 2),
        None if phantom is None else phantom.reshape(height, width),
    )


def file_stamp(path: Path) -> tuple[int, int]:
    """Give the size in bytes and modification time in ns of a file; (-1, -1) if there is none."""
    try:
        status = path.stat()
    except OSError:
        return _NO_FILE
    return status.st_size, status.st_mtime_ns


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and lock it; another process waits here until the lock is free.

    The operating system releases the lock if the process that holds it ends.
    """
    from filelock import FileLock

    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _storage_error(folder, 0, error) from error
    try:
        yield
    finally:
        lock.release()


def _state(outcome: Outcome) -> int:
    return REFUSED if isinstance(outcome.picture, str) else PREPARED


def _read(path: Path, dtype: str, count: int) -> npt.NDArray[Any] | None:
    if not path.is_file():
        return None
    values: npt.NDArray[Any] = np.fromfile(path, dtype)
    return values if len(values) == count else None


def _write(path: Path, parts: Sequence[tuple[int, bytes]]) -> None:
    with path.open("r+b") as stream:
        for offset, data in parts:
            stream.seek(offset)
            stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _allocate(descriptor: int, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NOT_RESERVABLE:
            raise


def _storage_error(folder: Path, needed: int, error: OSError) -> StorageError:
    if error.errno in _FULL:
        path = folder / "pictures.u8"
        taken = getattr(path.stat(), "st_blocks", 0) * 512 if path.exists() else 0
        free = shutil.disk_usage(folder).free
        return StorageError(
            f"the disk has too little space for the prepared pictures ({error.strerror}): "
            f"{max(0, needed - taken):,} more bytes are needed, {free:,} are free",
            source=str(folder),
            keyword="data.cache",
            remedy="Free some space, or give a folder on another disk; prepared pictures are kept",
        )
    return StorageError(
        f"the cache cannot be written: {error.strerror or error}",
        source=str(folder),
        keyword="data.cache",
        remedy="Give a folder that you may write to",
    )
