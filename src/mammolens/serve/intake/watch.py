"""Watched folders: a file that appears is received when it is whole, then moved out of the way.

A file is whole when two looks that are far enough apart find it unchanged, and when nothing changes
while it is read. One that ends before its own pixel data is waited for longer: its writer may have
paused. It is moved only after it was received: a node that is killed in between receives it again,
which changes nothing. ``done`` and ``refused`` lie in the folder itself, so that a move is one
step; beside a refused file stands why, in a text file of its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mammolens.errors import ConfigError, InputError, NotAnImage, StorageError, UnsupportedImage
from mammolens.images.dicom_bounded import ends_early
from mammolens.serve import logs
from mammolens.serve.holdings import Draft, NodeState
from mammolens.serve.intake.reception import receive

__all__ = ["Watch", "watching"]

ROOM: Final = "watch"
DONE: Final = "done"
REFUSED: Final = "refused"
REASON: Final = ".reason.txt"
LOCK: Final = ".mammolens.lock"
UNFINISHED: Final = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")
CHUNK_BYTES: Final = 1 << 20
AWAY_S: Final = 10.0

Shape = tuple[int, int, int]
"""Inode, size and time of the last change: what differs when a file has changed."""


@dataclass
class Watch:
    """One folder, and what the last looks at it found."""

    state: NodeState
    name: str
    folder: Path
    seen: dict[Path, tuple[Shape, float]] = field(default_factory=dict)

    def look(self, now: float) -> int:
        """Look once, and receive what is whole; gives the number of files that were moved.

        Parameters
        ----------
        now
            Time of this look, in monotonic seconds.

        Raises
        ------
        StorageError
            The node cannot keep anything just now; the files stay where they are.
        """
        shapes = dict(self._files())
        settle_s = self.state.settings.watch.settle_s
        moved = 0
        before, self.seen = self.seen, {}
        for path, shape in shapes.items():
            known = before.get(path)
            since = known[1] if known is not None and known[0] == shape else now
            self.seen[path] = shape, since
        for path, (shape, since) in list(self.seen.items()):
            if now - since >= settle_s:
                moved += self._take(path, shape, now - since)
        return moved

    def _take(self, path: Path, shape: Shape, age_s: float) -> bool:
        """Receive a file that has not changed for a while; ``False`` if it must wait."""
        try:
            draft = self._copy(path, shape, age_s < self.state.settings.watch.patience_s)
            if draft is None:
                return False
            with contextlib.ExitStack() as kept:
                kept.callback(draft.discard)
                intake = self.state.settings.intake
                database, store = self.state.database, self.state.received
                receipt = receive(database, store, draft, f"folder:{self.name}", intake)
        except InputError as error:
            return self._refuse(path, error)
        except OSError as error:
            logs.event(ROOM, "unreadable", logging.WARNING, error=type(error).__name__)
            return False
        self._move(path, DONE)
        logs.event(ROOM, "received", role=receipt.role.value)
        return True

    def _copy(self, path: Path, shape: Shape, patient: bool) -> Draft | None:
        """Copy a file; ``None`` if it has changed meanwhile, or may yet be written to its end."""
        most = self.state.settings.intake.max_mb << 20
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as stream:
            if _shape(os.fstat(stream.fileno())) != shape:
                return None
            if shape[1] > most:
                raise UnsupportedImage(f"the file is larger than {most >> 20} MiB")
            if ends_early(stream, shape[1]):
                if patient:
                    return None
                raise NotAnImage("the file ends before its last element")
            stream.seek(0)
            draft = self.state.received.draft()
            try:
                while chunk := stream.read(CHUNK_BYTES):
                    draft.write(chunk)
                changed = draft.size != shape[1] or _shape(os.fstat(stream.fileno())) != shape
            except BaseException:
                draft.discard()
                raise
        if changed:
            draft.discard()
            return None
        return draft

    def _refuse(self, path: Path, error: InputError) -> bool:
        logs.event(ROOM, "refused", logging.WARNING, error=type(error).__name__)
        keyword = f" [{error.keyword}]" if error.keyword else ""
        self._move(path, REFUSED, f"{type(error).__name__}: {error.message}{keyword}\n")
        return True

    def _move(self, path: Path, to: str, reason: str | None = None) -> None:
        """Move a file where nothing lies yet, and before it the reason why."""
        target = self.folder / to / path.relative_to(self.folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            free = _free_name(target)
            if reason is not None:
                free.with_name(free.name + REASON).write_text(reason, "utf-8")
            path.rename(free)
        except FileNotFoundError:
            logs.event(ROOM, "gone", logging.WARNING)
        except OSError as error:
            raise StorageError(
                f"a received file cannot be moved ({error.strerror})",
                source=f"watch.folders.{self.name}",
                remedy="Let the node write in the folder, and make room",
            ) from error
        self.seen.pop(path, None)

    def _files(self) -> Iterator[tuple[Path, Shape]]:
        """List regular files that are not plainly unfinished; links are not followed."""

        def failed(error: OSError) -> None:
            raise StorageError(
                f"the folder cannot be listed ({error.strerror})",
                source=f"watch.folders.{self.name}",
                remedy="Check that it is there and readable",
            )

        for folder, below, names in os.walk(self.folder, onerror=failed):
            here = Path(folder)
            if here == self.folder:
                below[:] = [name for name in below if name not in (DONE, REFUSED)]
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(names):
                if name.startswith(".") or name.lower().endswith(UNFINISHED):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = (here / name).lstat()
                    if stat.S_ISREG(found.st_mode):
                        yield here / name, _shape(found)


@contextlib.contextmanager
def watching(state: NodeState) -> Iterator[None]:
    """Watch the folders of the settings until the block ends, each in a thread of its own.

    Raises
    ------
    ConfigError
        A folder is not there, cannot be written, or is watched by another node.
    """
    stop = threading.Event()
    with contextlib.ExitStack() as held:
        watches = []
        for name, folder in state.settings.watch.folders.items():
            held.enter_context(_locked(name, folder))
            watches.append(Watch(state, name, folder.absolute()))
        threads = [threading.Thread(target=_run, args=(w, stop), name=ROOM) for w in watches]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _run(watch: Watch, stop: threading.Event) -> None:
    poll_s = watch.state.settings.watch.poll_s
    while not stop.is_set():
        wait_s = poll_s
        try:
            watch.look(time.monotonic())
        except Exception as error:
            logs.event(ROOM, "not_watched", logging.ERROR, error=type(error).__name__)
            wait_s = max(poll_s, AWAY_S)
        stop.wait(wait_s)


@contextlib.contextmanager
def _locked(name: str, folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the lock goes with the process, however it ends."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the folder cannot be watched ({error.strerror})",
            source=str(folder),
            keyword=f"watch.folders.{name}",
            remedy="Make it, and let the node write in it",
        ) from error
    try:
        _lock(handle, name, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, name: str, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            "another node watches the folder",
            source=str(folder),
            keyword=f"watch.folders.{name}",
            remedy="Give each node a folder of its own",
        ) from error


def _shape(found: os.stat_result) -> Shape:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _free_name(target: Path) -> Path:
    free, number = target, 1
    while free.exists() or free.with_name(free.name + REASON).exists():
        free = target.with_name(f"{target.name}.{number}")
        number += 1
    return free
