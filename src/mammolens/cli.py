"""The command line: each command parses its options, calls one function and shows the result.

Heavy modules are imported only when a command runs, so that ``--help`` is fast.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated

import typer

from mammolens import (
    DISCLAIMER,
    cli_analyze,
    cli_bench,
    cli_clinical,
    cli_datasets,
    cli_node,
    cli_node_questions,
    cli_outcomes,
)
from mammolens.cli_options import Out, Overrides, RunFile, print_progress
from mammolens.extras import need_extra

__all__ = ["app", "main"]

app = typer.Typer(
    help=f"An open second reader for mammography. {DISCLAIMER}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_datasets.app, name="datasets")
app.add_typer(cli_clinical.app, name="fuse")
app.add_typer(cli_node_questions.monitors, name="monitor")
app.add_typer(cli_node.app, name="node")
app.add_typer(cli_outcomes.app, name="outcomes")
app.add_typer(cli_clinical.pathology, name="pathology")
for command in (
    cli_bench.compare,
    cli_bench.evaluate,
    cli_bench.explain,
    cli_bench.report,
    cli_node.deliver,
    cli_node.serve,
    cli_node.worker,
    cli_bench.crossvalidate,
    cli_bench.ensemble,
    cli_bench.average,
    cli_analyze.analyze,
):
    app.command()(command)

ModelName = Annotated[
    str | None,
    typer.Argument(metavar="[NAME|PATH]", help="Built-in model or model package to show."),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Package = Annotated[
    Path, typer.Option("--out", "-o", metavar="PACKAGE", help="Model package to write.")
]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Mammograms to vary.")]
Sheet = Annotated[Path, typer.Option("--out", "-o", metavar="SHEET.png", help="Picture to write.")]
Variants = Annotated[int, typer.Option(min=1, max=31, metavar="N", help="Variants of each image.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random variants.")]


def main() -> None:
    """Run a command; turn an error into one clear line and an exit code."""
    try:
        app()
    except Exception as error:
        raise SystemExit(_report(error)) from None


def _report(error: Exception) -> int:
    from mammolens.errors import MammolensError
    from mammolens.status import status_of

    if isinstance(error, MammolensError):
        _show_error(f"{type(error).__name__}: {error}")
    else:
        traceback.print_exception(error)
        _show_error(
            f"unexpected {type(error).__name__}: {error}. What was not written is unknown, not"
            " normal. Please report this with the lines above."
        )
    return status_of(error).exit_code


def _show_error(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from mammolens.wording import printable

    Console(stderr=True, soft_wrap=True).print(Text(printable(message), style="bold red"))


def _show_version(wanted: bool) -> None:
    if wanted:
        from mammolens import __version__

        typer.echo(f"mammolens {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def doctor() -> None:
    """Test the installation, and show a fix for each fault."""
    from mammolens import console
    from mammolens.doctor import examine

    sound = console.show_checks(examine())
    raise typer.Exit(0 if sound else 1)


@app.command()
def models(name: ModelName = None) -> None:
    """List the built-in models, or show one: operating points, figures and weaknesses."""
    from mammolens import console_models
    from mammolens.model import ModelPackage, list_models

    if name is None:
        return console_models.show_models(ModelPackage.load(one).card for one in list_models())
    return console_models.show_model(ModelPackage.load(name).card)


@app.command()
def train(config: RunFile, out: Out, overrides: Overrides = None) -> None:
    """Train a network, or continue an interrupted run (needs the extra train)."""
    need_extra("train")
    from mammolens.learn.train import train

    best = train(config, out, overrides or [], print_progress)
    typer.echo(best)


@app.command()
def augment(
    config: RunFile,
    images: Images,
    out: Sheet,
    variants: Variants = 7,
    seed: Seed = 0,
    overrides: Overrides = None,
) -> None:
    """Show prepared images, with random augmented variants of each."""
    from mammolens.learn.augmentation_sheet import write_sheet
    from mammolens.learn.config import read_run

    run = read_run(config, overrides or [])
    typer.echo(write_sheet(run, images, out, variants=variants, seed=seed))


@app.command()
def export(run: RunFolder, package: Package) -> None:
    """Turn a trained run into a model package (needs the extra train)."""
    need_extra("train")
    from mammolens.bench.packaging import export_run

    export_run(run, package, print_progress)
    typer.echo(package)
