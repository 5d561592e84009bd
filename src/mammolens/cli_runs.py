"""Commands over several runs: cross-validation, votes, averaged weights (need the extra train)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["average", "crossvalidate", "ensemble", "need_training"]

RunFile = Annotated[Path, typer.Argument(metavar="RUN.toml", help="Configuration of the run.")]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs of one split.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")]
Folds = Annotated[int, typer.Option(min=2, metavar="N", help="How many folds of patients.")]
Inner = Annotated[
    bool, typer.Option("--inner", help="Cut the folds out of the run's training side alone.")
]
Trained = Annotated[
    bool, typer.Option("--trained", help="Train nothing: judge folds that were trained elsewhere.")
]
Shares = Annotated[
    list[float] | None,
    typer.Option("--share", metavar="X", help="How much a run counts, in their order; repeatable."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the run; repeatable."),
]


def crossvalidate(
    config: RunFile,
    out: Out,
    folds: Folds = 5,
    inner: Inner = False,
    trained: Trained = False,
    overrides: Overrides = None,
) -> None:
    """Train and judge each fold of patients in turn, or go on where it was cut off."""
    need_training()
    from mammolens import console
    from mammolens.bench.crossvalidate import crossvalidate

    found = crossvalidate(config, out, folds, overrides or [], _tell, inner=inner, trained=trained)
    console.show_evaluation(found)
    _tell(f"next: mammolens report {out}")
    raise typer.Exit(found.exit_code)


def ensemble(runs: Runs, out: Out) -> None:
    """Let runs vote on the patients that all of them held out, and judge the vote."""
    need_training()
    from mammolens import console
    from mammolens.bench.ensemble import evaluate_ensemble

    found = evaluate_ensemble(runs, out, _tell)
    console.show_evaluation(found)
    _tell(f"next: mammolens report {out}")
    raise typer.Exit(found.exit_code)


def average(runs: Runs, out: Out, shares: Shares = None) -> None:
    """Write a run whose weights are the mean of several runs' weights, ready to export."""
    need_training()
    from mammolens.learn.ensemble import average_runs

    typer.echo(average_runs(runs, out, _tell, shares=shares))


def need_training() -> None:
    """Refuse to go on where what training needs is not installed."""
    from mammolens import doctor

    doctor.need_training()


def _tell(line: str) -> None:
    typer.echo(line, err=True)
