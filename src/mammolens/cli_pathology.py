"""The commands of ``mammolens pathology``: read reports of biopsies and operations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Read pathology reports into outcomes.")

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


@app.callback()
def root() -> None:
    pass


@app.command()
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
