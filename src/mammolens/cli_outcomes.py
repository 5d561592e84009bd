"""Commands about outcomes: the medical audit of a site."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import Out, names_in

__all__ = ["app", "audit", "fairness"]

app = typer.Typer(
    help="Set exams against what pathology found later.", no_args_is_help=True, add_completion=False
)

Exams = Annotated[
    Path, typer.Option(metavar="EXAMS.csv", help="Readers' table of a site, one row an image.")
]
Outcomes = Annotated[
    Path, typer.Option(metavar="OUTCOMES.csv", help="Outcomes by patient, breast and day.")
]
Ai = Annotated[
    Path | None,
    typer.Option(metavar="WORKLIST.csv", help="Answers of the AI from mammolens analyze."),
]
Edition = Annotated[
    str, typer.Option(metavar="NAME", help="What a positive screen is: 5th (0,3,4,5), 4th (0,4,5).")
]
Positive = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Categories of a positive screen, instead of an edition."),
]
By = Annotated[
    str, typer.Option(metavar="LIST", help="Groups: reader, site, machine, density, age.")
]
AiPositive = Annotated[
    str,
    typer.Option(metavar="RULE", help="The AI calls an exam: high, intermediate, or P(malignant)."),
]
CompleteUntil = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        metavar="DAY",
        help="Until when every outcome is in the table; else the day of the latest outcome.",
    ),
]
Who = Annotated[str, typer.Option(metavar="NAME", help="Who is judged: ai or readers.")]
Alpha = Annotated[
    float, typer.Option(metavar="P", help="Chance of any false alarm, over all looks and groups.")
]


@app.callback()
def _group() -> None:
    pass


@app.command()
def audit(
    exams: Exams,
    outcomes: Outcomes,
    out: Out,
    edition: Edition = "5th",
    positive: Positive = None,
    by: By = "reader,site,machine,density,age",
    ai: Ai = None,
    ai_positive: AiPositive = "high",
    complete_until: CompleteUntil = None,
) -> None:
    """Make the BI-RADS medical audit of a site (page and PDF need the extra report)."""
    from mammolens import console
    from mammolens.bench.report import write_report
    from mammolens.outcomes import Settings, write_audit

    until = complete_until.date() if complete_until else None
    settings = Settings(edition, positive, tuple(names_in(by)), ai_positive, until)
    _, files = write_audit(exams, outcomes, out, settings, ai=ai)
    console.show_written((*files, *write_report(out)))


@app.command()
def fairness(
    exams: Exams,
    outcomes: Outcomes,
    out: Out,
    who: Who = "ai",
    by: By = "site,machine,density,age",
    edition: Edition = "5th",
    positive: Positive = None,
    ai: Ai = None,
    ai_positive: AiPositive = "high",
    complete_until: CompleteUntil = None,
    alpha: Alpha = 0.05,
) -> None:
    """Watch subgroups over time: valid at every look, however often it is run."""
    from mammolens import console
    from mammolens.outcomes import FairnessSettings, write_fairness

    until = complete_until.date() if complete_until else None
    settings = FairnessSettings(tuple(names_in(by)), who, ai_positive, edition, positive, alpha)
    found, files = write_fairness(exams, outcomes, out, settings, complete_until=until, ai=ai)
    console.show_alarms(found)
    console.show_written(files)
