"""`mammolens evaluate`: a model and a table of labelled images → figures, predictions, report.

A table without a split column is judged whole. A run's TOML file may be given instead of a table:
its tables, exclusions and split are then used, and the digest of the split in the model's card
proves that the model was trained with them. Scores may also be read from a file
(`bench.evaluation_files`). The figures are computed in `bench.sections`;
docs/reference/evaluation.md describes ``metrics.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mammolens.bench.cases import CaseKeeper, Seen
from mammolens.bench.caveats import caveats, refuse_other_split
from mammolens.bench.evaluation_files import (
    EvaluationSummary,
    bootstrap_facts,
    read_predictions,
    write_evaluation,
)
from mammolens.bench.evidence import Evidence
from mammolens.bench.further_sections import check_requests, further_sections
from mammolens.bench.report import write_report
from mammolens.bench.scoring import score_records
from mammolens.bench.sections import judge, warnings_of
from mammolens.bench.settings import Settings, read_split
from mammolens.bench.units import TASKS
from mammolens.core import InputKind
from mammolens.data.manifest import Manifest, Split
from mammolens.data.regions import region_records
from mammolens.data.splits import refuse_leak, split_digest
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.files import storage
from mammolens.model import ModelPackage, read_patients

__all__ = ["SCHEMA", "EvaluationSummary", "publish", "read_tables", "run"]

SCHEMA = "mammolens.evaluation/2"


def run(
    model: str | None,
    manifest: Path | Sequence[Path],
    out: Path,
    split: str | None = None,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    *,
    predictions: Path | None = None,
    settings: Settings | None = None,
) -> EvaluationSummary:
    """Score the images of a table, or read their scores, and write the results.

    Parameters
    ----------
    model
        Name of a built-in model, or path of a package; ``None`` with `predictions`, if their
        model is not a package.
    manifest
        One or several CSV tables, or one run's TOML file.
    out
        Folder for ``metrics.json`` and ``predictions.csv``; it is created if it does not exist.
    split
        ``train``, ``validation`` or ``test``; ``None`` takes every row.
    jobs
        Number of images that are decoded at the same time.
    predictions
        A CSV file of scores, instead of scoring.
    settings
        The requested figures. If a side to fit on is named, it is scored too, but not judged.

    Raises
    ------
    InvalidManifest, PatientLeak
        If a table or the predictions are faulty, the split does not exist, or it is not the split
        of the model's card.
    ConfigError
        If a setting is impossible.
    StorageError
        If `out` cannot be written.
    BadModelPackage, ContractMismatch
        If the model cannot be used.
    """
    chosen_settings = settings or Settings()
    side = read_split(split)
    _check_sides(side, chosen_settings.fit_split)
    package = _package(model, predictions)
    known = None if model is None else read_patients(model)
    check_requests(chosen_settings, package)
    with storage(out, "the results", keyword="--out"):
        out.mkdir(parents=True, exist_ok=True)
    tables = [manifest] if isinstance(manifest, Path) else list(manifest)
    whole = read_tables(tables)
    if package and package.card.input_kind is InputKind.LESION:
        whole = region_records(whole)
    if side is not None and package and tables[0].suffix.lower() == ".toml":
        card = package.card
        refuse_other_split(whole, card.training.split_digest, card.name, str(tables[0]))
    judged = whole if side is None else _select(whole, side, tables)
    fit_split = chosen_settings.fit_split
    fit_side = None if fit_split is None else _select(whole, fit_split, tables)
    records = (*judged.records, *(fit_side.records if fit_side else ()))
    tasks: tuple[str, ...] = TASKS
    keeper = CaseKeeper(judged.records, chosen_settings.cases)
    if predictions is not None:
        digests = [one.digest for one in (whole, judged, fit_side) if one]
        given = read_predictions(predictions, whole.records, digests)
        results, tasks = given.results(records), given.tasks
    else:
        assert package is not None
        results = score_records(
            package, records, jobs=jobs, on_progress=on_progress, on_scored=keeper.add
        )
    evidence = Evidence(
        results[: len(judged.records)],
        chosen_settings,
        results[len(judged.records) :] if fit_side else None,
        package.card if package else None,
        tasks,
        known,
    )
    return publish(
        *(evidence, judged, out),
        whole=whole,
        split=side,
        package=package,
        predictions=predictions,
        on_progress=on_progress,
        seen=keeper.seen,
    )


def publish(
    evidence: Evidence,
    manifest: Manifest,
    out: Path,
    *,
    whole: Manifest | None = None,
    split: Split | None = None,
    package: ModelPackage | None = None,
    predictions: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    seen: Mapping[tuple[str, str], Seen] | None = None,
) -> EvaluationSummary:
    """Judge scored images, and write figures, predictions and a report.

    Parameters
    ----------
    evidence
        The scored images of `manifest`, in its order.
    out
        Folder for ``metrics.json``, ``predictions.csv``, ``cases/`` and the report.
    whole
        The table or run that `manifest` is a side of; it shows which patients the model learned
        from.
    split, predictions
        The selected side, and the file of the scores; both are only recorded.
    package
        The model that gave the scores, if pictures are to be scored again.
    seen
        Pictures that a `bench.cases.CaseKeeper` has kept; they are not read again.

    Raises
    ------
    ConfigError
        If a setting is impossible.
    StorageError
        If `out` cannot be written.
    """
    results, settings = evidence.results, evidence.settings
    names = sorted({record.dataset for record in manifest.records})
    parts = {name: evidence.of_dataset(name) for name in names} if len(names) > 1 else {}
    judged = judge(evidence)
    metrics = {
        "model": asdict(package.model_id) if package else None,
        "predictions": _origin(predictions) if predictions else None,
        "prevalence": package.card.prior_malignant if package else None,
        "manifest_digest": manifest.digest,
        "split": split.value if split else None,
        "split_digest": split_digest(manifest),
        "settings": {
            "points": [point.name for point in settings.points],
            "prevalence": settings.prevalence,
            "coverage": settings.coverage,
            "fit_split": settings.fit_split.value if settings.fit_split else None,
        },
        "bootstrap": bootstrap_facts(settings.draws, settings.seed),
        "notes": [
            *caveats(evidence, manifest, split, whole),
            *(
                warning
                for name, part in (parts or {names[0]: evidence}).items()
                for warning in warnings_of(part, name)
            ),
            *(str(caution) for caution in manifest.cautions),
        ],
        **judged,
        "datasets": {name: judge(part) for name, part in parts.items()} or {names[0]: judged},
        **further_sections(evidence, package, out, on_progress, seen),
    }
    summary = write_evaluation(out, SCHEMA, results, metrics)
    try:
        return replace(summary, report_paths=write_report(out))
    except ConfigError as error:  # the extra `report` is not installed
        summary.metrics["notes"].append(f"no report was written: {error}")
        return summary


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


def _select(manifest: Manifest, side: Split, tables: Sequence[Path]) -> Manifest:
    if not any(record.split is side for record in manifest.records):
        raise InvalidManifest(
            f"no row belongs to the split {side.value!r}",
            source=", ".join(map(str, tables)),
            keyword="split",
            remedy="Add a split column, give the run's TOML file, or leave --split out",
        )
    return manifest.select(split=side)


def _check_sides(judged: Split | None, fitted: Split | None) -> None:
    if fitted is not None and (judged is None or judged is fitted):
        raise ConfigError(
            "thresholds must be fixed on other patients than those who are judged",
            keyword="fit-split",
            remedy="Give --split another side, or leave --fit-split out to cross-fit",
        )


def _package(model: str | None, predictions: Path | None) -> ModelPackage | None:
    if model is None and predictions is None:
        raise ConfigError(
            "neither a model nor predictions were given",
            keyword="MODEL",
            remedy="Name a model, or give --predictions FILE.csv",
        )
    return None if model is None else ModelPackage.load(model)


def _origin(predictions: Path) -> dict[str, str]:
    try:
        content = predictions.read_bytes()
    except OSError as error:  # `read_predictions` could read it, but it may be gone since
        raise InvalidManifest(
            f"the predictions can no longer be read: {error}",
            source=str(predictions),
            remedy="Leave the file in its place until the evaluation has ended",
        ) from error
    return {"path": str(predictions), "sha256": hashlib.sha256(content).hexdigest()}
