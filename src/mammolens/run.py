"""One run from paths to finished results: the analysis poured into the sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mammolens.analysis import AnalysisOptions, analyze_paths, restate_threshold
from mammolens.errors import ConfigError, IncompleteExam
from mammolens.model import ModelCard, ModelPackage
from mammolens.sinks import RunInfo, RunSummary, TriageThreshold, find_sink, write_run

__all__ = ["describe_run", "run"]


def run(
    paths: Sequence[Path],
    out: Path,
    model: str | Path,
    sinks: Sequence[str],
    options: AnalysisOptions,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[RunSummary, RunInfo]:
    """Analyse everything under `paths` and write it to `out`.

    Settings are checked before anything is read.

    Parameters
    ----------
    model
        Name of a built-in model, or the path of a package.
    on_progress
        Called with (exams done, exams in all).

    Raises
    ------
    ConfigError
        A sink is unknown, none is named, or an option is impossible.
    ModelError
        The model cannot be used.
    DeliveryError
        The results cannot be written.
    IncompleteExam
        The paths hold no file that could be an image.
    """
    if not sinks:
        raise ConfigError("no output is asked for", keyword="sinks", remedy="Name one, as json")
    for name in sinks:
        find_sink(name)
    package = ModelPackage.load(model)
    info = describe_run(package, options.prevalence)
    stream = analyze_paths(paths, package, options, on_progress)
    summary = write_run(stream, out, info, sinks)
    if not summary.rows and not summary.n_unreadable:
        raise IncompleteExam(
            "there is no image, so nothing was analysed",
            source=", ".join(map(str, paths)),
            remedy="Give files, folders or zip archives that hold mammograms",
        )
    return summary, info


def describe_run(package: ModelPackage, prevalence: float | None) -> RunInfo:
    """Say what is true of every exam: the model, and its thresholds at the run's prevalence.

    The thresholds move with the probabilities, so that no exam changes its category.
    """
    card = package.card
    at = card.prior_malignant if prevalence is None else prevalence
    points = {"low": card.operating_points.low, "high": card.operating_points.high}
    return RunInfo(
        created=datetime.now(UTC),
        model=package.model_id,
        prevalence=at,
        thresholds=tuple(
            TriageThreshold(
                name,
                restate_threshold(point.threshold, card, at),
                point.sensitivity.value,
                point.specificity.value,
            )
            for name, point in points.items()
        ),
        model_summary=_summary(card),
    )


def _summary(card: ModelCard) -> str:
    trained = ", ".join(dataset.name for dataset in card.training.datasets)
    return f"Trained on {trained}. Known weaknesses: {' '.join(card.weaknesses)}"
