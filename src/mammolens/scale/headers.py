"""Headers on the disk: an interrupted reading of a data set goes on where it stopped.

A file counts as read if neither its size nor its time of change has changed. What was found is kept
as JSON and is built again by its classes, so that no program can hide in the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from mammolens import __version__, errors
from mammolens.errors import InputError
from mammolens.files import storage
from mammolens.images import HeaderInfo, PictureFacts

__all__ = ["Found", "KeptHeaders", "keeping_headers"]

Found = dict[tuple[str, Path], object]
"""(name of the function, path) → what it gives, or the `InputError` that it raises."""
_GIVES: Final[Mapping[str, type]] = {"identify": HeaderInfo, "read_facts": PictureFacts}
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS header (
    path TEXT NOT NULL, reader TEXT NOT NULL, size INTEGER, mtime_ns INTEGER, version TEXT,
    found TEXT NOT NULL, PRIMARY KEY (path, reader)
) WITHOUT ROWID;
"""


class KeptHeaders:
    """The headers that were read; only one process may use them."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def add(self, found: Found) -> None:
        """Keep what a task found; it is on the disk when this returns."""
        rows = []
        for (reader, path), value in found.items():
            facts = _stamp(path)
            if facts is not None:
                words = json.dumps(_plain(value))
                rows.append((str(path), reader, *facts, __version__, words))
        with self._base:
            self._base.executemany("INSERT OR REPLACE INTO header VALUES (?, ?, ?, ?, ?, ?)", rows)

    def of(self, path: Path) -> Found:
        """Give what is known of a file; empty if anything of it must be read."""
        asked = (
            "SELECT reader, found FROM header"
            " WHERE path = ? AND size = ? AND mtime_ns = ? AND version = ?"
        )
        facts = _stamp(path) or (-1, -1)
        rows = self._base.execute(asked, (str(path), *facts, __version__)).fetchall()
        if {reader for reader, _ in rows} != _GIVES.keys():
            return {}
        return {(name, path): _built(_GIVES[name], json.loads(words)) for name, words in rows}


@contextmanager
def keeping_headers(table: Path) -> Iterator[KeptHeaders]:
    """Keep headers beside a new table while the block runs; delete them if it ends well.

    They name patients, so only this account can read the file.

    Raises
    ------
    StorageError
        The file cannot be written, or is damaged.
    """
    path = table.with_name(f".{table.name}.headers")
    with storage(path, "the headers"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        try:
            with closing(sqlite3.connect(path)) as base:
                base.executescript(_TABLE)
                yield KeptHeaders(base)
        except sqlite3.Error as error:
            raise OSError(0, f"{error} (delete it to begin again)") from error
        path.unlink(missing_ok=True)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _plain(value: Any) -> Any:
    """Give a value as JSON; errors, classes and named tuples are lists of their parts."""
    if isinstance(value, InputError):
        parts = (value.message, value.source, value.keyword, value.remedy)
        return {"error": type(value).__name__, "parts": parts}
    if is_dataclass(value):
        return [_plain(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, Enum):
        return value.value
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _built(kind: Any, plain: Any) -> Any:
    """Build a value of a type again from `_plain`."""
    if isinstance(plain, dict):
        return _error(plain)
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if plain is None or kind in (str, int, float, bool):
        return plain
    if get_origin(kind) is tuple:
        given = get_args(kind)
        kinds = given[:1] * len(plain) if given[-1] is Ellipsis else given
        return tuple(_built(*pair) for pair in zip(kinds, plain, strict=True))
    if issubclass(kind, Enum):
        return kind(plain)
    hints = get_type_hints(kind)
    return kind(*(_built(hints[name], one) for name, one in zip(hints, plain, strict=True)))


def _error(plain: dict[str, Any]) -> InputError:
    kind = getattr(errors, plain["error"])
    if not (isinstance(kind, type) and issubclass(kind, InputError)):
        raise sqlite3.DatabaseError(f"{plain['error']} is not an error of a file")
    message, source, keyword, remedy = plain["parts"]
    return kind(message, source=source, keyword=keyword, remedy=remedy)
