"""The plan of an archive: which files belong together, in an SQLite file on the disk.

A walk finds the files, workers read the headers of those that are new, and each study gets a bucket
by its hash. A shard is the files of one bucket, so it never cuts a study, and a file that is added
to the archive later changes only its own shard.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from mammolens.core import Unreadable
from mammolens.errors import MissingInput
from mammolens.exams import Placement, place_file
from mammolens.files import storage
from mammolens.images import ImageFile, walk_files

__all__ = ["Mark", "Plan", "Shard", "mark_files", "open_plan"]

SHARD_STUDIES: Final = 50
"""Studies in a shard: half a minute of work, which is what a worker that is killed can lose."""
FILES_A_TASK: Final = 256
"""Headers that a worker reads in one task: half a second of work."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS file (
    real TEXT NOT NULL, member TEXT NOT NULL, path TEXT NOT NULL, size INTEGER, mtime_ns INTEGER,
    study BLOB, folder TEXT, suspect INTEGER, error TEXT, message TEXT, seen INTEGER,
    bucket INTEGER, PRIMARY KEY (real, member)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_bucket ON file (bucket, study);
CREATE INDEX IF NOT EXISTS suspects ON file (folder) WHERE suspect;
"""


@dataclass(frozen=True)
class Mark:
    """A file with its `mammolens.exams.Placement`: study (hashed), folder, if it is suspect."""

    real: str
    file: ImageFile
    size: int
    mtime_ns: int
    study: bytes = b""
    folder: str = ""
    suspect: bool = False


@dataclass(frozen=True)
class Shard:
    """Files that are analysed together. `name` is a hash of their names, sizes and times of change.

    `refused` are paths that could not even be opened. `elsewhere` is as for `plan_exams`.
    """

    name: str
    files: tuple[ImageFile, ...]
    refused: tuple[Unreadable, ...]
    elsewhere: dict[str, int]


def mark_files(marks: Sequence[Mark], key: bytes) -> list[Mark]:
    """Read headers (in a worker): give the studies as keyed hashes, and the suspects."""
    found = []
    for mark in marks:
        place = place_file(mark.file)
        study = hashlib.blake2b(repr(place.study).encode(), digest_size=16, key=key).digest()
        found.append(replace(mark, study=study, folder=place.folder, suspect=place.suspect))
    return found


@contextmanager
def open_plan(path: Path) -> Iterator[Plan]:
    """Open the plan in an SQLite file, which is made if it does not exist.

    Raises
    ------
    StorageError
        The file cannot be written, or is damaged.
    """
    with storage(path, "the plan"):
        try:
            with closing(sqlite3.connect(path)) as base:
                base.executescript(_TABLES)
                yield Plan(base)
        except sqlite3.Error as error:
            raise OSError(0, f"{error} (delete it to plan again)") from error


class Plan:
    """The files of an archive on the disk; only one process may use it."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def update(
        self,
        paths: Iterable[Path],
        read: Callable[[Iterator[tuple[Mark, ...]]], Iterable[list[Mark]]],
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        """Walk the archive, and enter files that are new or changed.

        Parameters
        ----------
        read
            Takes lists of files, and gives the same files with their studies, in any order.
        on_progress
            Called with (files found, None).

        Raises
        ------
        MissingInput
            Files that were planned are gone: results would be removed because of a lost drive.
        """
        (last,) = self._base.execute("SELECT coalesce(max(seen), 0) FROM file").fetchone()
        for marks in read(self._new_files(paths, last + 1, on_progress)):
            with self._base:
                self._base.executemany(
                    "UPDATE file SET size = ?, mtime_ns = ?, study = ?, folder = ?, suspect = ?,"
                    " error = NULL, bucket = NULL WHERE real = ? AND member = ?",
                    [
                        (m.size, m.mtime_ns, m.study, m.folder, m.suspect, m.real, _member(m.file))
                        for m in marks
                    ],
                )
        with self._base:
            self._base.execute("DELETE FROM file WHERE seen < ? AND error IS NOT NULL", (last + 1,))
        gone = "FROM file WHERE seen < ?"
        count, first = self._base.execute(
            f"SELECT count(*), min(path) {gone}", (last + 1,)
        ).fetchone()
        if count:
            raise MissingInput(
                f"{count} files that were planned before are not there, first {first}",
                keyword="PATH",
                remedy="Mount the drive or share again; for a smaller archive, use a new folder",
            )

    def _new_files(
        self, paths: Iterable[Path], run: int, on_progress: Callable[[int, int | None], None]
    ) -> Iterator[tuple[Mark, ...]]:
        """Enter the files of a walk, and give those whose headers must be read."""
        found, walk = 0, walk_files(paths)
        while chunk := tuple(islice(walk, FILES_A_TASK)):
            with self._base:
                fresh = tuple(
                    mark for item in chunk if (mark := self._entered(item, run)) is not None
                )
            found += len(chunk)
            on_progress(found, None)
            if fresh:
                yield fresh

    def _entered(self, item: ImageFile | Unreadable, run: int) -> Mark | None:
        if isinstance(item, Unreadable):
            self._refuse(item, run)
            return None
        try:
            real, facts = str(item.path.resolve()), item.path.stat()
        except OSError as error:
            words = f"the file cannot be read ({error.strerror})"
            self._refuse(Unreadable(item.name, "NotAnImage", words), run, place_file(item))
            return None
        known = self._base.execute(
            "SELECT path, size, mtime_ns, study FROM file WHERE real = ? AND member = ?",
            (real, _member(item)),
        ).fetchone()
        if known is not None and known[0] != str(item.path) and Path(known[0]).exists():
            return None  # another path to the same file
        self._base.execute(
            "INSERT INTO file (real, member, path, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET path = excluded.path, seen = excluded.seen",
            (real, _member(item), str(item.path), run),
        )
        facts_now = (facts.st_size, facts.st_mtime_ns)
        if known is not None and known[1:3] == facts_now and known[3] is not None:
            return None
        return Mark(real, item, *facts_now)

    def _refuse(self, item: Unreadable, run: int, place: Placement | None = None) -> None:
        folder, suspect = (place.folder, place.suspect) if place else ("", False)
        study = hashlib.blake2b(item.path.encode(), digest_size=16).digest()
        self._base.execute(
            "INSERT OR REPLACE INTO file (real, member, path, size, mtime_ns, study, folder,"
            " suspect, error, message, seen) VALUES (?, '', ?, 0, 0, ?, ?, ?, ?, ?, ?)",
            (item.path, item.path, study, folder, suspect, item.error, item.message, run),
        )

    def count_studies(self) -> int:
        """Number of studies, and of files that belong to none."""
        (count,) = self._base.execute("SELECT count(DISTINCT study) FROM file").fetchone()
        return int(count)

    def shards(self, n_buckets: int) -> Iterator[Shard]:
        """Give the shards one at a time; each study is in the bucket that its hash says."""
        self._base.create_function(
            "bucket_of", 1, lambda study: int.from_bytes(study[:8]) % n_buckets, deterministic=True
        )
        with self._base:
            self._base.execute("UPDATE file SET bucket = bucket_of(study) WHERE bucket IS NULL")
        for bucket in range(n_buckets):
            if (shard := self._shard(bucket)) is not None:
                yield shard

    def _shard(self, bucket: int) -> Shard | None:
        rows = self._base.execute(
            "SELECT path, member, size, mtime_ns, error, message FROM file WHERE bucket = ?"
            " ORDER BY study, path, member",
            (bucket,),
        ).fetchall()
        if not rows:
            return None
        elsewhere = dict(
            self._base.execute(
                "SELECT folder, count(*) FROM file WHERE suspect"
                " AND (bucket != ?1 OR error IS NOT NULL) AND folder IN"
                " (SELECT folder FROM file WHERE bucket = ?1) GROUP BY folder ORDER BY folder",
                (bucket,),
            ).fetchall()
        )
        digest = hashlib.sha256(repr((rows, elsewhere)).encode()).hexdigest()[:20]
        return Shard(
            f"{bucket:07d}-{digest}",
            tuple(ImageFile(Path(r[0]), r[1] or None) for r in rows if r[4] is None),
            tuple(Unreadable(r[0], r[4], r[5]) for r in rows if r[4] is not None),
            elsewhere,
        )


def _member(file: ImageFile) -> str:
    return file.member or ""
