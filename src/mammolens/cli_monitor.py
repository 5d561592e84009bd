"""Commands of the drift monitor: replay it over past results, and show its state in a node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_node_questions import Config, Json, opened_to_read, say

__all__ = ["app", "replay", "status"]

app = typer.Typer(
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


@app.command()
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


@app.command()
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
