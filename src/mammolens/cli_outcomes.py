"""Commands about outcomes: the medical audit of a site."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammolens.cli_node_questions import Config, opened_to_read
from mammolens.cli_options import Out, names_in

if TYPE_CHECKING:
    from mammolens.outcomes import Case, Exam

__all__ = ["app", "audit", "choose", "fairness", "manifest", "shadow", "thresholds"]

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

Since = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="First day of the exams."),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Last day of the exams."),
]

ManifestOut = Annotated[
    Path, typer.Option("--out", "-o", metavar="MANIFEST.csv", help="New manifest.")
]
ChoiceOut = Annotated[Path, typer.Option("--out", "-o", metavar="CHOICE.csv", help="New table.")]
JsonOut = Annotated[Path, typer.Option("--out", "-o", metavar="FILE.json", help="New file.")]


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
    since: Since = None,
    until: Until = None,
) -> None:
    """Make the BI-RADS medical audit of a site (page and PDF need the extra report)."""
    from mammolens import console
    from mammolens.bench.report import write_report
    from mammolens.outcomes import Settings, write_audit

    settings = Settings(
        edition,
        positive,
        tuple(names_in(by)),
        ai_positive,
        complete_until and complete_until.date(),
        since=since and since.date(),
        until=until and until.date(),
    )
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


@app.command()
def manifest(
    exams: Exams, outcomes: Outcomes, out: ManifestOut, complete_until: CompleteUntil = None
) -> None:
    """Turn outcomes into a manifest of labelled images for the bench and for training."""
    from datetime import date

    from mammolens import console
    from mammolens.data.manifest import Manifest
    from mammolens.outcomes import write_outcome_manifest

    until = complete_until and complete_until.date()
    made, counts = write_outcome_manifest(exams, outcomes, out, until, date.today())
    Manifest.read(made)
    typer.echo(", ".join(f"{n} images {what}" for what, n in sorted(counts.items())))
    console.show_written([made])


@app.command()
def choose(
    exams: Exams,
    outcomes: Outcomes,
    out: ChoiceOut,
    n: Annotated[int, typer.Option("--n", min=2, help="How many exams to choose.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    ai_positive: AiPositive = "high",
    complete_until: CompleteUntil = None,
) -> None:
    """Choose which exams to label next, and keep the probability of each choice."""
    import numpy as np

    from mammolens import console
    from mammolens import outcomes as room
    from mammolens.files import storage, write_whole

    read, cases = _cases(exams, outcomes, complete_until)
    rule = room.positive_rule(room.DEFAULT)
    called = room.ai_rule(ai_positive)[1]
    chosen = room.choose(read, cases, rule, called, n, np.random.default_rng(seed))
    with storage(out, "the choice", keyword="--out"):
        made = write_whole(out, room.choice_table(chosen))
    typer.echo(f"{len(chosen)} exams; an exam that both halves drew counts once")
    console.show_written([made])


@app.command()
def thresholds(
    exams: Exams,
    outcomes: Outcomes,
    out: JsonOut,
    specificity: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="Specificity that the threshold shall keep.")
    ] = 0.90,
    ai_positive: AiPositive = "high",
    complete_until: CompleteUntil = None,
) -> None:
    """Propose a threshold and a recalibration with their expected effect; nothing is changed."""
    from mammolens import outcomes as room

    _, cases = _cases(exams, outcomes, complete_until)
    called = room.ai_rule(ai_positive)[1]
    _write_json(out, room.propose(cases, [called(one.exam.ai) for one in cases], specificity))


@app.command()
def shadow(
    site: Annotated[str, typer.Option(metavar="KEY", help="Key of the site.")],
    out: JsonOut,
    config: Config = None,
    complete_until: CompleteUntil = None,
) -> None:
    """Compare the node's model with the one of model.shadow on the outcomes of a site."""
    from datetime import date

    until = complete_until and complete_until.date()
    with opened_to_read(config) as state:
        from mammolens.serve.outcomes import compare_shadow

        _write_json(out, compare_shadow(state, site, date.today(), until))


def _cases(
    exams: Path, outcomes: Path, complete_until: datetime | None
) -> tuple[list[Exam], tuple[Case, ...]]:
    """Read both tables, and link them."""
    from datetime import date

    from mammolens import outcomes as room

    today = date.today()
    read, found = room.read_exams(exams, today), room.read_outcomes(outcomes, today)
    until = complete_until.date() if complete_until else max(one.day for one in found)
    rule = room.positive_rule(room.DEFAULT)
    return read, room.link(read, found, until, rule.positive).cases


def _write_json(out: Path, found: dict[str, Any]) -> None:
    import json

    from mammolens import console
    from mammolens.files import storage, write_whole

    with storage(out, "the figures", keyword="--out"):
        made = write_whole(out, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    console.show_written([made])
