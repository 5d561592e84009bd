"""Results on their way out: one stream of predictions into any number of output formats.

A sink is opened on a folder, takes every prediction as it comes, and is closed; it keeps no picture
and no map between two exams, so memory does not grow with their number beyond a small row each.
Nothing bears its final name before it is whole. ``SINKS`` names the built-in sinks; others come in
through the entry point group ``mammolens.sinks`` (``name = "module:open_sink"``).
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, cast

from mammolens import DISCLAIMER
from mammolens.core import (
    ModelId,
    Prediction,
    TriageCategory,
    Unreadable,
)
from mammolens.errors import ConfigError, DeliveryError, InputError
from mammolens.sinks._sound import sound
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

__all__ = [
    "ENTRY_POINTS",
    "IDENTIFIED_SINKS",
    "SINKS",
    "SOP_CLASSES",
    "OpenSink",
    "RunInfo",
    "RunRow",
    "RunSummary",
    "Sink",
    "TriageThreshold",
    "find_sink",
    "sink_names",
    "write_run",
]

ENTRY_POINTS: Final = "mammolens.sinks"
SINKS: Final = {
    "csv": "mammolens.sinks.worklist_csv:open_sink",
    "dicom-cad-sr": "mammolens.sinks.dicom_cad_sr:open_sink",
    "dicom-ko": "mammolens.sinks.dicom_ko:open_sink",
    "dicom-pr": "mammolens.sinks.dicom_pr:open_sink",
    "dicom-sc": "mammolens.sinks.dicom_sc:open_sink",
    "dicom-seg": "mammolens.sinks.dicom_seg:open_sink",
    "dicom-sr": "mammolens.sinks.dicom_sr:open_sink",
    "fhir": "mammolens.sinks.fhir:open_sink",
    "hl7": "mammolens.sinks.hl7:open_sink",
    "html": "mammolens.sinks.html:open_sink",
    "json": "mammolens.sinks.results_json:open_sink",
    "overlay": "mammolens.sinks.overlay:open_sink",
}
IDENTIFIED_SINKS: Final = frozenset(
    {name for name in SINKS if name.startswith("dicom-")} | {"fhir", "hl7"}
)
"""Sinks that say whose result it is, for the systems of the hospital that sent the images."""
SOP_CLASSES: Final = {
    "dicom-cad-sr": "1.2.840.10008.5.1.4.1.1.88.50",
    "dicom-ko": "1.2.840.10008.5.1.4.1.1.88.59",
    "dicom-pr": "1.2.840.10008.5.1.4.1.1.11.1",
    "dicom-sc": "1.2.840.10008.5.1.4.1.1.7",
    "dicom-seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "dicom-sr": "1.2.840.10008.5.1.4.1.1.88.34",
}
"""The class of the objects that each DICOM sink writes."""


@dataclass(frozen=True)
class TriageThreshold:
    """A malignancy probability that parts two categories, at the run's prevalence.

    `name` is the category that it bounds: ``low`` lies below it, ``high`` from it up.
    `sensitivity` and `specificity` are those of validation; ``None`` where not known.
    """

    name: str
    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True)
class RunInfo:
    """What is true of every exam of a run.

    `created` must know its time zone; `prevalence` is the share of malignant breasts that the
    probabilities stand for, and `prevalence_stated` whether the site gave it: if not, it is that of
    the data that the model was calibrated on, and what leaves for a PACS or RIS shows no percentage
    apart from it; `model_summary` says in a sentence or two what the model was trained
    on and where it is weak. A run of one exam may revise an earlier result: `revision` counts from
    1, `supersedes` lists its DICOM objects as (sink, series, SOP class, SOP instance UID).
    """

    created: datetime
    model: ModelId
    prevalence: float
    thresholds: tuple[TriageThreshold, ...] = ()
    model_summary: str = ""
    disclaimer: str = DISCLAIMER
    revision: int = 1
    supersedes: tuple[tuple[str, str, str, str], ...] = ()
    prevalence_stated: bool = False

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise ConfigError("the time of a run needs its time zone", keyword="created")
        if not 0.0 < self.prevalence < 1.0:
            raise ConfigError(
                f"a prevalence of {self.prevalence} is not a share between 0 and 1",
                keyword="prevalence",
                remedy="Give the share of malignant breasts, such as 0.005",
            )


class Sink(Protocol):
    """One output format, open for one run."""

    def write(self, prediction: Prediction) -> None:
        """Take one exam; keep neither its pictures nor its maps.

        Raises
        ------
        InputError
            What the exam lacks to be said in this format: it is refused here, and the run goes on.
        """

    def unreadable(self, item: Unreadable) -> None:
        """Take one input that belongs to no exam."""

    def close(self) -> list[Path]:
        """Finish, give every file its final name, and list the files."""

    def discard(self) -> None:
        """Give up: remove what is unfinished. Called instead of `close`, or after it failed."""


OpenSink = Callable[[Path, RunInfo], Sink]


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
    """What a run came to: a row per exam in the order they came, and the files written.

    `refusals` say which sink could not express an exam, and why.
    """

    rows: tuple[RunRow, ...]
    n_unreadable: int
    files: tuple[Path, ...]
    refusals: tuple[str, ...] = ()

    @property
    def n_exams(self) -> int:
        """Number of exams, the failed ones among them."""
        return len(self.rows)

    @property
    def n_failed(self) -> int:
        """Number of exams of which nothing is known."""
        return sum(row.category is TriageCategory.FAILED for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 if every input was analysed and every result written, else 3."""
        lacking = self.n_failed or self.n_unreadable or self.refusals
        return EXIT_INCOMPLETE if lacking else EXIT_OK


