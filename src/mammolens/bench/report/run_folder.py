"""Read the results folder of an evaluation: ``metrics.json`` and ``predictions.csv``.

A report needs these and ``cases/`` only, so that it can be written after the images are deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mammolens.bench.units import ImageResult
from mammolens.core import Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["Run", "complete", "read_figures", "read_predictions", "read_run", "unread"]

SCHEMA: Final = "mammolens.evaluation/2"
"""The schema of ``metrics.json`` from an evaluation."""

POOLED: Final = ("mammolens.crossvalidation/1", "mammolens.ensemble/1")
"""The schemas without a model package: out-of-fold predictions, and mean votes of runs."""

_NEEDED: Final = ("model", "datasets", "malignancy", "tumour", "bootstrap", "manifest_digest")
_KEY: Final = ("dataset", "image_id")
_SCORES: Final = ("p_normal", "p_benign", "p_malignant")
_COLUMNS: Final = (*_KEY, "patient_id", "laterality", "label_malignant", "label_tumour", *_SCORES)
_UNKNOWN: Final = {"model": None, "manifest_digest": None}


@dataclass(frozen=True)
class Run:
    """One evaluation: its folder and the content of its ``metrics.json``."""

    folder: Path
    metrics: dict[str, Any]


def read_run(folder: Path) -> Run:
    """Read the ``metrics.json`` of an evaluation, a cross-validation or a vote.

    Raises
    ------
    InvalidManifest
        If it is missing, is damaged, or has another schema.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise InvalidManifest(
            "the folder has no metrics.json, compare.json or explanations.json to report",
            source=str(folder),
            remedy="Give the --out folder of evaluate, crossvalidate, ensemble, compare or explain",
        )
    metrics = read_figures(path, (SCHEMA, *POOLED), "the evaluation")
    schema = metrics["schema"]
    metrics = _UNKNOWN | metrics if schema in POOLED else metrics
    if missing := [name for name in _NEEDED if name not in metrics]:
        raise InvalidManifest(
            f"it lacks {', '.join(missing)}",
            source=str(path),
            remedy="The file is damaged: run the evaluation again",
        )
    return Run(folder, metrics)


def read_figures(path: Path, schemas: Sequence[str], what: str) -> dict[str, Any]:
    """Read a JSON document of results.

    Parameters
    ----------
    what
        The command that wrote it, for the remedy, such as "the evaluation".

    Raises
    ------
    InvalidManifest
        If it is damaged or has another schema.
    """
    again = f"Run {what} again with this version"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidManifest(
            f"it cannot be read: {error}", source=str(path), remedy=again
        ) from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema not in schemas:
        raise InvalidManifest(
            f"its schema is {schema!r}, but this version reads {schemas[0]!r}",
            source=str(path),
            keyword="schema",
            remedy=again,
        )
    return dict(found)


@contextmanager
def complete(what: str, file: str, command: str) -> Iterator[None]:
    """Turn a key that a document of results lacks into an error that names the file.

    Raises
    ------
    InvalidManifest
        If the code in the context misses a key, or finds a value of another kind.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidManifest(
            f"{what} {error}",
            keyword=file,
            remedy=f"The file is damaged: run {command} again",
        ) from error


def read_predictions(folder: Path) -> dict[tuple[str, str], ImageResult]:
    """Read ``predictions.csv``; keys are (data set, image identifier), images have no file.

    Raises
    ------
    InvalidManifest
        If it is missing, damaged, or names an image twice.
    """
    table = read_table(
        folder / "predictions.csv", _COLUMNS, remedy="The file is damaged: run the evaluation again"
    )
    table.refuse_repeats(*_KEY)
    return {one.record.key: one for one in map(_result, table.rows)}


def _result(row: Row) -> ImageResult:
    record = Record(
        row["dataset"],
        row["image_id"],
        row["patient_id"],
        path=Path(),
        laterality=row.laterality("laterality"),
        tumour=row.flag("label_tumour"),
        malignant=row.flag("label_malignant"),
    )
    scores = [score for score in map(row.number, _SCORES) if score is not None]
    return ImageResult(record, Scores(*scores)) if len(scores) == 3 else unread(record)


def unread(record: Record) -> ImageResult:
    """Give an image without a score."""
    return ImageResult(record, None, Unreadable("", "", "not read by both"))
