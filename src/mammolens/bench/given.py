"""Predictions that were made elsewhere, read back and paired with the rows of a table.

What is read is a CSV file with ``dataset``, ``image_id`` and ``p_malignant`` (or ``malignancy``),
and maybe ``p_normal`` and ``p_benign`` (or ``tumour``); `mammolens evaluate` writes such a file.
A row is paired by name, never by its place. Nothing is filled in: a missing row, a doubled one
and a score that is no probability are errors, and an image without a score needs a reason in the
column ``error``.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammolens.bench.units import TASKS, ImageResult
from mammolens.core import Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest

__all__ = ["GivenPredictions", "read_predictions"]

_KEY = ("dataset", "image_id")
_MALIGNANT = ("p_malignant", "malignancy")
_SLACK = 1e-3
_ROUNDING = 1e-6
_SHOWN = 3

_Cells = dict[str, str]


@dataclass(frozen=True)
class GivenPredictions:
    """Scores by (data set, image), and the tasks that they speak of."""

    path: Path
    rows: dict[tuple[str, str], Scores | Unreadable]
    tasks: tuple[str, ...]

    def results(self, records: Iterable[Record]) -> list[ImageResult]:
        """Pair every record with its scores.

        Raises
        ------
        InvalidManifest
            If a record has no row.
        """
        wanted = list(records)
        lacking = [r for r in wanted if (r.dataset, r.image_id) not in self.rows]
        if lacking:
            raise InvalidManifest(
                f"{len(lacking)} of {len(wanted)} images of the table have no row: "
                f"{_named((r.dataset, r.image_id) for r in lacking)}",
                source=str(self.path),
                keyword="image_id",
                remedy="Predict every image of the table; give a reason in the column error "
                "where there is no score",
            )
        return [_result(record, self.rows[record.dataset, record.image_id]) for record in wanted]


def read_predictions(
    path: Path, records: Sequence[Record], digests: Iterable[str]
) -> GivenPredictions:
    """Read predictions, and refuse those of another table.

    Parameters
    ----------
    path
        The CSV file; a ``metrics.json`` beside it, or a column ``manifest_digest``, says what
        table it was made of.
    records
        Every row of the table, whatever side is judged.
    digests
        Of the table, and of those of its sides that are looked at.

    Raises
    ------
    InvalidManifest
        Names the file, the row and the column, and what is wrong there.
    """
    known, allowed = {(r.dataset, r.image_id) for r in records}, set(digests)
    lines = _read(path)
    _check_digest(path, lines, allowed)
    rows: dict[tuple[str, str], Scores | Unreadable] = {}
    doubled: list[tuple[str, str]] = []
    for number, cells in enumerate(lines, start=2):
        key = cells["dataset"], cells["image_id"]
        if key in rows:
            doubled.append(key)
        rows[key] = _scores(path, number, cells)
    if doubled:
        raise InvalidManifest(
            f"{len(doubled)} rows stand twice: {_named(doubled)}",
            source=str(path),
            keyword="image_id",
            remedy="Keep one row for each image",
        )
    if strangers := [key for key in rows if key not in known]:
        raise InvalidManifest(
            f"{len(strangers)} of {len(rows)} rows are of images that the table does not have: "
            f"{_named(strangers)}",
            source=str(path),
            keyword="image_id",
            remedy="Give the table that these predictions were made of",
        )
    return GivenPredictions(path, rows, _tasks(lines))


def _read(path: Path) -> list[_Cells]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            lines = [
                {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidManifest(
            f"the predictions cannot be read: {error}",
            source=str(path),
            remedy="Give a UTF-8 CSV file",
        ) from error
    missing = [name for name in _KEY if name not in columns]
    if not columns & set(_MALIGNANT):
        missing.append(" or ".join(_MALIGNANT))
    if missing:
        raise InvalidManifest(
            f"columns are missing: {', '.join(missing)}",
            source=str(path),
            remedy="See docs/evaluation.md for the format",
        )
    if not lines:
        raise InvalidManifest("there are no predictions", source=str(path))
    return lines


def _check_digest(path: Path, lines: Sequence[_Cells], allowed: set[str]) -> None:
    stated = {cells["manifest_digest"] for cells in lines if cells.get("manifest_digest")}
    beside = path.parent / "metrics.json"
    if beside.is_file():
        stated |= _digest_beside(beside)
    if stated and not stated <= allowed:
        raise InvalidManifest(
            "these predictions were made of another table, or its labels have changed since",
            source=str(path),
            keyword="manifest_digest",
            remedy="Give the table of which they were made, or make them again",
        )


def _digest_beside(path: Path) -> set[str]:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidManifest(
            f"what these predictions were made of cannot be read: {error}",
            source=str(path),
            remedy="Restore the file, or take it away",
        ) from error
    digest = found.get("manifest_digest") if isinstance(found, dict) else None
    return {digest} if isinstance(digest, str) else set()


def _scores(path: Path, number: int, cells: _Cells) -> Scores | Unreadable:
    def share(column: str) -> float | None:
        text = cells.get(column, "")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= 1.0:
            raise InvalidManifest(
                f"row {number} says {text!r}",
                source=str(path),
                keyword=column,
                remedy="It must be a probability between 0 and 1; leave it empty and give a "
                "reason in the column error where there is none",
            )
        return value

    malignant = next((v for v in map(share, _MALIGNANT) if v is not None), None)
    if malignant is None:
        if not cells.get("error"):
            raise InvalidManifest(
                f"row {number} has no score and no reason why",
                source=str(path),
                keyword="p_malignant",
                remedy="Give a probability, or a reason in the column error",
            )
        kind, _, message = cells["error"].partition(": ")
        path_or_name = cells.get("path") or cells["image_id"]
        return Unreadable(path_or_name, kind if message else "NoScore", message or kind)
    normal, benign, tumour = share("p_normal"), share("p_benign"), share("tumour")
    if normal is None:
        rest = benign or 0.0 if tumour is None else tumour - malignant
        normal = 1.0 - malignant - rest
    if benign is None:
        benign = 1.0 - malignant - normal
    total = normal + benign + malignant
    if min(normal, benign) < -_SLACK or abs(total - 1.0) > _SLACK:
        raise InvalidManifest(
            f"row {number}: normal, benign and malignant do not sum to one",
            source=str(path),
            keyword="p_normal",
            remedy="Give calibrated probabilities of three classes, or p_malignant alone",
        )
    rounding = total if abs(total - 1.0) > _ROUNDING else 1.0
    return Scores(max(normal, 0.0) / rounding, max(benign, 0.0) / rounding, malignant / rounding)


def _tasks(lines: Sequence[_Cells]) -> tuple[str, ...]:
    """Tumour is spoken of only where every scored row says how probable it is."""
    columns = ("p_normal", "p_benign", "tumour")
    scored = [cells for cells in lines if any(cells.get(name) for name in _MALIGNANT)]
    told = scored and all(any(cells.get(name) for name in columns) for cells in scored)
    return TASKS if told else ("malignancy",)


def _result(record: Record, found: Scores | Unreadable) -> ImageResult:
    if isinstance(found, Unreadable):
        return ImageResult(record, None, found)
    return ImageResult(record, found)


def _named(keys: Iterable[tuple[str, str]]) -> str:
    names = ["/".join(key) for key in keys]
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
