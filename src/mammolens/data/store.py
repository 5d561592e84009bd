"""The files behind a cache: pictures, how far each is, and which image file it was made from.

::

    pictures.u8   uint8 (n, H, W)
    done.u8       uint8 (n): 0 to do, 1 there, 2 refused
    files.i8      int64 (n, 2): bytes and time of change (ns) of the image file; -1 where it is away
    phantom.u8    uint8 (H, W): a drawn breast as it was prepared when the pictures were
    refused.json  image path → reason, for people

Pictures reach the disk before their stamps, and stamps before the state that makes them count, so
that a process may die at any moment. Everything is written through files, never through a mapping:
a full disk is then an error with a name, and not a bus error that ends the process.
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
    "REFUSED",
    "THERE",
    "TO_DO",
    "Outcome",
    "PictureStore",
    "file_stamp",
    "locked",
    "open_store",
]

TO_DO, THERE, REFUSED = 0, 1, 2
AWAY = (-1, -1)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_RESERVABLE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Outcome(NamedTuple):
    """What became of a row: a picture uint8 (H, W), or the reason why there is none; `stamp` is
    that of the image file before it was read."""

    row: int
    stamp: tuple[int, int]
    picture: npt.NDArray[np.uint8] | str


@dataclass(frozen=True)
class PictureStore:
    """One cache folder, open for building. `state` (n) and `stamps` (n, 2) are what the files
    say; `phantom` (H, W) is ``None`` in a folder that has none yet."""

    folder: Path
    shape: tuple[int, int, int]
    state: npt.NDArray[np.uint8]
    stamps: npt.NDArray[np.int64]
    phantom: npt.NDArray[np.uint8] | None

    def forget(self, rows: npt.NDArray[np.intp]) -> None:
        """Put rows back to be done; their pictures no longer count."""
        if not len(rows):
            return
        self.state[rows] = TO_DO
        with self._named():
            _write(self.folder / "done.u8", [(int(row), b"\0") for row in rows])

    def remember(self, phantom: npt.NDArray[np.uint8]) -> None:
        """Keep the drawn breast as it is prepared now."""
        with self._named():
            write_whole(self.folder / "phantom.u8", phantom.tobytes())

    def reserve(self) -> None:
        """Take the room of all pictures on the disk before the work begins.

        Raises
        ------
        StorageError
            If there is no room; what was there before is left as it was.
        """
        path, needed = self.folder / "pictures.u8", self._bytes
        had = path.stat().st_size if path.exists() else None
        with self._named():
            try:
                with path.open("ab"):
                    pass
                with path.open("r+b") as stream:
                    _allocate(stream.fileno(), needed)
                    stream.truncate(needed)
            except OSError:
                with suppress(OSError):
                    path.unlink() if had is None else os.truncate(path, had)
                raise

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Write rows: pictures, then stamps, then the state that makes them count.

        Raises
        ------
        StorageError
            If the disk is full or refuses; rows kept before stay.
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
        with self._named():
            _write(self.folder / "pictures.u8", pictures)
            _write(self.folder / "files.i8", stamps)
            _write(self.folder / "done.u8", states)
        for outcome in outcomes:
            self.stamps[outcome.row] = outcome.stamp
            self.state[outcome.row] = _state(outcome)

    def list_refused(self, refused: dict[str, str]) -> None:
        """Write ``refused.json`` (image path → reason) for people to read."""
        with self._named():
            write_whole(self.folder / "refused.json", json.dumps(refused, indent=1).encode())

    def pictures(self) -> npt.NDArray[np.uint8]:
        """All pictures (n, H, W), mapped for reading; rows that are not there are zero."""
        with self._named():
            return np.memmap(self.folder / "pictures.u8", np.uint8, mode="r", shape=self.shape)

    @property
    def _bytes(self) -> int:
        n, height, width = self.shape
        return n * height * width

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _storage_error(self.folder, self._bytes, error) from error


def open_store(
    folder: Path, shape: tuple[int, int, int], present: npt.NDArray[np.int64]
) -> PictureStore:
    """Open a cache folder, or begin one; damaged or truncated files count as nothing done.

    A folder of an older release has no stamps: its pictures are taken to be of the files as they
    are now.

    Parameters
    ----------
    shape
        (n, H, W).
    present
        Int64 (n, 2), stamps of the image files now.
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
            stamps = np.where((state == THERE)[:, None], present, AWAY).reshape(-1)
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
    """Size in bytes and time of change in ns of a file; (-1, -1) if it is away."""
    try:
        found = path.stat()
    except OSError:
        return AWAY
    return found.st_size, found.st_mtime_ns


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and hold it alone; another process waits here until it is free.

    The system lets go of the lock when its holder dies.
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
    return REFUSED if isinstance(outcome.picture, str) else THERE


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
            f"no room for the prepared pictures ({error.strerror}): {max(0, needed - taken):,} "
            f"more bytes are needed, {free:,} are free",
            source=str(folder),
            keyword="data.cache",
            remedy="Free the room, or name a folder on another disk; what was prepared is kept",
        )
    return StorageError(
        f"the cache cannot be written: {error.strerror or error}",
        source=str(folder),
        keyword="data.cache",
        remedy="Name a folder that may be written",
    )
