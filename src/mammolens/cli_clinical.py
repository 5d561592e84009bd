"""Commands about what else is known of a patient: clinical data, and pathology reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import names_in

__all__ = ["app", "pathology"]

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
    from mammolens import console_models
    from mammolens.clinical.fitting import fit_fusion
    from mammolens.clinical.fusion import write_fusion
    from mammolens.model import DEFAULT_MODEL, ModelPackage

    package = ModelPackage.load(model or DEFAULT_MODEL)
    fusion = fit_fusion(table, package.model_id, names_in(inputs))
    console_models.show_fusion(fusion, write_fusion(fusion, out))


@app.command()
def evaluate(
    table: Table, model: Model = None, fusion: Applied = None, inputs: Inputs = None
) -> None:
    """Compare the fusion with the images alone: AUC by fold, paired difference, interval."""
    from mammolens import console_models
    from mammolens.clinical.fitting import evaluate_fusion
    from mammolens.clinical.fusion import read_fusion
    from mammolens.model import DEFAULT_MODEL, ModelPackage

    applied = None
    if fusion is not None:
        applied = read_fusion(fusion, ModelPackage.load(model or DEFAULT_MODEL).model_id)
    console_models.show_judgement(evaluate_fusion(table, applied, names_in(inputs)))


pathology = typer.Typer(help="Read pathology reports into outcomes.")

Reports = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...", help="Text, CSV, Excel, HL7 v2 or FHIR R4 files; folders are searched."
    ),
]
OutcomesOut = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="New file: .csv or .json.")
]
PatientId = Annotated[
    str | None,
    typer.Option("--patient", metavar="ID", help="Refuse reports that do not name this patient."),
]


@pathology.callback()
def _group() -> None:
    pass


@pathology.command()
def read(paths: Reports, out: OutcomesOut, patient: PatientId = None) -> None:
    """Read reports and write the outcome of each specimen with the sentence that proves it."""
    from mammolens import console
    from mammolens.pathology.outcomes import read_paths, write_outcomes
    from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

    found = read_paths(paths, patient_id=patient)
    written = write_outcomes(found, out)
    for failure in found.failures:
        typer.echo(str(failure), err=True)
    specimens = sum(len(one.reading.specimens) for one in found.outcomes)
    typer.echo(
        f"{len(found.outcomes)} reports, {specimens} specimens; {found.queue} reports need a"
        f" person; {len(found.failures)} were not read"
    )
    console.show_written([written])
    raise typer.Exit(EXIT_INCOMPLETE if found.failures else EXIT_OK)
