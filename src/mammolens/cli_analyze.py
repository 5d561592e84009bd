"""`mammolens analyze`: exams, an archive, marked regions of an image, or photographs of films."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mammolens.cli_options import Cluster, Jobs, Out, Tls, names_in
from mammolens.extras import need_extra
from mammolens.sinks import needs_pictures, sink_names

if TYPE_CHECKING:
    from mammolens.analysis import AnalysisOptions

__all__ = ["analyze"]

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Images, folders (searched through), zip archives."),
]
Sample = Annotated[bool, typer.Option("--sample", help="Read the two sample exams instead.")]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="Built-in model or model package; else the default."),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="R0,C0,R1,C1", help="Score this box of one image; repeatable."
    ),
]
Photographs = Annotated[
    list[str] | None,
    typer.Option(
        "--photograph",
        metavar="VIEW=FILE",
        help="Photograph of a film on a light box, such as RCC=a.jpg; repeatable, one exam.",
    ),
]
Sinks = Annotated[
    str,
    typer.Option(metavar="LIST", help=f"Which of {', '.join(sink_names())}; separated by commas."),
]
Prevalence = Annotated[
    float | None,
    typer.Option(metavar="P", help="Restate probabilities for this share of breasts with cancer."),
]
Pseudonymise = Annotated[
    bool, typer.Option("--pseudonymise", help="Write hashes instead of patient ids and UIDs.")
]
TimeLimit = Annotated[
    float,
    typer.Option(min=1.0, metavar="S", help="Most seconds for one exam; then it has failed."),
]
CompleteViews = Annotated[
    str,
    typer.Option(
        metavar="LIST",
        help="Views without which an exam is never low. Name fewer only if the exam is complete"
        " without the others: one-view screening, or a breast that was removed.",
    ),
]
Clinical = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Clinical data: CSV, Excel, HL7 v2, FHIR R4; repeatable."),
]
Fusion = Annotated[
    Path | None,
    typer.Option(
        metavar="FUSION.json", help="Add the clinical data to the scores with this fusion."
    ),
]
Risk = Annotated[
    bool,
    typer.Option("--risk", help="State the 5-year risk (BCRAT) too; it is no part of the scores."),
]
_SINKS = "json,csv,overlay,html"


def analyze(
    out: Out,
    paths: Paths = None,
    sample: Sample = False,
    model: Model = None,
    region: Regions = None,
    photograph: Photographs = None,
    sinks: Sinks = _SINKS,
    jobs: Jobs = 1,
    prevalence: Prevalence = None,
    pseudonymise: Pseudonymise = False,
    time_limit: TimeLimit = 300.0,
    complete_views: CompleteViews = "RCC,LCC,RMLO,LMLO",
    clinical: Clinical = None,
    fusion: Fusion = None,
    risk: Risk = False,
    cluster: Cluster = None,
    tls: Tls = None,
) -> None:
    """Analyse exams, marked regions of one image, or photographs of films."""
    names = names_in(sinks)
    found = [] if photograph and not (paths or sample) else _inputs(paths or [], sample)
    ways = jobs, prevalence, pseudonymise, time_limit, needs_pictures(names)
    job = _Job(out, model, names, _options(ways, complete_views, risk))
    if photograph:
        if found or region or clinical or fusion or cluster:
            raise typer.BadParameter("give photographs alone", param_hint="--photograph")
        return _photographs(job, photograph)
    if cluster is not None:
        if region or sinks != _SINKS or jobs != 1 or clinical or fusion:
            words = "writes Parquet alone, its workers are the jobs, without clinical data"
            raise typer.BadParameter(words, param_hint="--cluster")
        return _archive(job, found, cluster, tls)
    if region:
        return _regions(job, found, region)
    return _exams(job, found, clinical or [], fusion)


class _Job(NamedTuple):
    """What all ways of analysing need."""

    out: Path
    model: str | None
    sinks: list[str]
    options: AnalysisOptions


def _options(
    ways: tuple[int, float | None, bool, float, bool], complete_views: str, risk: bool
) -> AnalysisOptions:
    """Give the options of an analysis; `ways` are its first five fields."""
    from mammolens.analysis import AnalysisOptions
    from mammolens.exams import parse_views

    return AnalysisOptions(*ways, parse_views(names_in(complete_views)), risk=risk)


def _photographs(job: _Job, pictures: list[str]) -> None:
    from mammolens import console
    from mammolens.analysis import parse_photographs
    from mammolens.run import run_photographs

    summary, info = run_photographs(parse_photographs(pictures), *job)
    console.show_run(summary, info)
    raise typer.Exit(summary.exit_code)


def _archive(job: _Job, paths: list[Path], cluster: str, tls: Path | None) -> None:
    need_extra("scale")
    from mammolens import console
    from mammolens.scale import analyze_archive

    options = replace(job.options, display=False)
    with console.progress_bar("files found, then exams") as on_progress:
        summary = analyze_archive(paths, job.out, job.model, options, cluster, tls, on_progress)
    console.show_archive(summary)
    raise typer.Exit(summary.exit_code)


def _regions(job: _Job, paths: list[Path], marked: list[str]) -> None:
    from mammolens import console
    from mammolens.model import LESION_MODEL
    from mammolens.run import run_regions

    model = job.model or LESION_MODEL
    console.show_regions(*run_regions(paths, marked, job.out, model, job.sinks, job.options))


def _exams(job: _Job, paths: list[Path], clinical: list[Path], fusion: Path | None) -> None:
    from mammolens import console
    from mammolens.run import run_exams

    with console.progress_bar("exams") as on_progress:
        summary, info = run_exams(paths, *job, on_progress, clinical, fusion)
    console.show_run(summary, info)
    raise typer.Exit(summary.exit_code)


def _inputs(paths: list[Path], sample: bool) -> list[Path]:
    """Give the paths, or those of the sample exams."""
    if bool(paths) == sample:
        raise typer.BadParameter("give either paths or --sample", param_hint="PATH")
    if not sample:
        return paths
    from mammolens.api import sample_exams

    return [sample_exams()]
