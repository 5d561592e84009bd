"""Write a stream of predictions with any number of sinks.

No picture and no map is kept after its exam, so the memory grows only by a small row for each exam.
A file gets its final name when it is complete.
"""

from __future__ import annotations

import bisect
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, overload

from mammolens.errors import ConfigError, InputError, MammolensError
from mammolens.files import storage
from mammolens.sinks._registry import DICOM, SINKS, Sink, find_sink
from mammolens.sinks._run import Artefact, RunInfo
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

if TYPE_CHECKING:
    from mammolens.core import Prediction, TriageCategory, Unreadable

LISTED: Final = 10
"""How many refused inputs the summary of a run names."""


@dataclass(frozen=True)
class RunRow:
    """One exam in the table at the end of a run; probabilities are ``None`` where it failed."""

    patient_id: str | None
    study_instance_uid: str | None
    category: TriageCategory
    malignancy: float | None
    tumour: float | None
    n_images: int
    n_unreadable: int
    elapsed_s: float


@dataclass(frozen=True)
class RunSummary:
    """The result of a run: a row for each exam, in the order of the stream, and the written files.

    `refusals` name the sinks that could not express an exam, with the reason. `unreadable` has the
    first `LISTED` of the refused inputs.
    """

    rows: tuple[RunRow, ...]
    n_unreadable: int
    files: tuple[Path, ...]
    refusals: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def n_exams(self) -> int:
        """Number of exams, with the failed ones."""
        return len(self.rows)

    @property
    def n_failed(self) -> int:
        """Number of failed exams: their result is unknown."""
        return sum(row.category.value == "failed" for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 if every input was analysed and every result written, else 3."""
        lacking = self.n_failed or self.n_unreadable or self.refusals
        return EXIT_INCOMPLETE if lacking else EXIT_OK


def exam_artefacts(name: str, prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the files that a sink makes of one exam, with their paths in a folder of results.

    Raises
    ------
    ConfigError
        The sink is unknown or cannot be used.
    InputError
        The exam lacks something that this format needs. The files given before are valid.
    """
    from mammolens.sinks._files import ExamNames
    from mammolens.sinks._finite import fail_if_not_finite

    sink, prediction = find_sink(name), fail_if_not_finite(prediction)
    if sink.make:
        made = sink.load(sink.make)(prediction, run)
        yield from checked(sink, ExamNames(sink.files[0]).named(prediction, made))
    else:
        rows = [sink.load(sink.row)(prediction, run, 0)]
        joined = sink.load(sink.join)([row for row in rows if row is not None], run)
        yield from checked(sink, joined)


def checked(sink: Sink, made: Iterable[Artefact]) -> Iterator[Artefact]:
    """Give artefacts whose names are those that their sink describes, each name once.

    Raises
    ------
    ValueError
        A name is not one of `Sink.files` or is repeated, or a DICOM object has no identifiers.
    """
    names: set[str] = set()
    for artefact in made:
        name = artefact.name
        if name in names or not sink.may_write(name):
            raise ValueError(
                f"the sink {sink.name!r} gives a file {name!r} twice, or one that its description "
                f"does not list ({', '.join(sink.files)})"
            )
        if artefact.media_type == DICOM and artefact.dicom is None:
            raise ValueError(f"the sink {sink.name!r} gives DICOM without its identifiers: {name}")
        names.add(name)
        yield artefact


def write_run(
    stream: Iterable[Prediction | Unreadable],
    out: Path,
    run: RunInfo,
    sinks: Sequence[str],
    on_item: Callable[[Prediction | Unreadable], None] | None = None,
) -> RunSummary:
    """Write a stream of results into the folder `out`.

    A prediction with NaN or infinity is written as a failed exam. A sink may refuse an exam with an
    `InputError`; the other sinks still write it. If the stream or a sink raises another error, all
    files of the unfinished run are removed.

    Parameters
    ----------
    stream
        The results; each one is released before the next one is read.
    out
        The folder; it is made if it does not exist.
    sinks
        Names in any order; repeated names count once.
    on_item
        Called with every item after it was written.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be used: nothing was analysed or written yet. Or the sink of
        another package failed.
    StorageError
        The folder cannot be written to.
    """
    from mammolens.core import Prediction
    from mammolens.sinks._finite import fail_if_not_finite
    from mammolens.sinks._worklist import reading_key

    wanted = [find_sink(name) for name in dict.fromkeys(sinks)]
    for sink in wanted:
        sink.check()
    rows: list[RunRow] = []
    refusals: list[str] = []
    refused: list[Unreadable] = []
    n_unreadable = 0
    pictured: list[tuple[int, float]] = []
    opened: list[_OpenSink] = []
    files: list[Path] = []
    try:
        with storage(out, "the results"):
            out.mkdir(parents=True, exist_ok=True)
            for sink in wanted:
                opened.append(_OpenSink(sink, out, run))
        for item in stream:
            place = 0
            if isinstance(item, Prediction):
                item = fail_if_not_finite(item)
                rows.append(_row(item))
                place = bisect.bisect_right(pictured, reading_key(item))  # read before it
                if item.images:
                    pictured.insert(place, reading_key(item))
            here = item.unreadable if isinstance(item, Prediction) else (item,)
            n_unreadable += len(here)
            refused += here[: LISTED - len(refused)]
            with storage(out, "the results"):
                for one in opened:
                    try:
                        with _naming(one.name):
                            one.take(item, place)
                    except InputError as error:
                        refusals.append(f"{one.name}: {error}")
            if on_item is not None:
                on_item(item)
            del item  # releases its pictures
        with storage(out, "the results"):
            for one in opened:
                with _naming(one.name):
                    files += one.close()
    except BaseException:
        for one in opened:
            with suppress(OSError):
                one.discard()
        raise
    return RunSummary(tuple(rows), n_unreadable, tuple(files), tuple(refusals), tuple(refused))


@contextmanager
def _naming(sink: str) -> Iterator[None]:
    """Turn what a sink of another package raises into an error that names the sink."""
    try:
        yield
    except (MammolensError, OSError):
        raise
    except Exception as error:
        if sink in SINKS:
            raise
        raise ConfigError(
            f"the sink {sink!r} failed ({type(error).__name__}: {error})",
            keyword="sinks",
            remedy="Leave it out, or report this to the authors of its package",
        ) from error


class _OpenSink:
    """One sink during a run: it writes every item, and completes its files at the end."""

    def __init__(self, sink: Sink, out: Path, run: RunInfo) -> None:
        from mammolens.sinks._files import ExamNames, SinkFiles

        self.name, self._sink, self._run = sink.name, sink, run
        self._make = sink.load(sink.make or sink.row)
        self._names = ExamNames(sink.files[0]) if sink.make else None
        self._files = SinkFiles(out, sink)
        self._rows = Rows(out)

    def take(self, item: Prediction | Unreadable, place: int) -> None:
        """Write the files of an exam, or store the row of an item until the end of the run."""
        from mammolens.core import Prediction

        if self._names is None:
            row = self._make(item, self._run, place)
            if row is not None:
                self._rows.append(row)
        elif isinstance(item, Prediction):
            self._write(self._names.named(item, self._make(item, self._run)))

    def close(self) -> list[Path]:
        """Complete the files of the run; give the files and folders of the sink."""
        if self._names is None:
            self._write(self._sink.load(self._sink.join)(self._rows, self._run))
        self._rows.close()
        return self._files.close()

    def discard(self) -> None:
        """Remove all files of the sink."""
        self._rows.close()
        self._files.discard()

    def _write(self, made: Iterable[Artefact]) -> None:
        for artefact in checked(self._sink, made):
            self._files.write(artefact)


class Rows(Sequence[Any]):
    """The rows of a run in the order of the stream, in a temporary file on the disk.

    The file is made with the first row.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._starts = array("q")

    def append(self, row: object) -> None:
        """Add a row."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        self._starts.append(self._file.seek(0, 2))
        pickle.dump(row, self._file, pickle.HIGHEST_PROTOCOL)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[n] for n in range(len(self))[at]]
        start = self._starts[at]
        assert self._file is not None
        self._file.seek(start)
        return pickle.load(self._file)

    def close(self) -> None:
        """Delete the file."""
        if self._file is not None:
            self._file.close()


def _row(prediction: Prediction) -> RunRow:
    scores = prediction.scores
    return RunRow(
        prediction.patient_id,
        prediction.study_instance_uid,
        prediction.category,
        scores.malignant if scores else None,
        scores.tumour if scores else None,
        len(prediction.images),
        len(prediction.unreadable),
        prediction.elapsed_s,
    )
