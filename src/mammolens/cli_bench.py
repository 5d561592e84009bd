"""Commands of the bench: measure a model on labelled images, with intervals over patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Built-in model or model package.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")]
Jobs = Annotated[int, typer.Option(min=1, metavar="N", help="How many to work on at a time.")]
Tables = Annotated[
    list[Path],
    typer.Option(metavar="TABLE.csv", help="Labelled images, or a RUN.toml; repeatable."),
]
Split = Annotated[str | None, typer.Option(metavar="S", help="Only this side of the split.")]


def evaluate(model: Model, manifest: Tables, out: Out, split: Split = None, jobs: Jobs = 1) -> None:
    """Measure a model on a table of labelled images, with intervals over patients."""
    from mammolens import console
    from mammolens.bench import evaluate

    with console.progress_bar("images") as on_progress:
        summary = evaluate.run(model, manifest, out, split, jobs, on_progress)
    console.show_evaluation(summary)
    raise typer.Exit(summary.exit_code)
