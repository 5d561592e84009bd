"""Write ``predictions.csv`` and ``metrics.json``, and read tables of predictions made elsewhere."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammolens import DISCLAIMER, __version__
from mammolens.bench.units import TASKS, ImageResult
from mammolens.core import Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import InvalidManifest
from mammolens.files import storage, whole_text, write_whole
from mammolens.metrics.bootstrap import LEVEL
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK
from mammolens.tables import Row, Table, read_table

__all__ = [
    "EvaluationSummary",
    "GivenPredictions",
    "bootstrap_facts",
    "document_head",
    "prediction_cells",
    "read_predictions",
    "write_evaluation",
]

_NUMBER_LIST = re.compile(r"\[\n\s+((?:[-+.\deE]+|null)(?:,\s+(?:[-+.\deE]+|null))*)\n\s+\]")
_KEY = ("dataset", "image_id")
_MALIGNANT = ("p_malignant", "malignancy")
_TUMOUR = ("p_normal", "p_benign", "tumour")
_OPTIONAL = (*_MALIGNANT, *_TUMOUR, "error", "path", "manifest_digest")
_SLACK = 1e-3  # largest difference between probabilities that is treated as rounding
_ROUNDING = 1e-6  # a sum that is closer to 1 than this is not rescaled
_SHOWN = 3  # images that a message names


@dataclass(frozen=True)
class EvaluationSummary:
    """The results of an evaluation, and the paths of its files."""

    metrics: dict[str, Any]
    metrics_path: Path
    predictions_path: Path
    n_rows: int
    n_unreadable: int
    report_paths: tuple[Path, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if every image was scored, otherwise 3."""
        return EXIT_INCOMPLETE if self.n_unreadable else EXIT_OK


def document_head(schema: str) -> dict[str, str]:
    """Give the first entries of a JSON document of results: schema, notice, date and software."""
    return {
        "schema": schema,
        "disclaimer": DISCLAIMER,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"mammolens {__version__}",
    }


def bootstrap_facts(draws: int, seed: int) -> dict[str, Any]:
    """Describe the intervals of a document."""
    return {"draws": draws, "seed": seed, "level": LEVEL, "resampled": "patients"}


def write_evaluation(
    out: Path,
    schema: str,
    results: Sequence[ImageResult],
    metrics: Mapping[str, Any],
    columns: Mapping[str, Sequence[str]] | None = None,
) -> EvaluationSummary:
    """Write ``metrics.json`` and ``predictions.csv``.

    Parameters
    ----------
    out
        The folder; it is created if it does not exist.
    results
        The judged images, at least one.
    metrics
        The figures. The number of unreadable images, and the warning about synthetic data, are
        added.
    columns
        Further columns of ``predictions.csv``: heading → the cells of all results.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    failed = [asdict(one.unreadable) for one in results if one.unreadable is not None]
    synthetic = synthetic_warnings(one.record.dataset for one in results)
    whole = {
        **document_head(schema),
        "n_rows": len(results),
        "n_unreadable": len(failed),
        **metrics,
        "unreadable": failed,
        "notes": list(dict.fromkeys([*synthetic, *metrics.get("notes", ())])),
    }
    predictions, path = out / "predictions.csv", out / "metrics.json"
    with storage(out, "the figures", keyword="--out"):
        out.mkdir(parents=True, exist_ok=True)
        _write_predictions(results, predictions, columns or {})
        write_whole(path, as_text(whole))
    return EvaluationSummary(whole, path, predictions, len(results), len(failed))


def _write_predictions(
    results: Sequence[ImageResult], path: Path, columns: Mapping[str, Sequence[str]]
) -> None:
    with whole_text(path, "backslashreplace") as stream:
        writer = csv.DictWriter(stream, [*prediction_cells(results[0]), *columns])
        writer.writeheader()
        for number, result in enumerate(results):
            further = {name: cells[number] for name, cells in columns.items()}
            writer.writerow({**prediction_cells(result), **further})


def prediction_cells(result: ImageResult) -> dict[str, str | float]:
    """Give the cells of one image by column of ``predictions.csv``; unknown cells are empty."""
    record, scores, failure = result.record, result.scores, result.unreadable
    return {
        "dataset": record.dataset,
        "image_id": record.image_id,
        "patient_id": record.patient_id,
        "laterality": record.laterality.value if record.laterality else "",
        "view": record.view_position.value if record.view_position else "",
        "path": str(record.path),
        "label_tumour": "" if record.tumour is None else int(record.tumour),
        "label_malignant": "" if record.malignant is None else int(record.malignant),
        "p_normal": scores.normal if scores else "",
        "p_benign": scores.benign if scores else "",
        "p_malignant": scores.malignant if scores else "",
        "malignancy": scores.malignant if scores else "",
        "tumour": scores.tumour if scores else "",
        "error": f"{failure.error}: {failure.message}" if failure else "",
        "warnings": "; ".join(str(caution) for caution in result.cautions),
    }


def as_text(metrics: Mapping[str, Any]) -> str:
    """Write JSON with every list of numbers on one line.

    Examples
    --------
    >>> print(as_text({"n": [1, 2.5, None]}), end="")
    {
      "n": [1, 2.5, null]
    }
    """
    text = json.dumps(metrics, indent=2, allow_nan=False)
    return _NUMBER_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


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
        found = [(record, self.rows[record.key]) for record in wanted]
        return [
            ImageResult(record, None, one)
            if isinstance(one, Unreadable)
            else ImageResult(record, one)
            for record, one in found
        ]


def read_predictions(
    path: Path, records: Sequence[Record], digests: Iterable[str]
) -> GivenPredictions:
    """Read predictions, and refuse those of another table.

    The file is a CSV table with ``dataset``, ``image_id`` and ``p_malignant`` (or ``malignancy``),
    and optionally ``p_normal`` and ``p_benign`` (or ``tumour``); `mammolens evaluate` writes such a
    file. Rows are paired by these names, never by their order. Nothing is filled in: a missing row,
    a row that is there twice and a score that is not a probability are errors, and an image without
    a score needs a reason in the column ``error``.

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


def _named(keys: Iterable[tuple[str, str]]) -> str:
    names = ["/".join(key) for key in keys]
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
