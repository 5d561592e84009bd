"""The models of a comparison as `Candidate`; model packages become candidates here.

The scores of a package are kept in a file, and are read again if package and pictures are the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from mammolens import __version__
from mammolens.analysis import pool_breast
from mammolens.bench.comparison.judged_data import JudgedData
from mammolens.bench.comparison.leak_proof import prove_apart, read_sides
from mammolens.bench.evaluation_files import prediction_cells
from mammolens.bench.scoring import score_records
from mammolens.bench.units import TASKS, ImageResult, without_age
from mammolens.core import InputKind, Unreadable
from mammolens.data.cache_files import file_stamp
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError, ContractMismatch
from mammolens.files import storage, write_whole
from mammolens.model import KnownPatients, ModelPackage, list_models
from mammolens.spelling import did_you_mean

__all__ = [
    "CLASSICAL",
    "PICTURES_ALONE",
    "Candidate",
    "Say",
    "is_package",
    "package_candidates",
    "predictions_text",
    "progress_reporter",
]

CLASSICAL: Final = ("svm", "tree", "knn", "forest", "logistic")
PICTURES_ALONE: Final = "pictures alone"

Say = Callable[[str], None]
_REPORTED_EVERY: Final = 250
_SPOT_CHECKS: Final = 3
_TOLERANCE: Final = 1e-3
COLUMNS = (
    "model",
    "dataset",
    "image_id",
    "patient_id",
    "laterality",
    "view",
    "label_tumour",
    "label_malignant",
    "malignancy",
    "tumour",
    "error",
)


@dataclass(frozen=True)
class Candidate:
    """A model and its scores.

    `results` has the images of each task, in the order of the judged rows. `thresholds` on
    P(malignant) have a name, and `fixed_on` describes the patients that they were fixed on. `facts`
    are written into ``compare.json``, `cautions` into every output.
    """

    name: str
    kind: str
    group: str
    results: Mapping[str, tuple[ImageResult, ...]]
    thresholds: Mapping[str, float]
    fixed_on: str
    facts: Mapping[str, Any]
    cautions: tuple[str, ...] = ()


def is_package(spec: str) -> bool:
    """Say whether a name is that of a package; otherwise it is that of a classifier.

    Raises
    ------
    ConfigError
        If it is neither; the message has the nearest known name.
    """
    if spec in CLASSICAL:
        return False
    if spec in list_models() or Path(spec).exists():
        return True
    known = [*CLASSICAL, *list_models()]
    raise ConfigError(
        f"there is no model called {spec!r}",
        keyword="--models",
        remedy=f"{did_you_mean(spec, known)}, or give the path of a model package",
    )


def package_candidates(
    spec: str,
    package: ModelPackage,
    name: str,
    data: JudgedData,
    *,
    known: KnownPatients | None = None,
    proof: Path | None = None,
    trusted: bool = False,
    jobs: int = 1,
    say: Say = lambda _: None,
) -> list[Candidate]:
    """Score a package as its card states; a package that uses age gives two candidates.

    One has scores with the patient's age, the other scores of the pictures alone.

    Raises
    ------
    PatientLeak, InvalidManifest, ConfigError
        See `mammolens.bench.comparison.leak_proof.prove_apart`.
    ContractMismatch
        If it reads lesions and breasts are judged, or the reverse.
    """
    card = package.card
    if (card.input_kind is InputKind.LESION) != data.of_lesions:
        raise ContractMismatch(
            f"{card.name} reads a {card.input_kind.value}, but {data.source} shows other inputs",
            source=spec,
            keyword="input_kind",
            remedy="Compare models of breasts with each other, and models of lesions likewise",
        )
    proven = prove_apart(
        card,
        data.judged.records,
        [data.sides],
        known=known,
        named=read_sides(proof) if proof else None,
        package=Path(spec) if Path(spec).exists() else None,
        trusted=trusted,
    )
    results = kept_scores(
        package,
        data.judged.records,
        data.cache / "scores",
        jobs=jobs,
        on_progress=progress_reporter(f"{name}: image", say),
    )
    points = card.operating_points
    whole = Candidate(
        name,
        "package",
        "networks",
        dict.fromkeys(TASKS, tuple(results)),
        {"high": points.high.threshold, "low": points.low.threshold},
        f"its card's, fixed on {points.fixed_on}",
        {
            "model": {"name": card.name, "version": card.version, "digest": card.graph_sha256},
            "package": spec,
            "architecture": card.architecture,
            "uses_age": card.calibration.age is not None,
            "proof": proven.to_json(),
        },
        proven.cautions,
    )
    without_ages = without_age(results, card.calibration.age)
    if without_ages is None:
        return [whole]
    alone = replace(
        whole,
        name=f"{name} ({PICTURES_ALONE})",
        results=dict.fromkeys(TASKS, tuple(without_ages)),
        facts={**whole.facts, "uses_age": False},
    )
    cautions = (
        *whole.cautions,
        "a patient's known age is part of its score; no other model here knows it",
    )
    return [replace(whole, cautions=cautions), alone]


def progress_reporter(
    what: str, say: Say, every: int = _REPORTED_EVERY
) -> Callable[[int, int], None]:
    """Make a function of (done, total) that reports progress after every `every` items."""
    reported = 0

    def report(done: int, total: int) -> None:
        nonlocal reported
        if done - reported >= every or done == total:
            reported = done
            say(f"{what} {done} of {total}")

    return report


def kept_scores(
    model: ModelPackage,
    records: Sequence[Record],
    root: Path,
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> list[ImageResult]:
    """Score images like `bench.scoring.score_records`, or read their scores from the cache.

    The name of a file is the digest of the card (and so of the graph), of the table's facts about
    each image, and of the image files' sizes and modification times. A few images are scored again
    every time. If their scores differ from the cache, the program has changed, and all images are
    scored again. The cache does not keep cautions about the images.

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
    """Say whether two results agree; the third probability follows from the other two."""
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


def predictions_text(candidates: Sequence[Candidate]) -> str:
    """Write one row for each model and image as CSV; a missing score is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for one in candidates:
        empty: tuple[ImageResult, ...] = ()
        tumours = one.results.get("tumour", empty)
        for malignancy, tumour in zip_longest(one.results.get("malignancy", empty), tumours):
            cells = prediction_cells(malignancy)
            failure = malignancy.unreadable
            writer.writerow(
                {
                    **cells,
                    "model": one.name,
                    "tumour": prediction_cells(tumour)["tumour"] if tumour else "",
                    "error": failure.message if failure else "",
                }
            )
    return text.getvalue()
