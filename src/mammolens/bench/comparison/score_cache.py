"""The cache of a package's scores of a table's images.

The name of a file is the digest of the card (and so of the graph), of the table's facts about each
image, and of the image files' sizes and modification times. A few images are scored again every
time. If their scores differ from the cache, the program has changed, and all images are scored
again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from mammolens import __version__
from mammolens.analysis import pool_breast
from mammolens.bench.scoring import score_records
from mammolens.bench.units import ImageResult
from mammolens.core import Unreadable
from mammolens.data.cache_files import file_stamp
from mammolens.data.manifest import Record
from mammolens.files import storage, write_whole
from mammolens.model import ModelPackage

__all__ = ["kept_scores"]

_SPOT_CHECKS: Final = 3
_TOLERANCE: Final = 1e-3


def kept_scores(
    model: ModelPackage,
    records: Sequence[Record],
    root: Path,
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> list[ImageResult]:
    """Score images like `bench.scoring.score_records`, or read their scores from the cache.

    The cache does not keep cautions about the images.

    Raises
    ------
    StorageError
        If the folder `root` cannot be written.
    """
    path = root / f"{_digest(model, records)}.json"
    kept = _read(path, records)
    if kept is not None:
        spots = range(0, len(records), max(1, len(records) // _SPOT_CHECKS))[:_SPOT_CHECKS]
        fresh = score_records(model, [records[spot] for spot in spots], jobs=jobs)
        if all(_alike(one, kept[spot]) for one, spot in zip(fresh, spots, strict=True)):
            return kept
    results = score_records(model, records, jobs=jobs, on_progress=on_progress)
    _write(path, results)
    return results


def _digest(model: ModelPackage, records: Sequence[Record]) -> str:
    digest = hashlib.sha256(f"{__version__} {model.card.model_dump_json()}".encode())
    for record in records:
        facts = (
            *(record.dataset, record.image_id, record.patient_id, record.laterality),
            *(record.view_position, record.age_years, record.pixel_aspect, record.rotation_deg),
            *(record.lesions, str(record.path), file_stamp(record.path)),
        )
        digest.update(repr(facts).encode())
    return digest.hexdigest()[:32]


def _alike(first: ImageResult, second: ImageResult) -> bool:
    one, other = first.scores, second.scores
    if one is None or other is None:
        return one is other
    return (
        abs(one.malignant - other.malignant) < _TOLERANCE
        and abs(one.normal - other.normal) < _TOLERANCE
    )


def _read(path: Path, records: Sequence[Record]) -> list[ImageResult] | None:
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [_result(record, row) for record, row in zip(records, rows, strict=True)]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _result(record: Record, row: dict[str, Any]) -> ImageResult:
    if "error" in row:
        return ImageResult(record, None, Unreadable(str(record.path), row["error"], row["message"]))
    return ImageResult(record, pool_breast(row["probabilities"]), age_years=row["age"])


def _write(path: Path, results: Sequence[ImageResult]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "probabilities": [one.scores.normal, one.scores.benign, one.scores.malignant],
            "age": one.age_years,
        }
        if one.scores
        else {
            "error": one.unreadable.error if one.unreadable else "",
            "message": one.unreadable.message if one.unreadable else "",
        }
        for one in results
    ]
    with storage(path, "the scores", keyword="--cache"):
        write_whole(path, json.dumps(rows))
