"""Commands of the node beside a PACS (need the extra serve)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app", "need_serving", "worker"]

app = typer.Typer(
    help="The node beside a PACS: what it holds, and whether its trail is whole.",
    no_args_is_help=True,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="NODE.toml", help="Settings; else node.toml if there."),
]
Once = Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Exams in work at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Files = Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files and folders.")]
Kept = Annotated[
    str | None,
    typer.Option("--head", metavar="LENGTH:HASH", help="A head noted earlier, as status gives it."),
]


def worker(config: Config = None, once: Once = False, threads: Threads = 1) -> None:
    """Analyse the exams that the node has received (needs the extra serve)."""
    need_serving()
    from mammolens.serve.commands import run_worker
    from mammolens.serve.settings import load_settings

    run_worker(load_settings(config), threads, once)


@app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Count what was received, waits, runs, is done, failed or dead, and say what waits longest."""
    need_serving()
    import json

    from mammolens.serve.overview import read_overview, say
    from mammolens.serve.settings import load_settings
    from mammolens.serve.state import open_state

    with open_state(load_settings(config)) as state:
        found = read_overview(state.database)
    typer.echo(json.dumps(found.to_json()) if as_json else "\n".join(say(found)))


@app.command()
def add(paths: Files, config: Config = None) -> None:
    """Receive files as if they had been sent; what is no DICOM object is named and left out."""
    need_serving()
    from mammolens.serve.commands import add_files
    from mammolens.serve.settings import load_settings
    from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

    refused = 0
    for name, outcome, taken in add_files(load_settings(config), paths):
        typer.echo(f"{name}: {outcome}", err=not taken)
        refused += not taken
    raise typer.Exit(EXIT_INCOMPLETE if refused else EXIT_OK)


@app.command()
def verify(config: Config = None, head: Kept = None) -> None:
    """Check that no row of the audit trail was changed, removed or put in."""
    need_serving()
    from mammolens.serve.audit import AuditHead, verify
    from mammolens.serve.settings import load_settings
    from mammolens.serve.state import open_state

    with open_state(load_settings(config)) as state, state.database.read() as connection:
        report = verify(connection, AuditHead.parse(head) if head else None)
    if report.sound:
        typer.echo(f"the trail is whole: {report.head}")
        return
    typer.echo(f"the trail is broken at row {report.broken_at}: {report.reason}", err=True)
    raise typer.Exit(1)


@app.command()
def retry(config: Config = None) -> None:
    """Queue again what was given up: dead jobs and deliveries."""
    need_serving()
    from mammolens.serve.outbox import revive_deliveries
    from mammolens.serve.queue import revive_jobs
    from mammolens.serve.settings import load_settings
    from mammolens.serve.state import open_state

    with open_state(load_settings(config)) as state:
        jobs = revive_jobs(state.database, "cli")
        deliveries = revive_deliveries(state.database, "cli")
    typer.echo(f"queued again: {jobs} jobs, {deliveries} deliveries")


def need_serving() -> None:
    """Refuse to go on where what the node needs is not installed."""
    from importlib.util import find_spec

    from mammolens.errors import ConfigError

    needed = ("sqlalchemy", "alembic", "pydantic_settings")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the node needs {', '.join(missing)}",
            remedy="Run: pip install 'mammolens[serve]'",
        )
