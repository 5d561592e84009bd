"""Commands of the node beside a PACS (need the extra serve)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from mammolens import cli_node_questions
from mammolens.cli_node_questions import (
    Accession,
    Config,
    Json,
    Patient,
    Study,
    closed_to_others,
    opened_to_change,
    opened_to_read,
    say,
    settings_of,
)
from mammolens.extras import need_extra

__all__ = ["app", "deliver", "node", "serve", "worker"]

app = typer.Typer(help="The node beside a PACS; by itself: listen, and receive what is sent.")
for command in (
    cli_node_questions.exams,
    cli_node_questions.show,
    cli_node_questions.check,
    cli_node_questions.init,
):
    app.command()(command)

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be deleted; delete nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ClockIsRight = Annotated[
    bool,
    typer.Option(
        "--clock-is-right",
        help="The clock was checked: delete although nothing was received for long, or most exams.",
    ),
]
NewFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")]
DemoFolder = Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the demonstration.")]
Once = Annotated[bool, typer.Option("--once", help="Do the work that is due now, then end.")]
Threads = Annotated[
    int, typer.Option(min=1, metavar="N", help="Exams that are analysed at the same time.")
]
Files = Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files and folders.")]
Ids = Annotated[
    list[int] | None, typer.Argument(metavar="ID...", help="Numbers that node dead lists.")
]
All = Annotated[bool, typer.Option("--all", help="All dead deliveries.")]
PeerName = Annotated[
    str, typer.Argument(metavar="PEER", help="Name in the settings, dicom://… or https://…")
]
First = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
Last = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]
Priors = Annotated[
    bool, typer.Option("--priors", help="Also earlier mammography of the patient, not analysed.")
]
By = Annotated[
    Literal["move", "get"],
    typer.Option("--by", help="move: sent to the running node; get: over the same association."),
]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port for people; else web.port.")]
Workers = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", help="Exams analysed at the same time; 0: workers run elsewhere."
    ),
]
AccountName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
Kept = Annotated[
    str | None,
    typer.Option("--head", metavar="LENGTH:HASH", help="An earlier head, as status shows it."),
]


@app.callback(invoke_without_command=True)
def node(context: typer.Context, config: Config = None) -> None:
    """Listen for DICOM and receive objects; or run a command on the received data."""
    context.with_resource(closed_to_others())
    if context.invoked_subcommand is None:
        settings = settings_of(config)
        from mammolens.serve.commands import run_node

        run_node(settings)


def worker(config: Config = None, once: Once = False, threads: Threads = 1) -> None:
    """Analyse the exams that the node has received (needs the extra serve)."""
    settings = settings_of(config)
    from mammolens.serve.commands import run_worker

    with closed_to_others():
        run_worker(settings, threads, once)


def serve(config: Config = None, port: Port = None, workers: Workers = 1) -> None:
    """Serve people in a browser: node, worker, web application in one (needs the extra serve)."""
    settings = settings_of(config)
    from mammolens.serve.commands import run_serve

    if port is not None:
        web = settings.web.model_copy(update={"port": port})
        settings = settings.model_copy(update={"web": web})
    with closed_to_others():
        run_serve(settings, workers, typer.echo)


def deliver(config: Config = None, once: Once = False) -> None:
    """Send results by the routes of the settings (needs the extra serve)."""
    settings = settings_of(config)
    from mammolens.serve.commands import run_deliveries

    with closed_to_others():
        run_deliveries(settings, once)


@app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Count received objects, exams, jobs, results and deliveries, and show the longest waits."""
    with opened_to_read(config) as state:
        from mammolens.serve.record import overview_lines, read_overview

        found = read_overview(state.database)
    say(as_json, asdict(found), overview_lines(found))


@app.command()
def add(paths: Files, config: Config = None) -> None:
    """Receive files as if they had been sent; files that are not DICOM objects are listed."""
    settings = settings_of(config)
    from mammolens.serve.commands import add_files
    from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

    refused = 0
    for name, outcome, taken in add_files(settings, paths):
        typer.echo(f"{name}: {outcome}", err=not taken)
        refused += not taken
    raise typer.Exit(EXIT_INCOMPLETE if refused else EXIT_OK)


@app.command()
def verify(config: Config = None, head: Kept = None) -> None:
    """Check that no row of the audit trail was changed, removed or inserted."""
    with opened_to_read(config) as state, state.database.read() as connection:
        from mammolens.serve.record import AuditHead, audit

        report = audit.verify(connection, AuditHead.parse(head) if head else None)
    if report.sound:
        typer.echo(f"the trail is whole: {report.head}")
        return
    typer.echo(f"the trail is broken at row {report.broken_at}: {report.reason}", err=True)
    raise typer.Exit(1)


@app.command()
def retry(config: Config = None) -> None:
    """Queue dead jobs and deliveries again."""
    with opened_to_change(config) as state:
        from mammolens.serve.delivery import revive_deliveries
        from mammolens.serve.work import revive_jobs

        jobs = revive_jobs(state.database, "cli")
        deliveries = revive_deliveries(state.database, "cli")
    typer.echo(f"queued again: {jobs} jobs, {deliveries} deliveries")


