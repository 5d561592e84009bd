"""`mammolens evaluate`: a model on a table of labelled images → metrics.json, predictions.csv.

A table without a split column is judged whole. A run's TOML file may stand for a table: its
tables, exclusions and split are then those that the model was trained with, which is proven by
the card's digest of the split.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammolens import DISCLAIMER, __version__
from mammolens.analysis import pool_breast
from mammolens.bench.calibration import calibration_figures
from mammolens.bench.scoring import score_records
from mammolens.bench.units import ImageResult, figures, operating_figures
from mammolens.core import InputKind
from mammolens.data.manifest import Manifest, Split
from mammolens.data.regions import region_records
from mammolens.data.splits import refuse_leak, split_digest
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.model import ModelCard, ModelPackage, shift_odds
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

__all__ = [
    "PREDICTION_COLUMNS",
    "EvaluationSummary",
    "evaluate",
    "prediction_row",
    "read_tables",
    "run",
]

PREDICTION_COLUMNS = (
    "dataset",
    "image_id",
    "patient_id",
    "laterality",
    "view",
    "path",
    "label_tumour",
    "label_malignant",
    "p_normal",
    "p_benign",
    "p_malignant",
    "malignancy",
    "tumour",
    "error",
    "warnings",
)


@dataclass(frozen=True)
class EvaluationSummary:
    """What an evaluation found and where it was written."""

    metrics: dict[str, Any]
    metrics_path: Path
    predictions_path: Path
    n_rows: int
    n_unreadable: int

    @property
    def exit_code(self) -> int:
        """0 if every image was scored, 3 if any could not be."""
        return EXIT_INCOMPLETE if self.n_unreadable else EXIT_OK


def run(
    model: str,
    manifest: Path | Sequence[Path],
    out: Path,
    split: str | None = None,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> EvaluationSummary:
    """Load a model and a table, evaluate, and write the results: the command's one call.

    Parameters
    ----------
    model
        Name of a built-in model, or path of a package.
    manifest
        One or several CSV tables, or one run's TOML file.
    out
        Folder for ``metrics.json`` and ``predictions.csv``; made if need be.
    split
        ``train``, ``validation`` or ``test``; ``None`` takes every row.
    jobs
        Images that are decoded side by side.
    on_progress
        Called with (images done, images in all).

    Raises
    ------
    InvalidManifest, PatientLeak
        If the table is faulty, has no such split, or splits otherwise than the model's card.
    ConfigError
        If a setting is impossible or `out` cannot be written.
    BadModelPackage, ContractMismatch
        If the model cannot be used.
    """
    side = _split_of(split)
    _make_folder(out)
    tables = [manifest] if isinstance(manifest, Path) else list(manifest)
    whole = read_tables(tables)
    package = ModelPackage.load(model)
    if package.card.input_kind is InputKind.LESION:
        whole = region_records(whole)
    if side is not None:
        _check_split(whole, package.card, tables)
    chosen = whole if side is None else _select(whole, side, tables)
    return evaluate(package, chosen, out, split=side, jobs=jobs, on_progress=on_progress)


def evaluate(
    model: ModelPackage,
    manifest: Manifest,
    out: Path,
    *,
    split: Split | None = None,
    jobs: int = 1,
    draws: int = 2000,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> EvaluationSummary:
    """Score every record of a manifest, and write figures and predictions.

    Parameters
    ----------
    model, manifest
        What is judged, and on what.
    out
        Folder for ``metrics.json`` and ``predictions.csv``; made if need be.
    split
        The side that `manifest` was selected by; only written down.
    jobs
        Images that are decoded side by side.
    draws, seed
        Of the bootstrap over patients.
    on_progress
        Called with (images done, images in all).

    Raises
    ------
    ConfigError
        If a setting is impossible or `out` cannot be written.
    """
    _make_folder(out)
    results = score_records(model, manifest.records, jobs=jobs, on_progress=on_progress)
    failed = [asdict(one.unreadable) for one in results if one.unreadable is not None]
    metrics = {
        "schema": "mammolens.evaluation/1",
        "disclaimer": DISCLAIMER,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"mammolens {__version__}",
        "model": asdict(model.model_id),
        "prevalence": model.card.prior_malignant,
        "manifest_digest": manifest.digest,
        "split": split.value if split else None,
        "split_digest": split_digest(manifest),
        "bootstrap": {"draws": draws, "seed": seed, "level": 0.95, "resampled": "patients"},
        "n_rows": len(results),
        "n_unreadable": len(failed),
        "notes": [
            *_notes(manifest, split, len(failed)),
            *(str(caution) for caution in manifest.cautions),
        ],
        **_judge(results, model.card, draws, seed),
        "datasets": {
            name: _judge(
                [one for one in results if one.record.dataset == name], model.card, draws, seed
            )
            for name in sorted({record.dataset for record in manifest.records})
        },
        "unreadable": failed,
    }
    predictions_path, metrics_path = out / "predictions.csv", out / "metrics.json"
    try:
        _write_predictions(results, predictions_path)
        metrics_path.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise _unwritable(out, error) from error
    return EvaluationSummary(metrics, metrics_path, predictions_path, len(results), len(failed))


def read_tables(paths: Sequence[Path]) -> Manifest:
    """Read CSV tables as one manifest, or the data of one run's TOML file with its split.

    Raises
    ------
    InvalidManifest, PatientLeak, ConfigError
        If a table or the run is faulty.
    """
    if len(paths) == 1 and paths[0].suffix.lower() == ".toml":
        from mammolens.learn.config import load_manifest, read_run

        return load_manifest(read_run(paths[0]))
    manifest = Manifest.read(*paths)
    refuse_leak(manifest.records)
    return manifest


def _split_of(split: str | None) -> Split | None:
    if split is None:
        return None
    try:
        return Split(split)
    except ValueError as error:
        raise ConfigError(
            f"there is no split called {split!r}",
            keyword="split",
            remedy=f"Use one of {', '.join(side.value for side in Split)}",
        ) from error


def _check_split(manifest: Manifest, card: ModelCard, tables: Sequence[Path]) -> None:
    """Refuse a run whose split is not the one that the model knows."""
    from_run = tables[0].suffix.lower() == ".toml"
    if from_run and split_digest(manifest) != card.training.split_digest:
        raise InvalidManifest(
            f"its split is not the one that {card.name} was trained with",
            source=str(tables[0]),
            keyword="split_digest",
            remedy="Use the run and the tables that the model was trained from",
        )


def _select(manifest: Manifest, side: Split, tables: Sequence[Path]) -> Manifest:
    if not any(record.split is side for record in manifest.records):
        raise InvalidManifest(
            f"no row belongs to the split {side.value!r}",
            source=", ".join(map(str, tables)),
            keyword="split",
            remedy="Add a split column, give the run's TOML file, or leave --split out",
        )
    return manifest.select(split=side)


def _judge(
    results: Sequence[ImageResult], card: ModelCard, draws: int, seed: int
) -> dict[str, Any]:
    points = {"low": card.operating_points.low, "high": card.operating_points.high}
    unit = "image" if card.input_kind is InputKind.LESION else "patient"
    bare = _without_age(results, card)
    return {
        **figures(results, draws=draws, seed=seed),
        "calibration": calibration_figures(results, draws=draws, seed=seed),
        **({"without_age": figures(bare, draws=draws, seed=seed)} if bare else {}),
        "operating_points": {
            name: operating_figures(results, point.threshold, unit=unit, draws=draws, seed=seed)
            for name, point in points.items()
        },
    }


def _without_age(results: Sequence[ImageResult], card: ModelCard) -> list[ImageResult]:
    """What the pictures alone say; empty if the model uses no age."""
    prior = card.calibration.age
    if prior is None:
        return []
    return [
        replace(one, scores=pool_breast(shift_odds((s.normal, s.benign, s.malignant), -added)))
        if (s := one.scores) and (added := prior.log_odds(one.age_years))
        else one
        for one in results
    ]


def _notes(manifest: Manifest, split: Split | None, n_unreadable: int) -> list[str]:
    notes = []
    if n_unreadable:
        notes.append(
            f"{n_unreadable} images could not be read: they have no score, count in no figure, "
            "and stand under unreadable"
        )
    if len({record.dataset for record in manifest.records}) > 1:
        notes.append(
            "figures over several data sets also measure how far the sources can be told apart; "
            "read them per data set"
        )
    if split is None:
        notes.append("rows of every split: whether the model was trained on some is not known here")
    return notes


def _write_predictions(results: Sequence[ImageResult], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(PREDICTION_COLUMNS)
        writer.writerows(prediction_row(result) for result in results)


def prediction_row(result: ImageResult) -> list[str | float]:
    """The cells of one image, in the order of `PREDICTION_COLUMNS`."""
    record, scores, failure = result.record, result.scores, result.unreadable
    return [
        record.dataset,
        record.image_id,
        record.patient_id,
        record.laterality.value if record.laterality else "",
        record.view_position.value if record.view_position else "",
        str(record.path),
        "" if record.tumour is None else int(record.tumour),
        "" if record.malignant is None else int(record.malignant),
        *(
            ("",) * 5
            if scores is None
            else (scores.normal, scores.benign, scores.malignant, scores.malignant, scores.tumour)
        ),
        "" if failure is None else f"{failure.error}: {failure.message}",
        "; ".join(str(caution) for caution in result.cautions),
    ]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"results cannot be written: {error.strerror}",
        source=str(out),
        keyword="out",
        remedy="Give a folder that you may write to",
    )
