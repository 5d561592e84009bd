"""Commands about clinical data: fit and judge their fusion with the images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import names_in

__all__ = ["app"]

app = typer.Typer(
    help="Fit and judge a fusion of image scores with clinical data.",
    no_args_is_help=True,
    add_completion=False,
)

Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="Breasts with labels, image scores, clinical data.")
]
Fusion = Annotated[
    Path, typer.Option("--out", "-o", metavar="FUSION.json", help="Fusion to write.")
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="Model package of the image scores; else the default."),
]
Inputs = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Inputs to use, separated by commas; else all of the table."),
]
Applied = Annotated[
    Path | None,
    typer.Option("--fusion", metavar="FUSION.json", help="Judge this one; else fit it in folds."),
]


@app.command()
def fit(table: Table, out: Fusion, model: Model = None, inputs: Inputs = None) -> None:
    """Fit a fusion; the image scores must be of patients whom the model did not learn from."""
    from mammolens import console_clinical
    from mammolens.clinical.fitting import fit_fusion
    from mammolens.clinical.fusion import write_fusion
    from mammolens.model import DEFAULT_MODEL, ModelPackage

    package = ModelPackage.load(model or DEFAULT_MODEL)
    fusion = fit_fusion(table, package.model_id, names_in(inputs))
    console_clinical.show_fusion(fusion, write_fusion(fusion, out))


@app.command()
def evaluate(
    table: Table, model: Model = None, fusion: Applied = None, inputs: Inputs = None
) -> None:
    """Compare the fusion with the images alone: AUC by fold, paired difference, interval."""
    from mammolens import console_clinical
    from mammolens.clinical.fitting import evaluate_fusion
    from mammolens.clinical.fusion import read_fusion
    from mammolens.model import DEFAULT_MODEL, ModelPackage

    applied = None
    if fusion is not None:
        applied = read_fusion(fusion, ModelPackage.load(model or DEFAULT_MODEL).model_id)
    console_clinical.show_judgement(evaluate_fusion(table, applied, names_in(inputs)))
