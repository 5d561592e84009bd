"""Write artefacts as files: choose their names, and write an index of each folder with many exams.

``index.csv`` lists which file belongs to which exam. A later run into the same folder first removes
the listed files, so that a result of an earlier run is not mistaken for one of the new run.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mammolens.files import partial_path, whole_file
from mammolens.sinks._registry import Sink
from mammolens.sinks._run import Artefact
from mammolens.sinks._worklist import Names
from mammolens.wording import table_cell

if TYPE_CHECKING:
    from mammolens.core import Prediction

INDEX: Final = "index.csv"
INDEX_COLUMNS: Final = ("file", "patient_id", "study_instance_uid")


def exam_ids(prediction: Prediction) -> tuple[str, str]:
    """Give patient ID and Study Instance UID; an unknown one is empty."""
    return prediction.patient_id or "", prediction.study_instance_uid or ""


class ExamNames:
    """File names for many exams, made from a pattern of `Sink.files`; no name is repeated.

    Examples
    --------
    >>> names = ExamNames("fhir/{exam}.json")
    >>> names.path(names.exam(("P1", "")), ""), names.path(names.exam(("P1", "")), "")
    ('fhir/P1.json', 'fhir/P1-2.json')
    """

    def __init__(self, pattern: str) -> None:
        path = PurePosixPath(pattern)
        self._folder, self._stem, self._suffix = str(path.parent), path.stem, path.suffix
        self._exams, self._files = Names(), Names()

    def exam(self, ids: tuple[str, str]) -> str:
        """Name the next exam by its patient, or by its study if the patient is unknown."""
        if "{exam}" in self._folder:
            self._files = Names()
        return self._exams.take(ids[0] or ids[1] or "exam")

    def path(self, exam: str, name: str) -> str:
        """Give the path of a file of an exam; `name` is unique within the exam."""
        stem = self._files.take(self._stem.format(exam=exam, name=name))
        return f"{self._folder.format(exam=exam)}/{stem}{self._suffix}"

    def named(self, prediction: Prediction, made: Iterator[Artefact]) -> Iterator[Artefact]:
        """Give the artefacts of an exam names that are unique among all exams."""
        ids = exam_ids(prediction)
        exam = self.exam(ids)
        for artefact in made:
            name = self.path(exam, PurePosixPath(artefact.name).stem)
            yield replace(artefact, name=name, exam=ids)


class SinkFiles:
    """The files of one sink in a folder of results, during a run.

    Files of an earlier run with the same names are removed at the start. If this run is
    interrupted, they could otherwise be mistaken for its results.
    """

    def __init__(self, out: Path, sink: Sink) -> None:
        self._out = out
        self._indexes = {
            path.parts[0]: _Index(out / path.parts[0], path, sink.index)
            for path in map(PurePosixPath, sink.files)
            if len(path.parts) > 1
        }
        self._single = [out / file for file in sink.files if "/" not in file]
        self._tops = [out / PurePosixPath(file).parts[0] for file in sink.files]
        self._remove_single()

    def write(self, artefact: Artefact) -> None:
        """Write one artefact, completely or not at all."""
        top, _, within = artefact.name.partition("/")
        if within:
            self._indexes[top].add(within, artefact)
        path = self._out / artefact.name
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as stream:
            for piece in artefact.pieces():
                stream.write(piece)

    def close(self) -> list[Path]:
        """Complete the indexes; give the files and folders."""
        for index in self._indexes.values():
            index.close()
        return self._tops

    def discard(self) -> None:
        """Remove the files of an unfinished run, and the folders that are then empty."""
        for index in self._indexes.values():
            index.close()
            index.remove_listed()
        self._remove_single()

    def _remove_single(self) -> None:
        for path in self._single:
            path.unlink(missing_ok=True)
            partial_path(path).unlink(missing_ok=True)


class _Index:
    """The index of one folder. A file is listed before it is written, so every file is listed."""

    def __init__(self, folder: Path, pattern: PurePosixPath, further: tuple[str, ...]) -> None:
        self._folder, self._suffix, self._depth = folder, pattern.suffix, len(pattern.parts) - 2
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / INDEX
        self.remove_listed()
        self._stream = self._path.open("w", encoding="utf-8", newline="", buffering=1)
        self._table = csv.writer(self._stream)
        self._table.writerow([*INDEX_COLUMNS, *further])

    def add(self, file: str, artefact: Artefact) -> None:
        """List one file."""
        self._table.writerow([file, *map(table_cell, (*artefact.exam, *artefact.shows))])

    def close(self) -> None:
        """Close the index."""
        self._stream.close()

    def remove_listed(self) -> None:
        """Delete the files that the index lists, but no file outside its folder."""
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", newline="") as stream:
            files = [row.get("file") or "" for row in csv.DictReader(stream)]
        home = self._folder.resolve()
        for file in files:
            found = (home / file).resolve()
            inside = found.relative_to(home).parts if found.is_relative_to(home) else ()
            if found.suffix != self._suffix or len(inside) != self._depth + 1:
                continue
            found.unlink(missing_ok=True)
            partial_path(found).unlink(missing_ok=True)
            if found.parent != home and found.parent.is_dir() and not any(found.parent.iterdir()):
                found.parent.rmdir()
        self._path.unlink()