def sink_names() -> list[str]:
    """Name every sink that is installed, sorted."""
    return sorted({*SINKS, *(p.name for p in _third_party())})


def find_sink(name: str) -> OpenSink:
    """Load the opener of a sink.

    Raises
    ------
    ConfigError
        No sink has this name (the nearest is proposed), or its module cannot be loaded.

    Examples
    --------
    >>> find_sink("jsn")
    Traceback (most recent call last):
    mammolens.errors.ConfigError: there is no sink 'jsn' [sinks]. Use 'json'.
    """
    targets = {p.name: p.value for p in _third_party()} | SINKS
    if name not in targets:
        nearest = difflib.get_close_matches(name, targets, n=1, cutoff=0.5)
        hint = f"Use '{nearest[0]}'" if nearest else f"Known are {', '.join(sink_names())}"
        raise ConfigError(f"there is no sink {name!r}", keyword="sinks", remedy=hint)
    module, _, attribute = targets[name].partition(":")
    try:
        return cast(OpenSink, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the sink {name!r} cannot be loaded from {targets[name]}: {error}",
            keyword="sinks",
            remedy="Install what it needs, or leave it out",
        ) from error


def write_run(
    stream: Iterable[Prediction | Unreadable],
    out: Path,
    run: RunInfo,
    sinks: Sequence[str],
    on_item: Callable[[Prediction | Unreadable], None] | None = None,
) -> RunSummary:
    """Drain a stream of results into the sinks under `out`.

    A prediction that holds a number which is none (NaN, infinity) is written as a failed exam.
    A sink may refuse an exam (`InputError`): the others take it.
    If anything is raised, by the stream or by a sink, every unfinished file is removed first.

    Parameters
    ----------
    stream
        Results as they come; each is let go before the next is taken.
    out
        Folder, made if absent.
    sinks
        Names, in any order; one named twice is opened once.
    on_item
        Called with every item after it was written, for a progress bar.

    Raises
    ------
    ConfigError
        A sink is unknown; nothing was analysed or written yet.
    DeliveryError
        The folder cannot be written to.
    """
    openers = {name: find_sink(name) for name in sinks}
    rows: list[RunRow] = []
    refusals: list[str] = []
    n_unreadable = 0
    opened: dict[str, Sink] = {}
    try:
        with _delivering(out):
            out.mkdir(parents=True, exist_ok=True)
            for name, opener in openers.items():
                opened[name] = opener(out, run)
        for item in stream:
            if isinstance(item, Prediction):
                item = sound(item)
                rows.append(_row(item))
                n_unreadable += len(item.unreadable)
            else:
                n_unreadable += 1
            with _delivering(out):
                for name, sink in opened.items():
                    try:
                        sink.write(item) if isinstance(item, Prediction) else sink.unreadable(item)
                    except InputError as error:
                        refusals.append(f"{name}: {error}")
            if on_item is not None:
                on_item(item)
            del item
        with _delivering(out):
            files = [path for sink in opened.values() for path in sink.close()]
    except BaseException:
        for sink in opened.values():
            sink.discard()
        raise
    return RunSummary(tuple(rows), n_unreadable, tuple(files), tuple(refusals))


@contextlib.contextmanager
def _delivering(out: Path) -> Iterator[None]:
    """Name the destination when the system refuses a write."""
    try:
        yield
    except OSError as error:
        raise DeliveryError(
            f"the results cannot be written ({error})",
            source=str(out),
            remedy="Check that the folder is writable and the disk is not full",
        ) from error


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


def _third_party() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=ENTRY_POINTS))
