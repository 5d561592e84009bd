"""Options and small functions that several groups of commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Cluster",
    "Jobs",
    "Out",
    "Overrides",
    "RunFile",
    "Tls",
    "names_in",
    "pairs_in",
    "print_progress",
]

Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")]
Jobs = Annotated[int, typer.Option(min=1, metavar="N", help="How many at the same time.")]
RunFile = Annotated[Path, typer.Argument(metavar="RUN.toml", help="Configuration of the run.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the run; repeatable."),
]

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local:N",
        help="Use a Dask scheduler, or N workers here, for an archive (needs the extra scale).",
    ),
]
Tls = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder with ca.pem, cert.pem, key.pem for --cluster tls://."),
]


def names_in(text: str | None) -> list[str]:
    """Split a list of names at its commas.

    Examples
    --------
    >>> names_in("json, csv,"), names_in(None)
    (['json', 'csv'], [])
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def pairs_in(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Read the values KEY=VALUE of an option that may be repeated.

    Raises
    ------
    typer.BadParameter
        A key or a value is empty, or there is no equals sign.
    """
    pairs = {}
    for text in texts or ():
        key, _, value = text.partition("=")
        if not (key.strip() and value.strip()):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
        pairs[key.strip()] = value
    return pairs


def print_progress(line: str) -> None:
    """Print one line of progress on standard error; results go to standard output."""
    typer.echo(line, err=True)