@app.command()
def administrator(name: AccountName, config: Config = None) -> None:
    """Give an administrator a one-time password; removes the second factor and ends sessions."""
    settings = settings_of(config)
    from mammolens.serve.commands import make_administrator

    typer.echo(f"one-time password: {make_administrator(settings, name)}")


@app.command()
def demo(folder: DemoFolder = Path("demonstration")) -> None:
    """Fill a folder with a node to try out: sample exams, a constructed one, two sites, people."""
    need_extra("serve")
    from mammolens.serve.commands import make_demonstration

    with closed_to_others():
        file = make_demonstration(folder, typer.echo)
    typer.echo(f"next: mammolens serve --config {file}")


@app.command()
def dead(config: Config = None, as_json: Json = False) -> None:
    """List deliveries that a person must look at: refused, given up, or without a route."""
    with opened_to_read(config) as state:
        from mammolens.serve.delivery import dead_letter_lines, read_dead

        found = read_dead(state.database, [route.name for route in state.settings.routes])
    say(as_json, [asdict(letter) for letter in found], dead_letter_lines(found))


@app.command()
def resend(ids: Ids = None, config: Config = None, everything: All = False) -> None:
    """Queue dead deliveries again, except those that a later result of the exam replaced."""
    from mammolens.errors import ConfigError

    if bool(ids) == everything:
        raise ConfigError("which deliveries?", keyword="resend", remedy="Give their IDs, or --all")
    with opened_to_change(config) as state:
        from mammolens.serve.delivery import revive_deliveries

        queued = revive_deliveries(state.database, "cli", None if everything else ids)
    typer.echo(f"queued again: {queued} deliveries")
    if ids and queued < len({*ids}):
        typer.echo("the others are not dead, or a later result has overtaken them", err=True)
        raise typer.Exit(1)


@app.command()
def pull(
    peer: PeerName,
    study: Study = None,
    accession: Accession = None,
    patient: Patient = None,
    first: First = None,
    last: Last = None,
    priors: Priors = False,
    by: By = "move",
    config: Config = None,
) -> None:
    """Fetch the studies of a PACS that match all given options."""
    settings = settings_of(config)
    from mammolens.serve import commands
    from mammolens.serve.dimse import Method, StudyQuery
    from mammolens.status import EXIT_INCOMPLETE

    begin, end = (day.date() if day else None for day in (first, last))
    query = StudyQuery(study, accession, patient, begin, end)
    reports = list(commands.pull(settings, peer, query, Method(by), priors))
    for report in reports:
        typer.echo(f"{report.study_instance_uid}: {report.completed} came, {report.failed} did not")
    if not reports:
        typer.echo("the PACS has no such study", err=True)
    if not reports or not all(report.is_whole for report in reports):
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def expire(
    config: Config = None, dry_run: DryRun = False, yes: Yes = False, clock: ClockIsRight = False
) -> None:
    """Delete data older than the settings allow, except undelivered or unfinished exams."""
    settings = settings_of(config)
    import sys

    from mammolens.serve import holdings

    with (holdings.look_state if dry_run else holdings.open_state)(settings) as state:
        found = holdings.count_expired(state.database, settings.retention)
        if not dry_run:
            if not clock:
                holdings.check_plausible(state.database, settings.retention)
            if not yes and sys.stdin is not None and sys.stdin.isatty():
                typer.echo("\n".join(holdings.expired_lines(found, done=False)))
                typer.confirm("Delete this?", abort=True)
            found = holdings.expire(state, clock_is_right=clock)
    typer.echo("\n".join(holdings.expired_lines(found, done=not dry_run)))


@app.command()
def backup(folder: NewFolder, config: Config = None) -> None:
    """Copy the database and all its files into a new folder, also while the node runs."""
    with opened_to_change(config) as state:
        from mammolens.serve.holdings import back_up

        report = back_up(state, folder)
    typer.echo(f"{folder}: {report.received} objects, {report.results} files of results")
    typer.echo(f"audit {report.audit_head}")


@app.command()
def restore(folder: NewFolder, config: Config = None) -> None:
    """Copy a backup to the empty folder and database of the settings, and check every digest."""
    settings = settings_of(config)
    from mammolens.serve.holdings import restore as put_back

    report = put_back(settings, folder)
    typer.echo(f"restored: {report.received} objects, {report.results} files of results")


@app.command()
def rekey(config: Config = None) -> None:
    """Encrypt identities and results with the newest key, also while the node runs."""
    with opened_to_change(config) as state:
        from mammolens.serve.holdings import rekey as encrypt_again

        done = encrypt_again(state)
    counts = (
        f"{done.identities} identities, {done.consents} consents, {done.reports} reports,"
        f" {done.steps} steps, {done.files} files"
    )
    typer.echo(f"sealed with the new key: {counts}")
    typer.echo("older keys are needed only for older backups")
