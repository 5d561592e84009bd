"""Commands that ask the node (exams, destinations, monitors), and functions for all commands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mammolens.extras import need_extra

if TYPE_CHECKING:
    from mammolens.serve.holdings import NodeState
    from mammolens.serve.settings import NodeSettings

__all__ = [
    "Accession",
    "Config",
    "Json",
    "Patient",
    "Study",
    "check",
    "closed_to_others",
    "exams",
    "init",
    "monitors",
    "opened_to_change",
    "opened_to_read",
    "replay",
    "say",
    "settings_of",
    "show",
    "status",
]

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="NODE.toml", help="Settings; else node.toml if there."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Accession = Annotated[str | None, typer.Option("--accession", help="Accession number.")]
Patient = Annotated[str | None, typer.Option("--patient", metavar="ID", help="Patient ID.")]
Study = Annotated[str | None, typer.Option("--study", metavar="UID", help="Study Instance UID.")]
State = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="prior, waiting, running, queued, given_up, undelivered, delivering, failed or done.",
    ),
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Most exams that are shown.")]
ExamId = Annotated[int, typer.Argument(metavar="ID", help="As node exams lists them.")]
NewFile = Annotated[Path, typer.Argument(metavar="[PATH]", help="File to write.")]
CLOSED: Final = 0o077
"""Umask of every command of the node: only its user can read images and results. The folders that
``share_with_group`` shares keep their own permissions."""
monitors = typer.Typer(
    help="Watch scores and pictures for a change.", no_args_is_help=True, add_completion=False
)
Past = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]...",
        help="results.json or worklist.csv of analyze, in the order of time; else the node's own.",
    ),
]
RunLength = Annotated[
    int,
    typer.Option(min=100, metavar="N", help="Exams for each false alarm, on average at least."),
]


def exams(
    accession: Accession = None,
    patient: Patient = None,
    study: Study = None,
    state: State = None,
    limit: Limit = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List exams, the newest first, each with its state, its category and its deliveries."""
    with opened_to_read(config) as opened:
        from mammolens.serve.lookup import exam_lines, look_up

        answer = look_up(opened, patient, accession, study, state, limit)
    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)
    say(as_json, answer.to_json(), exam_lines(answer))
    raise typer.Exit(0 if answer.rows or not any((accession, patient, study, state)) else 1)


def show(exam: ExamId, config: Config = None, as_json: Json = False) -> None:
    """Show one exam: its objects and refusals, its results, its deliveries, its audit trail."""
    with opened_to_read(config) as opened:
        from mammolens.serve.lookup import report_exam, report_lines

        report = report_exam(opened, exam)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    say(as_json, report.to_json(), report_lines(report))


def check(config: Config = None, as_json: Json = False) -> None:
    """Check that every peer and the destination of every route answers; nothing is stored."""
    settings = settings_of(config)
    from mammolens.serve.checks import check_destinations

    found = []
    for reached in check_destinations(settings):
        found.append(reached)
        if not as_json:
            typer.echo(str(reached))
    if as_json or not found:
        say(as_json, [asdict(one) for one in found], ["the settings name no peer and no route"])
    raise typer.Exit(0 if all(reached.sound for reached in found) else 1)


def init(path: NewFile = Path("node.toml")) -> None:
    """Write a new node.toml that explains every setting; no file is overwritten."""
    need_extra("serve")
    from mammolens.serve.settings import write_template

    write_template(path)
    typer.echo(f"{path}: every setting with its default, as a comment")
    typer.echo(
        f"next: change the settings of your site, then run: mammolens node check --config {path}"
    )


def settings_of(config: Path | None) -> NodeSettings:
    """Check that the extra ``serve`` is installed, and read the settings of a command."""
    need_extra("serve")
    from mammolens.serve.settings import load_settings

    return load_settings(config)


@contextlib.contextmanager
def opened_to_read(config: Path | None) -> Iterator[NodeState]:
    """Open the state of the node to answer a question; nothing is changed."""
    settings = settings_of(config)
    from mammolens.serve.holdings import look_state

    with look_state(settings) as state:
        yield state


@contextlib.contextmanager
def opened_to_change(config: Path | None) -> Iterator[NodeState]:
    """Open the state of the node to change it."""
    settings = settings_of(config)
    from mammolens.serve.holdings import open_state

    with open_state(settings) as state:
        yield state


def say(as_json: bool, value: Any, lines: Iterable[str]) -> None:
    """Print an answer, as JSON or as lines for people."""
    typer.echo(json.dumps(value) if as_json else "\n".join(lines))


@contextlib.contextmanager
def closed_to_others() -> Iterator[None]:
    """Let only the user of the node read what a command writes."""
    before = os.umask(CLOSED)
    try:
        yield
    finally:
        os.umask(before)


@monitors.command()
def replay(
    paths: Past = None, run_length: RunLength = 10_000, config: Config = None, as_json: Json = False
) -> None:
    """Show the alarms that the monitor would have raised over past results."""
    from mammolens import monitor

    if paths:
        found = monitor.replay(monitor.read_past(paths), run_length)
    else:
        with opened_to_read(config) as state:
            from mammolens.serve.monitoring import past_observations

            found = monitor.replay(past_observations(state.database), run_length)
    say(as_json, asdict(found), monitor.replay_lines(found, run_length))


@monitors.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """List the monitors of a node: stable, in alarm, or with not enough exams yet."""
    with opened_to_read(config) as state:
        from mammolens.serve.monitoring import read_monitors

        found = read_monitors(state.database)
    lines = ["there are no monitors yet: no exam was analysed since the node watches"]
    if found:
        lines = [
            f"{one['monitor']:>6}  {one['site'] or '-':<16} {one['partition']:<9}"
            f" {one['name'] or '-':<40} {one['exams']:>7} exams  "
            + ", ".join(f"{count} {kind}" for kind, count in sorted(one["conditions"].items()))
            + (f"  ALARM: {', '.join(one['alarms'])}" if one["alarms"] else "")
            for one in found
        ]
    say(as_json, found, lines)
