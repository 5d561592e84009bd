"""Files in a folder that others write to: listed, opened and moved safely.

Every step is made from an open folder to a name within it, and follows no link: neither a link that
is put in the place of a folder, nor a path that is too long, leads elsewhere. Opening never waits:
what is not a regular file by then (a pipe, a device) is passed over. Nothing is overwritten.
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
"""Bytes that a name may grow by: a number, and the ending of its reason."""
_DEEPEST: Final = 64
"""Folders within folders that are looked into. Exports of PACS have four or five; a loop of mounts
or a program that has gone wrong makes thousands."""
_NUMBERED: Final = 100
"""So many files of one name are numbered in ``done``; then names are drawn, not counted up."""

Shape = tuple[int, int, int]
"""Inode, size and time of the last change: what differs when a file has changed."""


@dataclass(frozen=True)
class Found:
    """A regular file: its path below the watched folder, and its shape."""

    path: str
    shape: Shape


@dataclass
class Listing:
    """What one look came upon besides files: folders that were not looked into, and why."""

    closed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WatchedFiles:
    """The files of one watched folder."""

    folder: Path

    def walk(self, listing: Listing) -> Iterator[Found]:
        """List regular files that are not plainly unfinished, folder by folder, by their names.

        Raises
        ------
        OSError
            The watched folder itself cannot be listed; one below it is noted in `listing`.
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
        """Open a file to read; ``None`` if it is another by now, or none.

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
        """Move a file below `to`, where nothing lies yet, and put the reason why beside it.

        Returns
        -------
        bool
            ``False`` if another file has come under its name since it was listed: it stays.

        Raises
        ------
        OSError
            It cannot be moved, or the reason not be written; the file is where it was.
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
                # It was replaced in the instant between: what came later was not received.
                if not _exists(name, parent):
                    os.rename(free, name, src_dir_fd=target, dst_dir_fd=parent)
                return False

    def _entries(self, below: str) -> list[tuple[str, Shape | None]]:
        """Give the names of files with their shapes, and of folders, sorted; none that is hidden.

        Pipes, devices, sockets and links are left out.
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
    """Open a folder, step by step from the watched one, following no link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for name in below:
            if make and not _exists(name, handle):
                # As open to others as the folder that it is in: who sent may look for the reason.
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
    """Give a name under which nothing lies, nor a reason; too long a name is shortened."""
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
