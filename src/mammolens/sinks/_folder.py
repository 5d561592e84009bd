"""A sink that writes whole files per exam into a folder of its own.

``index.csv`` tells which file belongs to which exam; a later run into the same folder removes the
files that it lists, so that no result of an earlier run passes for one of the new.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from mammolens.core import Prediction, Unreadable
from mammolens.sinks._worklist import Names
from mammolens.wording import table_cell

__all__ = ["INDEX_COLUMNS", "FilePerExam", "Made"]

INDEX_COLUMNS: Final = ("file", "patient_id", "study_instance_uid")

Made = Iterator[tuple[str, bytes]]
"""The files of one exam: what distinguishes each among them (empty if there is one), its bytes."""


class FilePerExam:
    """The folder, and its index that grows with every file.

    `make` turns an exam into its files. It may raise `InputError` for what cannot be said in its
    format; files that it gave before stay.
    """

    def __init__(self, folder: Path, suffix: str, make: Callable[[Prediction], Made]) -> None:
        self._folder, self._suffix, self._make = folder, suffix, make
        self._exams, self._files = Names(), Names()
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "index.csv"
        self._remove_listed()
        self._stream = self._path.open("w", encoding="utf-8", newline="", buffering=1)
        self._index = csv.writer(self._stream)
        self._index.writerow(INDEX_COLUMNS)

    def write(self, prediction: Prediction) -> None:
        """Write the files of one exam, named after its patient and what distinguishes each."""
        self.add(prediction)

    def add(self, prediction: Prediction) -> dict[str, str]:
        """Write the files of one exam; give the name of each by what distinguishes it."""
        names: dict[str, str] = {}
        ids = prediction.patient_id or "", prediction.study_instance_uid or ""
        exam = self._exams.take(ids[0] or ids[1] or "exam")
        for label, data in self._make(prediction):
            stem = self._files.take(f"{exam}-{label}" if label else exam)
            file = f"{stem}{self._suffix}"
            self._index.writerow([file, *map(table_cell, ids)])
            _save(self._folder / file, data)
            names[label] = file
        return names

    def remove(self, files: Iterable[str]) -> None:
        """Delete files that `add` named."""
        for file in files:
            (self._folder / file).unlink(missing_ok=True)

    def unreadable(self, item: Unreadable) -> None:
        """Leave out what belongs to no exam."""

    def close(self) -> list[Path]:
        """Finish the index."""
        self._stream.close()
        return [self._folder]

    def discard(self) -> None:
        """Remove the files of the unfinished run."""
        self._stream.close()
        self._remove_listed()

    def _remove_listed(self) -> None:
        """Delete exactly the files that the index lists, none outside its own folder."""
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", newline="") as stream:
            files = [row.get("file") or "" for row in csv.DictReader(stream)]
        home = self._folder.resolve()
        for file in files:
            found = (home / file).resolve()
            if found.suffix == self._suffix and found.parent == home:
                found.unlink(missing_ok=True)
                _partial(found).unlink(missing_ok=True)
        self._path.unlink()


def _save(path: Path, data: bytes) -> None:
    """Put everything on the disk before the file gets its name."""
    with _partial(path).open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    _partial(path).replace(path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
