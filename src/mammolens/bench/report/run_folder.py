"""Read the results folder of an evaluation: ``metrics.json`` and ``predictions.csv``.

A report needs these and ``cases/`` only, so that it can be written after the images are deleted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.tables import Row as Cells
from mammolens.tables import read_table

__all__ = [
    "POOLED",
    "SCHEMA",
    "Row",
    "Run",
    "need_extra",
    "read_figures",
    "read_predictions",
    "read_run",
]

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


@dataclass(frozen=True)
class Row:
    """One image of ``predictions.csv``; `probabilities` is ``None`` if it could not be read."""

    patient_id: str
    laterality: str
    malignant: bool | None
    tumour: bool | None
    probabilities: tuple[float, float, float] | None


def need_extra() -> None:
    """Check that the packages for charts and PDF are installed.

    Raises
    ------
    ConfigError
        If one is missing.
    """
    for name in ("matplotlib", "typst"):
        if find_spec(name) is None:
            raise ConfigError(
                f"reports need {name}, which is not installed",
                remedy="Run: pip install 'mammolens[report]'",
            )


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
    schemas
        The schemas that this version reads.
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


def read_predictions(folder: Path) -> dict[tuple[str, str], Row]:
    """Read ``predictions.csv``; keys are (data set, image identifier).

    Raises
    ------
    InvalidManifest
        If it is missing, damaged, or names an image twice.
    """
    table = read_table(
        folder / "predictions.csv", _COLUMNS, remedy="The file is damaged: run the evaluation again"
    )
    table.refuse_repeats(*_KEY)
    return {(row["dataset"], row["image_id"]): _row(row) for row in table.rows}


def _row(cells: Cells) -> Row:
    scores = tuple(score for score in map(cells.number, _SCORES) if score is not None)
    return Row(
        cells["patient_id"],
        cells["laterality"],
        cells.flag("label_malignant"),
        cells.flag("label_tumour"),
        (scores[0], scores[1], scores[2]) if len(scores) == 3 else None,
    )
