"""Watched folders: a new file is received when it is complete, and then moved away.

A file is complete if it did not change for some time, and does not change while it is read. If it
ends before its pixel data do, the node waits longer, because its writer may have paused. A file is
moved only after it was received: if the node is killed in between, it receives the file again,
which changes nothing. The folders ``done`` and ``refused`` are in the watched folder itself, so
that a move is one step. For each refused file, a text file of the same name gives the reason.

No file stops the others. A file that cannot be read, received or moved is set aside: readiness and
the audit trail report it once, and it is tried again after a while. A file that was received but
cannot be moved is not received again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from mammolens.errors import ConfigError, InputError, NotAnImage, StorageError, UnsupportedImage
from mammolens.images.dicom.bounded_header import ends_early
from mammolens.serve import logs
from mammolens.serve.holdings import Draft, NodeState
from mammolens.serve.intake.reception import receive
from mammolens.serve.intake.watched_files import (
    DONE,
    REFUSED,
    Found,
    Listing,
    Shape,
    WatchedFiles,
)
from mammolens.serve.record import audit
from mammolens.serve.threads import running

__all__ = ["Watch", "watching"]

ROOM: Final = "watch"
LOCK: Final = ".mammolens.lock"
CHUNK_BYTES: Final = 1 << 20
AWAY_S: Final = 10.0
AGAIN_S: Final = 60.0
"""Seconds until a file that was set aside is tried again. Thousands of such files must cost little,
and a person who has repaired the folder should not wait long."""
NAMED: Final = 20
"""So many files of one error are listed in the audit trail, by inode (find -inum); the others are
counted, so that a folder that became read-only does not flood the trail."""
HEAD_BYTES: Final = 1 << 16
DEFLATED: Final = b"1.2.840.10008.1.2.1.99"


@dataclass
class _Aside:
    """A file that was set aside: the error, when it is tried again, and where it must be moved."""

    shape: Shape
    error: str
    again: float
    to: str | None = None
    reason: str | None = None


@dataclass
class Watch:
    """One watched folder, and the state of its files."""

    state: NodeState
    name: str
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    seen: dict[str, tuple[Shape, float]] = field(default_factory=dict)
    aside: dict[str, _Aside] = field(default_factory=dict)
    _reported: set[tuple[str, int]] = field(default_factory=set)
    _unreported: dict[str, list[int]] = field(default_factory=dict)

    @property
    def files(self) -> WatchedFiles:
        """The files of the folder."""
        return WatchedFiles(self.folder)

    def look(self, now: float) -> int:
        """List the folder, and receive the complete files; give the number of moved files.

        Parameters
        ----------
        now
            Time of this look, in monotonic seconds.

        Raises
        ------
        StorageError
            The node cannot store anything now; the files stay where they are.
        """
        before, self.seen = self.seen, {}
        listing = Listing()
        try:
            for found in self.files.walk(listing):
                if self.stop.is_set():
                    return 0
                known = before.get(found.path)
                since = known[1] if known is not None and known[0] == found.shape else now
                self.seen[found.path] = found.shape, since
        except OSError as error:
            self.seen = before
            raise StorageError(
                f"the folder cannot be listed ({error.strerror})",
                source=f"watch.folders.{self.name}",
                remedy="Check that it is there and readable",
            ) from error
        self.aside = {
            path: aside
            for path, aside in self.aside.items()
            if path in self.seen and self.seen[path][0] == aside.shape
        }
        try:
            return self._take_all(now)
        finally:
            self._report(listing)

    def _take_all(self, now: float) -> int:
        """Receive the complete files; those that failed before come last and delay no other."""
        settle_s = self.state.settings.watch.settle_s
        moved = 0
        settled = [path for path, (_, since) in self.seen.items() if now - since >= settle_s]
        for path in sorted(settled, key=lambda path: path in self.aside):
            if self.stop.is_set():
                break
            shape, since = self.seen[path]
            aside = self.aside.get(path)
            if aside is None or now >= aside.again:
                moved += self._take(Found(path, shape), now, now - since)
        return moved

    def _take(self, found: Found, now: float, age_s: float) -> bool:
        """Receive and move a file; ``False`` if it must wait."""
        aside = self.aside.get(found.path)
        if aside is not None and aside.to is not None:
            return self._move(found, now, aside.to, aside.reason)
        try:
            draft = self._copy(found, age_s < self.state.settings.watch.patience_s)
            if draft is None:
                return False
            with contextlib.ExitStack() as kept:
                kept.callback(draft.discard)
                receipt = receive(self.state, draft, f"folder:{self.name}")
        except InputError as error:
            return self._refuse(found, now, error)
        except StorageError as error:
            self.aside[found.path] = _Aside(found.shape, type(error).__name__, 0.0)
            raise
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._set_aside(found, now, f"cannot be read ({error.strerror})")
            return False
        except Exception as error:  # one file must not stop the others
            kind = type(error).__name__
            logs.event(ROOM, "not_received", logging.ERROR, error=kind)
            self._set_aside(found, now, f"cannot be received ({kind})")
            return False
        logs.event(ROOM, "received", role=receipt.role.value)
        return self._move(found, now, DONE)

    def _copy(self, found: Found, patient: bool) -> Draft | None:
        """Copy a file to a draft; ``None`` if it changed meanwhile, or may still be written."""
        most, size = self.state.settings.intake.max_mb << 20, found.shape[1]
        with self.files.open(found.path, found.shape) as stream:
            if stream is None:
                return None
            if size > most:
                raise UnsupportedImage(f"the file is larger than {most >> 20} MiB")
            if ends_early(stream, size):
                if patient:
                    return None
                raise NotAnImage("the file ends before its last element")
            stream.seek(0)
            draft = self.state.received.draft()
            try:
                while draft.size <= size and (chunk := stream.read(CHUNK_BYTES)):
                    if self.stop.is_set():
                        break
                    draft.write(chunk)
                changed = draft.size != size or not self.files.has_shape(stream, found.shape)
            except BaseException:
                draft.discard()
                raise
        if changed:
            draft.discard()
            return None
        return draft

    def _refuse(self, found: Found, now: float, error: InputError) -> bool:
        logs.event(ROOM, "refused", logging.WARNING, error=type(error).__name__)
        keyword = f" [{error.keyword}]" if error.keyword else ""
        reason = f"{type(error).__name__}: {error.message}{keyword}\n"
        return self._move(found, now, REFUSED, reason)

    def _move(self, found: Found, now: float, to: str, reason: str | None = None) -> bool:
        """Move a file to another folder; if that fails, it is tried again later."""
        try:
            moved = self.files.move(found, to, reason)
        except FileNotFoundError:
            logs.event(ROOM, "gone", logging.WARNING)
            moved = True
        except OSError as error:
            self._set_aside(found, now, f"cannot be moved ({error.strerror})", to, reason)
            return False
        self.aside.pop(found.path, None)
        if moved:
            self.seen.pop(found.path, None)
        return moved

    def _set_aside(
        self,
        found: Found,
        now: float,
        error: str,
        to: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Leave a file for later."""
        self.aside[found.path] = _Aside(found.shape, error, now + AGAIN_S, to, reason)
        if (entry := (error, found.shape[0])) not in self._reported:
            self._reported.add(entry)
            self._unreported.setdefault(error, []).append(found.shape[0])

    def _report(self, listing: Listing) -> None:
        """Report the files that are set aside: in readiness, and once in the audit trail."""
        files = Counter(aside.error for aside in self.aside.values() if aside.again)
        folders = Counter(listing.closed.values())
        words = [f"{number} files: {error}" for error, number in sorted(files.items())]
        words += [f"{number} folders: {error}" for error, number in sorted(folders.items())]
        if self.state.notices.set(f"watch.folders.{self.name}", ", ".join(words) or None):
            logs.event(ROOM, "set_aside", logging.WARNING, count=len(self.aside) + len(folders))
        unreported, self._unreported = self._unreported, {}
        there = {shape[0] for shape, _ in self.seen.values()}
        self._reported = {entry for entry in self._reported if entry[1] in there}
        with contextlib.suppress(StorageError):
            for error, inodes in unreported.items():
                first = " ".join(map(str, inodes[:NAMED]))
                detail: audit.Detail = {"error": error, "files": len(inodes), "inodes": first}
                with self.state.database.write() as connection:
                    actor = f"folder:{self.name}"
                    audit.append(self.state.database, connection, actor, "set_aside", None, detail)


@contextlib.contextmanager
def watching(state: NodeState) -> Iterator[None]:
    """Watch the folders of the settings until the block ends, each in its own thread.

    Raises
    ------
    ConfigError
        A folder does not exist, cannot be written, or is watched by another node.
    """
    stop = threading.Event()
    with contextlib.ExitStack() as held:
        watches = []
        for name, folder in state.settings.watch.folders.items():
            held.enter_context(_locked(name, folder))
            watches.append(Watch(state, name, folder.absolute(), stop))
        for watch in watches:
            held.enter_context(running(ROOM, stop, partial(_run, watch, stop)))
        yield


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
    """Lock a folder for this process; the lock ends with the process."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(folder / LOCK, flags, 0o600)
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
