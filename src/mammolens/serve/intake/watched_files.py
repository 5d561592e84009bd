"""List, open and move files safely in a folder that others write to.

Each step goes from an open folder to a name in it, and follows no link. So neither a folder that is
replaced by a link, nor a path that is too long, leads to another place. Opening never waits: if the
name is no longer a regular file (but a pipe or a device), it is skipped. Nothing is overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

__all__ = ["DONE", "LONGEST_NAME", "REASON", "REFUSED", "Found", "Listing", "Shape", "WatchedFiles"]

DONE: Final = "done"
REFUSED: Final = "refused"
REASON: Final = ".reason.txt"
UNFINISHED: Final = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")
LONGEST_NAME: Final = 255
"""Bytes of a name on Linux file systems (NAME_MAX)."""
_ROOM: Final = len(REASON) + 4
"""Bytes that may be added to a name: a number, and the suffix of its reason."""
_DEEPEST: Final = 64
"""Levels of folders that are listed. Exports of a PACS have four or five; a loop of mounts or a
faulty program can make thousands."""
_NUMBERED: Final = 100
"""So many files of one name are numbered in ``done``; further ones get random names."""

Shape = tuple[int, int, int]
"""Inode, size and time of the last change, which show whether a file has changed."""


@dataclass(frozen=True)
class Found:
    """A regular file: its path below the watched folder, and its shape."""

    path: str
    shape: Shape


@dataclass
class Listing:
    """The folders that could not be listed, each with the reason."""

    closed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WatchedFiles:
    """The files of one watched folder."""

    folder: Path

    def walk(self, listing: Listing) -> Iterator[Found]:
        """List the regular files by folder and name, without unfinished ones (by their suffix).

        Raises
        ------
        OSError
            The watched folder cannot be listed; for a folder below it, see `listing`.
        """
        stack: list[tuple[str, int]] = [("", 0)]
        while stack:
            below, depth = stack.pop()
            try:
                entries = self._entries(below)
            except OSError as error:
                if not below:
                    raise
                if error.errno != errno.ENOENT:
                    listing.closed[below] = os.strerror(error.errno or 0)
                continue
            folders = []
            for name, shape in entries:
                path = f"{below}/{name}" if below else name
                if shape is not None:
                    if not name.lower().endswith(UNFINISHED):
                        yield Found(path, shape)
                elif below or name not in (DONE, REFUSED):
                    if depth < _DEEPEST:
                        folders.append((path, depth + 1))
                    else:
                        listing.closed[path] = f"deeper than {_DEEPEST} folders"
            stack += reversed(folders)

    @contextlib.contextmanager
    def open(self, path: str, shape: Shape) -> Iterator[BinaryIO | None]:
        """Open a file for reading; ``None`` if it has changed, or is not a regular file.

        Raises
        ------
        OSError
            It cannot be opened.
        """
        with self._parent(path) as (parent, name):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(name, flags, dir_fd=parent)
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(stream.fileno())
            yield stream if stat.S_ISREG(found.st_mode) and _shape(found) == shape else None

    def has_shape(self, stream: BinaryIO, shape: Shape) -> bool:
        """Whether an open file is unchanged."""
        return _shape(os.fstat(stream.fileno())) == shape

    def move(self, found: Found, to: str, reason: str | None = None) -> bool:
        """Move a file into the folder `to` under a free name, and write the reason beside it.

        Returns
        -------
        bool
            ``False`` if the file was replaced by another since it was listed; the other one stays.

        Raises
        ------
        OSError
            The file cannot be moved, or the reason not be written; the file stays.
        """
        with self._parent(found.path) as (parent, name):
            if _shape(os.stat(name, dir_fd=parent, follow_symlinks=False)) != found.shape:
                return False
            where = [to, *PurePosixPath(found.path).parts[:-1]]
            with _opened(self.folder, where, make=True) as target:
                free = _free_name(target, name)
                if reason is not None:
                    _write_new(f"{free}{REASON}", reason, target)
                try:
                    os.rename(name, free, src_dir_fd=parent, dst_dir_fd=target)
                except OSError:
                    if reason is not None:
                        os.unlink(f"{free}{REASON}", dir_fd=target)
                    raise
                moved = _shape(os.stat(free, dir_fd=target, follow_symlinks=False))
                if moved == found.shape:
                    return True
                # It was replaced just before the move: the new file was not received yet.
                if not _exists(name, parent):
                    os.rename(free, name, src_dir_fd=target, dst_dir_fd=parent)
                return False

    def _entries(self, below: str) -> list[tuple[str, Shape | None]]:
        """List the files with their shapes, and the folders, sorted by name.

        Hidden names, pipes, devices, sockets and links are left out.
        """
        entries: list[tuple[str, Shape | None]] = []
        with (
            _opened(self.folder, PurePosixPath(below).parts) as handle,
            os.scandir(handle) as scanned,
        ):
            for entry in scanned:
                if entry.name.startswith("."):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        entries.append((entry.name, _shape(found)))
                    elif stat.S_ISDIR(found.st_mode):
                        entries.append((entry.name, None))
        entries.sort(key=lambda entry: entry[0])
        return entries

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *above, name = PurePosixPath(path).parts
        with _opened(self.folder, above) as handle:
            yield handle, name


@contextlib.contextmanager
def _opened(root: Path, below: tuple[str, ...] | list[str], *, make: bool = False) -> Iterator[int]:
    """Open a folder below the watched one, step by step, without following links."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for name in below:
            if make and not _exists(name, handle):
                # With the permissions of its parent, so that the sender can read the reason.
                mode = stat.S_IMODE(os.fstat(handle).st_mode) & 0o777
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, mode, dir_fd=handle)
            deeper = os.open(name, flags | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = deeper
        yield handle
    finally:
        os.close(handle)


def _write_new(name: str, text: str, folder: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(name, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def _free_name(folder: int, name: str) -> str:
    """Give a free name, also for the file with the reason; a long name is shortened."""
    if len(os.fsencode(name)) > LONGEST_NAME - _ROOM:
        known = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        begins = os.fsdecode(os.fsencode(name)[: LONGEST_NAME - _ROOM - 60])
        name = f"{begins}-{known}"
    for number in range(_NUMBERED):
        free = f"{name}.{number}" if number else name
        if not _exists(free, folder) and not _exists(f"{free}{REASON}", folder):
            return free
    return f"{os.fsdecode(os.fsencode(name)[: LONGEST_NAME - _ROOM - 34])}.{uuid.uuid4().hex}"


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _shape(found: os.stat_result) -> Shape:
    return found.st_ino, found.st_size, found.st_mtime_ns
