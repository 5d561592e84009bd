"""Commands over several runs: cross-validation, votes, averaged weights (need the extra train)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import Out, Overrides, RunFile, print_progress
from mammolens.extras import need_extra

__all__ = ["average", "crossvalidate", "ensemble"]

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs of one split.")
]
Folds = Annotated[int, typer.Option(min=2, metavar="N", help="How many folds of patients.")]
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


def crossvalidate(
    config: RunFile,
    out: Out,
    folds: Folds = 5,
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


def ensemble(runs: Runs, out: Out) -> None:
    """Evaluate the mean score of runs on the patients that all of them held out."""
    need_extra("train")
    from mammolens import console
    from mammolens.bench.ensemble import evaluate_ensemble

    found = evaluate_ensemble(runs, out, print_progress)
    console.show_evaluation(found)
    print_progress(f"next: mammolens report {out}")
    raise typer.Exit(found.exit_code)


def average(runs: Runs, out: Out, shares: Shares = None) -> None:
    """Write a run whose weights are the mean of several runs' weights, ready to export."""
    need_extra("train")
    from mammolens.learn.ensemble import average_runs

    typer.echo(average_runs(runs, out, print_progress, shares=shares))
