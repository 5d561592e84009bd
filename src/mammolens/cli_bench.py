"""Commands of the bench: measure a model on labelled images, with intervals over patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import Jobs, Out, Overrides, RunFile, names_in, pairs_in, print_progress
from mammolens.extras import need_extra

__all__ = ["average", "compare", "crossvalidate", "ensemble", "evaluate", "explain", "report"]

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Built-in model or model package.")]
Tables = Annotated[
    list[Path],
    typer.Option(metavar="TABLE.csv", help="Labelled images, or a RUN.toml; repeatable."),
]
Split = Annotated[str | None, typer.Option(metavar="S", help="Only this side of the split.")]
MaybeModel = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="Built-in model or package; none with --predictions."),
]
Predictions = Annotated[
    Path | None, typer.Option(metavar="FILE.csv", help="Judge these scores; score nothing.")
]
FitSplit = Annotated[
    str | None,
    typer.Option(metavar="S", help="Side on which thresholds are fixed; else cross-fitted."),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=VALUE",
        help="Wanted: sensitivity=, specificity=, recall= (share of patients), or cost= (false"
        " recalls that a missed cancer weighs); repeatable.",
    ),
]
Prevalence = Annotated[
    float, typer.Option(metavar="P", help="Share of cancers for PPV, workload and net benefit.")
]
Coverage = Annotated[
    float, typer.Option(metavar="C", help="What answers with an 'unsure' promise of each class.")
]
Robustness = Annotated[
    int, typer.Option(min=0, metavar="N", help="Alter so many of the images, and measure it.")
]
Mitigate = Annotated[
    str | None,
    typer.Option(
        metavar="REMEDY:AXIS",
        help="Measure recalibrate, reweight or thresholds by a group, as in recalibrate:density.",
    ),
]
SourceProbe = Annotated[
    bool, typer.Option("--source-probe", help="Measure how well the source can be recognised.")
]

Methods = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Which ways to explain, by commas; all if left out."),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Images with lesions at most, and as many without."),
]
Slow = Annotated[
    int, typer.Option(min=1, metavar="N", help="Images for the slow methods and for deletion.")
]

Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN [RUN]",
        help="Folder of an evaluation, cross-validation, vote or comparison; or two evaluations.",
    ),
]
ReportOut = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder for it; for two, always.")
]
Common = Annotated[
    bool,
    typer.Option("--common", help="Pair the images that both have, though their tables differ."),
]

JudgedData = Annotated[
    Path,
    typer.Argument(metavar="TABLE|RUN.toml", help="A table with a column split, or a run."),
]
Models = Annotated[
    str,
    typer.Option(
        metavar="LIST", help="Of svm, tree, knn, forest, logistic, and model packages; by commas."
    ),
]
Features = Annotated[
    str, typer.Option(metavar="LIST", help="Of handcrafted, cnn, handcrafted+cnn; by commas.")
]
Side = Annotated[str, typer.Option(metavar="S", help="Side that is judged: all takes every row.")]
Folds = Annotated[int, typer.Option(min=2, metavar="N", help="Folds of the training patients.")]
Reference = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Model to set against the others; else the first package."),
]
Proofs = Annotated[
    list[str] | None,
    typer.Option(
        "--proof", metavar="NAME=RUN", help="Run or table with a package's split; repeatable."
    ),
]
Trusted = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="NAME", help="Judge this package unproven; repeatable."),
]
Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of prepared pictures and features.")
]
RunFolders = Annotated[
    list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs of one split.")
]
FoldCount = Annotated[int, typer.Option(min=2, metavar="N", help="How many folds of patients.")]
Inner = Annotated[
    bool, typer.Option("--inner", help="Take the folds from the training patients of the run only.")
]
Trained = Annotated[
    bool,
    typer.Option("--trained", help="Only evaluate folds that were trained elsewhere."),
]
Shares = Annotated[
    list[float] | None,
    typer.Option("--share", metavar="X", help="Weight of each run, in their order; repeatable."),
]


def compare(
    table: JudgedData,
    out: Out,
    models: Models,
    features: Features = "handcrafted,cnn",
    split: Side = "validation",
    folds: Folds = 5,
    reference: Reference = None,
    proof: Proofs = None,
    trust: Trusted = None,
    cache: Cache = None,
    jobs: Jobs = 1,
) -> None:
    """Compare packages and classical classifiers on the same rows (needs the extra train)."""
    need_extra("train")
    from mammolens import console
    from mammolens.bench.comparison import ComparisonSettings, compare

    proofs = {name: Path(path) for name, path in pairs_in(proof, "--proof").items()}
    settings = ComparisonSettings(
        *(table, tuple(names_in(models)), tuple(names_in(features)), split, folds, reference),
        *(proofs, tuple(trust or []), cache, jobs),
    )
    console.show_comparison(compare(settings, out, print_progress))
    print_progress(f"next: mammolens report {out}")


def evaluate(
    manifest: Tables,
    out: Out,
    model: MaybeModel = None,
    predictions: Predictions = None,
    split: Split = None,
    fit_split: FitSplit = None,
    point: Points = None,
    prevalence: Prevalence = 0.005,
    coverage: Coverage = 0.9,
    robustness: Robustness = 0,
    mitigate: Mitigate = None,
    source_probe: SourceProbe = False,
    jobs: Jobs = 1,
) -> None:
    """Measure a model, or scores made elsewhere, on a table of labelled images."""
    from mammolens import console
    from mammolens.bench import evaluate
    from mammolens.bench.settings import Settings

    asked = (robustness, mitigate, source_probe)
    settings = Settings.read(point, prevalence, coverage, fit_split, *asked)
    with console.progress_bar("images") as on_progress:
        summary = evaluate.run(
            *(model, manifest, out, split, jobs, on_progress),
            predictions=predictions,
            settings=settings,
        )
    console.show_evaluation(summary)
    raise typer.Exit(summary.exit_code)


def explain(
    model: Model,
    manifest: Tables,
    out: Out,
    methods: Methods = None,
    split: Split = None,
    limit: Limit = None,
    slow: Slow = 12,
) -> None:
    """Measure ways to explain a model on marked lesions (needs the extra train)."""
    need_extra("train")
    from mammolens import console
    from mammolens.bench.explaining.explanations import explain_model

    written = explain_model(
        model,
        manifest,
        out,
        methods=names_in(methods),
        split=split,
        limit=limit,
        slow=slow,
        on_progress=print_progress,
    )
    console.show_written(written)


def report(runs: Runs, out: ReportOut = None, common: Common = False) -> None:
    """Write the report of results, or set two evaluations side by side (needs the extra report)."""
    from mammolens import console
    from mammolens.bench import report

    console.show_written(report.write_reports(runs, out, common))


def crossvalidate(
    config: RunFile,
    out: Out,
    folds: FoldCount = 5,
    inner: Inner = False,
    trained: Trained = False,
    overrides: Overrides = None,
) -> None:
    """Train and evaluate each fold of patients in turn; an interrupted run is continued."""
    need_extra("train")
    from mammolens import console
    from mammolens.bench.crossvalidate import crossvalidate

    changes = overrides or []
    found = crossvalidate(config, out, folds, changes, print_progress, inner=inner, trained=trained)
    console.show_evaluation(found)
    print_progress(f"next: mammolens report {out}")
    raise typer.Exit(found.exit_code)


def ensemble(runs: RunFolders, out: Out) -> None:
    """Evaluate the mean score of runs on the patients that all of them held out."""
    need_extra("train")
    from mammolens import console
    from mammolens.bench.crossvalidate import evaluate_ensemble

    found = evaluate_ensemble(runs, out, print_progress)
    console.show_evaluation(found)
    print_progress(f"next: mammolens report {out}")
    raise typer.Exit(found.exit_code)


def average(runs: RunFolders, out: Out, shares: Shares = None) -> None:
    """Write a run whose weights are the mean of several runs' weights, ready to export."""
    need_extra("train")
    from mammolens.learn.ensemble import average_runs

    typer.echo(average_runs(runs, out, print_progress, shares=shares))
