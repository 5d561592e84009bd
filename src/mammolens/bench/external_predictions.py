"""Read predictions from a file, and pair them with the rows of a table.

The file is a CSV table with ``dataset``, ``image_id`` and ``p_malignant`` (or ``malignancy``), and
optionally ``p_normal`` and ``p_benign`` (or ``tumour``); `mammolens evaluate` writes such a file.
Rows are paired by these names, never by their order. Nothing is filled in: a missing row, a row
that is there twice and a score that is not a probability are errors, and an image without a score
needs a reason in the column ``error``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammolens.bench.units import TASKS, ImageResult
from mammolens.core import Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, Table, read_table

__all__ = ["GivenPredictions", "read_predictions"]

_KEY = ("dataset", "image_id")
_MALIGNANT = ("p_malignant", "malignancy")
_TUMOUR = ("p_normal", "p_benign", "tumour")
_OPTIONAL = (*_MALIGNANT, *_TUMOUR, "error", "path", "manifest_digest")
_SLACK = 1e-3
_ROUNDING = 1e-6
_SHOWN = 3


@dataclass(frozen=True)
class GivenPredictions:
    """Scores by (data set, image), and the tasks that they answer."""

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
        lacking = [r for r in wanted if r.key not in self.rows]
        if lacking:
            raise InvalidManifest(
                f"{len(lacking)} of {len(wanted)} images of the table have no row: "
                f"{_named(r.key for r in lacking)}",
                source=str(self.path),
                keyword="image_id",
                remedy="Predict every image of the table; give a reason in the column error "
                "where there is no score",
            )
        return [_result(record, self.rows[record.key]) for record in wanted]


def read_predictions(
    path: Path, records: Sequence[Record], digests: Iterable[str]
) -> GivenPredictions:
    """Read predictions, and refuse those of another table.

    Parameters
    ----------
    path
        The CSV file. A ``metrics.json`` beside it, or a column ``manifest_digest``, names the
        table that the predictions belong to.
    records
        Every row of the table, also of sides that are not judged.
    digests
        Digests of the table, and of its sides that are used.

    Raises
    ------
    InvalidManifest
        If the file is wrong; the message names the line, the column and the fault.
    """
    known, allowed = {r.key for r in records}, set(digests)
    table = _read(path)
    _check_digest(table, allowed)
    table.refuse_repeats(*_KEY)
    rows = {(row["dataset"], row.identifier("image_id")): _scores(row) for row in table.rows}
    if strangers := [key for key in rows if key not in known]:
        raise InvalidManifest(
            f"{len(strangers)} of {len(rows)} rows are of images that are not in the table: "
            f"{_named(strangers)}",
            source=str(path),
            keyword="image_id",
            remedy="Give the table that these predictions belong to",
        )
    return GivenPredictions(path, rows, _tasks(table.rows))


def _read(path: Path) -> Table:
    remedy = "See docs/reference/evaluation.md for the format"
    table = read_table(path, _KEY, _OPTIONAL, remedy=remedy)
    if not table.columns & set(_MALIGNANT):
        raise InvalidManifest(
            f"columns are missing: {' or '.join(_MALIGNANT)}", source=str(path), remedy=remedy
        )
    if not table.rows:
        raise InvalidManifest("there are no predictions", source=str(path))
    return table


def _check_digest(table: Table, allowed: set[str]) -> None:
    stated = {row["manifest_digest"] for row in table.rows if row["manifest_digest"]}
    beside = table.path.parent / "metrics.json"
    if beside.is_file():
        stated |= _digest_beside(beside)
    if stated and not stated <= allowed:
        raise InvalidManifest(
            "these predictions belong to another table, or its labels have changed since",
            source=str(table.path),
            keyword="manifest_digest",
            remedy="Give the table that they belong to, or make them again",
        )


def _digest_beside(path: Path) -> set[str]:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidManifest(
            f"the table of these predictions cannot be found out: {error}",
            source=str(path),
            remedy="Restore this file, or remove it",
        ) from error
    digest = found.get("manifest_digest") if isinstance(found, dict) else None
    return {digest} if isinstance(digest, str) else set()


def _scores(row: Row) -> Scores | Unreadable:
    def share(column: str) -> float | None:
        value = row.number(column)
        if value is not None and not 0.0 <= value <= 1.0:
            raise row.wrong(
                column,
                "a probability between 0 and 1; leave it empty and give a reason in the column "
                "error where there is none",
            )
        return value

    stated = [value for value in map(share, _MALIGNANT) if value is not None]
    if len(stated) > 1 and abs(stated[0] - stated[1]) > _SLACK:
        raise row.wrong("malignancy", "the same as p_malignant, or empty")
    malignant = stated[0] if stated else None
    if malignant is None:
        if not row["error"]:
            raise InvalidManifest(
                f"line {row.line} has neither a score nor a reason",
                source=str(row.path),
                keyword="p_malignant",
                remedy="Give a probability, or a reason in the column error",
            )
        kind, _, message = row["error"].partition(": ")
        path_or_name = row["path"] or row["image_id"]
        return Unreadable(path_or_name, kind if message else "NoScore", message or kind)
    normal, benign, tumour = map(share, _TUMOUR)
    if normal is None:
        rest = benign or 0.0 if tumour is None else tumour - malignant
        normal = 1.0 - malignant - rest
    if benign is None:
        benign = 1.0 - malignant - normal
    total = normal + benign + malignant
    if min(normal, benign) < -_SLACK or abs(total - 1.0) > _SLACK:
        raise InvalidManifest(
            f"line {row.line}: normal, benign and malignant do not sum to one",
            source=str(row.path),
            keyword="p_normal",
            remedy="Give calibrated probabilities of three classes, or only p_malignant",
        )
    rounding = total if abs(total - 1.0) > _ROUNDING else 1.0
    return Scores(max(normal, 0.0) / rounding, max(benign, 0.0) / rounding, malignant / rounding)


def _tasks(rows: Sequence[Row]) -> tuple[str, ...]:
    """Give the tasks; tumour is one only if every scored row has its probability."""
    scored = [row for row in rows if any(row.text(name) for name in _MALIGNANT)]
    has_both = scored and all(any(row.text(name) for name in _TUMOUR) for row in scored)
    return TASKS if has_both else ("malignancy",)


def _result(record: Record, found: Scores | Unreadable) -> ImageResult:
    if isinstance(found, Unreadable):
        return ImageResult(record, None, found)
    return ImageResult(record, found)


def _named(keys: Iterable[tuple[str, str]]) -> str:
    names = ["/".join(key) for key in keys]
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
