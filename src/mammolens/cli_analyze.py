"""What `mammolens analyze` calls, by what it is given: exams, an archive, regions, photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mammolens.cli_options import names_in
from mammolens.extras import need_extra

if TYPE_CHECKING:
    from mammolens.analysis import AnalysisOptions

__all__ = ["archive", "exams", "inputs", "options", "photographs", "regions"]


def archive(
    paths: list[Path],
    out: Path,
    model: str | None,
    options: AnalysisOptions,
    cluster: str,
    tls: Path | None,
) -> None:
    """Analyse an archive on a cluster, and end the command with its exit code."""
    need_extra("scale")
    from mammolens import console
    from mammolens.scale import analyze_archive

    options = replace(options, display=False)
    with console.progress_bar("files found, then exams") as on_progress:
        summary = analyze_archive(paths, out, model, options, cluster, tls, on_progress)
    console.show_archive(summary)
    raise typer.Exit(summary.exit_code)


def regions(
    paths: list[Path],
    marked: list[str],
    out: Path,
    model: str | None,
    sinks: list[str],
    options: AnalysisOptions,
) -> None:
    """Analyse marked regions of one image."""
    from mammolens import console
    from mammolens.model import LESION_MODEL
    from mammolens.run import run_regions

    report, files = run_regions(paths, marked, out, model or LESION_MODEL, sinks, options)
    console.show_regions(report, files)


def options(
    ways: tuple[int, float | None, bool, float, bool], complete_views: str, risk: bool
) -> AnalysisOptions:
    """Give the options of an analysis; `ways` are its first five fields."""
    from mammolens.analysis import AnalysisOptions
    from mammolens.exams import parse_views

    return AnalysisOptions(*ways, parse_views(names_in(complete_views)), risk=risk)


def exams(
    paths: list[Path],
    out: Path,
    model: str | None,
    names: list[str],
    options: AnalysisOptions,
    clinical: list[Path] | None,
    fusion: Path | None,
) -> None:
    """Analyse exams, and end the command with its exit code."""
    from mammolens import console
    from mammolens.run import run_exams

    beside = tuple(clinical or ()), fusion
    with console.progress_bar("exams") as on_progress:
        summary, info = run_exams(paths, out, model, names, options, on_progress, *beside)
    console.show_run(summary, info)
    raise typer.Exit(summary.exit_code)


def photographs(
    pictures: list[str],
    others: object,
    out: Path,
    model: str | None,
    sinks: list[str],
    options: AnalysisOptions,
) -> None:
    """Analyse photographs of one exam's films, and end the command with its exit code."""
    if others:
        raise typer.BadParameter("give photographs alone", param_hint="--photograph")
    from mammolens import console
    from mammolens.analysis import parse_photographs
    from mammolens.run import run_photographs

    given = parse_photographs(pictures)
    summary, info = run_photographs(given, out, model, sinks, options)
    console.show_run(summary, info)
    raise typer.Exit(summary.exit_code)


def inputs(paths: list[Path], sample: bool) -> list[Path]:
    """Give the paths, or those of the sample exams."""
    if bool(paths) == sample:
        raise typer.BadParameter("give either paths or --sample", param_hint="PATH")
    if not sample:
        return paths
    from mammolens.api import sample_exams

    return [sample_exams()]
