"""Run an analysis from paths to result files: analyse the exams or regions, and write the sinks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mammolens.analysis import (
    AnalysisOptions,
    GivenPhotograph,
    RegionReport,
    analyze_paths,
    analyze_photographs,
    analyze_region_file,
    parse_region,
    restate_threshold,
)
from mammolens.clinical import read_fusion
from mammolens.errors import ConfigError, IncompleteExam, MissingInput
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.sinks import (
    RunInfo,
    RunSummary,
    TriageThreshold,
    find_sink,
    write_run,
)
from mammolens.sinks.regions import check_region_sinks, write_regions

__all__ = ["check_paths", "describe_run", "run_exams", "run_photographs", "run_regions"]


def run_exams(
    paths: Sequence[Path],
    out: Path,
    model: str | Path | None,
    sinks: Sequence[str],
    options: AnalysisOptions,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    clinical: Sequence[Path] = (),
    fusion: Path | None = None,
) -> tuple[RunSummary, RunInfo]:
    """Analyse all exams under `paths`, and write the results to the folder `out`.

    Settings are checked before any image is read.

    Parameters
    ----------
    paths
        Files, folders and zip archives.
    out
        Folder for the results.
    model
        Name of a built-in model, or the path of a package; ``None`` uses the default.
    sinks
        Names of the output formats.
    options
        Options of the analysis.
    on_progress
        Called with (finished exams, all exams).
    clinical
        Files with clinical data of the patients.
    fusion
        A fusion that adds them to the scores.

    Raises
    ------
    ConfigError
        If a sink is unknown or cannot be used, no sink is named, an option is impossible, or the
        fusion is of another model.
    MissingInput
        If a path does not exist.
    DataError
        If the clinical data have a fault.
    ModelError
        If the model cannot be used.
    StorageError
        If the results cannot be written.
    IncompleteExam
        If there is no file that could be an image.
    """
    package, info = _prepare_run(paths, model, sinks, options)
    options = with_clinical(options, package, clinical, fusion)
    stream = analyze_paths(paths, package, options, on_progress)
    summary = write_run(stream, out, info, sinks)
    if not summary.rows and not summary.n_unreadable:
        raise IncompleteExam(
            "there is no image, so nothing was analysed",
            source=", ".join(map(str, paths)),
            remedy="Give files, folders or zip archives with mammograms",
        )
    return summary, info


def run_photographs(
    photographs: Sequence[GivenPhotograph],
    out: Path,
    model: str | Path | None,
    sinks: Sequence[str],
    options: AnalysisOptions,
) -> tuple[RunSummary, RunInfo]:
    """Analyse photographs of the films of one exam, and write the results to the folder `out`.

    Parameters
    ----------
    photographs
        From `mammolens.analysis.parse_photographs`.
    out, model, sinks, options
        As for `run_exams`.

    Raises
    ------
    ConfigError, MissingInput, ModelError, StorageError
        As `run_exams`.
    """
    paths = [photograph.path for photograph in photographs]
    package, info = _prepare_run(paths, model, sinks, options)
    prediction = analyze_photographs(photographs, package, options)
    return write_run([prediction], out, info, sinks), info


def _prepare_run(
    paths: Sequence[Path], model: str | Path | None, sinks: Sequence[str], options: AnalysisOptions
) -> tuple[ModelPackage, RunInfo]:
    """Check all settings, and load the model."""
    if not sinks:
        raise ConfigError(
            "no output format is named", keyword="sinks", remedy="Name one, such as json"
        )
    for name in sinks:
        find_sink(name).check()
    if options.pseudonymise:
        _refuse_identified(sinks)
    check_paths(paths)
    package = ModelPackage.load(model or DEFAULT_MODEL)
    package.card.for_breasts()
    return package, describe_run(package, options.prevalence)


def with_clinical(
    options: AnalysisOptions,
    package: ModelPackage,
    clinical: Sequence[Path],
    fusion: Path | None,
) -> AnalysisOptions:
    """Read clinical data and a fusion for a model, and add them to the options.

    Raises
    ------
    DataError, MissingInput, ConfigError
        A file has a fault, or the fusion is of another model.
    """
    if fusion is not None:
        options = replace(options, fusion=read_fusion(fusion, package.model_id))
    if clinical:
        from mammolens.clinical.files import read_clinical  # the readers load the pathology grammar

        options = replace(options, clinical=read_clinical(clinical))
    return options


def check_paths(paths: Sequence[Path]) -> None:
    """Refuse paths that do not exist, before anything is read or written.

    Raises
    ------
    MissingInput
        With every missing path.
    """
    missing = [str(path) for path in paths if not os.path.exists(path)]  # noqa: PTH110
    if missing:
        raise MissingInput(
            f"{'this path does' if len(missing) == 1 else 'these paths do'} not exist: "
            f"{', '.join(missing)}",
            keyword="PATH",
            remedy="Check the spelling, and that the drive or share is mounted; nothing was "
            "analysed or written",
        )


def _refuse_identified(sinks: Sequence[str]) -> None:
    """Refuse sinks that need the patient: with a pseudonym, a result could not be assigned."""
    identified = [name for name in sinks if find_sink(name).identified]
    if identified:
        raise ConfigError(
            f"the outputs {', '.join(identified)} need the patient's identity, which pseudonyms"
            " hide",
            keyword="sinks",
            remedy="Leave out these sinks, or --pseudonymise",
        )


def run_regions(
    paths: Sequence[Path],
    regions: Sequence[str],
    out: Path,
    model: str | Path,
    sinks: Sequence[str],
    options: AnalysisOptions,
) -> tuple[RegionReport, list[Path]]:
    """Score marked regions of one image with a lesion model, and write the results to `out`.

    Parameters
    ----------
    paths
        One image file.
    regions
        Boxes as text, ``row0,col0,row1,col1``.
    out, sinks, options
        As for `run_exams`.
    model
        Name of a built-in model, or the path of a package.

    Raises
    ------
    ConfigError
        If there is not exactly one image, or a sink does not support regions.
    InputError
        If the image does not exist or cannot be read, or a box is impossible. Nothing is written.
    ModelError
        If the model cannot be used, or reads whole breasts.
    StorageError
        If the results cannot be written.
    """
    boxes = [parse_region(region) for region in regions]
    if len(paths) != 1:
        raise ConfigError(
            f"regions need exactly one image, but there are {len(paths)} paths",
            keyword="region",
            remedy="Give one image file with its regions",
        )
    check_region_sinks(sinks)
    check_paths(paths)
    package = ModelPackage.load(model)
    report = analyze_region_file(paths[0], boxes, package, options)
    info = describe_run(package, options.prevalence)
    return report, write_regions(report, out, info, sinks)


def describe_run(package: ModelPackage, prevalence: float | None) -> RunInfo:
    """Collect what is the same for all exams of a run: the model, prevalence and thresholds.

    Thresholds are converted to the prevalence like the probabilities, so no exam changes its
    category.

    Parameters
    ----------
    package
        The model.
    prevalence
        Share of malignant breasts at the site; ``None`` uses the one of the model's card.
    """
    card = package.card
    at = card.prior_malignant if prevalence is None else prevalence
    points = {"low": card.operating_points.low, "high": card.operating_points.high}
    return RunInfo(
        created=datetime.now(UTC),
        model=package.model_id,
        prevalence=at,
        prevalence_stated=prevalence is not None,
        thresholds=tuple(
            TriageThreshold(
                name,
                restate_threshold(point.threshold, card, at),
                point.sensitivity.value,
                point.specificity.value,
            )
            for name, point in points.items()
        ),
        model_summary=(
            f"Trained on {', '.join(dataset.name for dataset in card.training.datasets)}. "
            f"Known weaknesses: {' '.join(card.weaknesses)}"
        ),
        tumour_vouched=card.tumour_vouched,
    )
