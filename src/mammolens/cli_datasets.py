"""The commands of ``mammolens datasets``: read public data sets, check and show tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammolens.cli_options import Cluster, Tls, pairs_in
from mammolens.extras import need_extra

__all__ = ["app"]

app = typer.Typer(help="Read public data sets into tables, check and show them.")

Source = Annotated[str, typer.Argument(metavar="NAME", help="Data set: see datasets list.")]
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the unpacked data set.")]
TableOut = Annotated[Path, typer.Option("--out", "-o", metavar="TABLE.csv", help="New table.")]
DemoOut = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="New folder.")]
DrawSeed = Annotated[int, typer.Option(min=0, help="Seed of the pictures and labels.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the reader; repeatable."),
]
Tables = Annotated[list[Path], typer.Argument(metavar="TABLE.csv...", help="Tables to read.")]
Sheet = Annotated[
    Path | None,
    typer.Option("--sheet", "-o", metavar="SHEET.png", help="Draw a contact sheet to this file."),
]
SheetImages = Annotated[
    int, typer.Option("--images", min=1, max=400, help="Pictures on the sheet.")
]
Seed = Annotated[int, typer.Option(help="Seed of the choice of pictures.")]

Jobs = Annotated[int, typer.Option(min=1, metavar="N", help="Images to read at the same time.")]
Persons = Annotated[
    Path | None,
    typer.Option(metavar="PERSONS.csv", help="Table that links identifiers of the same person."),
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all findings to this file.")
]


@app.command("list")
def list_() -> None:
    """List the data sets that can be read, their licences and their sources."""
    from mammolens import console
    from mammolens.data.sources import list_sources

    console.show_sources(list_sources())


@app.command()
def build(
    name: Source,
    root: Root,
    out: TableOut,
    options: Options = None,
    cluster: Cluster = None,
    tls: Tls = None,
) -> None:
    """Read a data set and write its table; marked lesions go to lesions.csv in the same folder."""
    from mammolens import console
    from mammolens.data.manifest_writer import write_manifest
    from mammolens.data.sources import build_source

    pairs = pairs_in(options, "--set")
    if cluster is None:
        manifest = build_source(name, root, pairs)
        written = write_manifest(manifest, out)
    else:
        need_extra("scale")
        from mammolens.scale.datasets import build_with_workers

        with console.progress_bar("headers") as on_progress:
            manifest, written = build_with_workers(
                name, root, pairs, out, cluster, tls, on_progress
            )
    console.show_manifest(manifest)
    console.show_written(written)


@app.command()
def demo(out: DemoOut, seed: DrawSeed = 1) -> None:
    """Draw 60 SYNTHETIC patients, to try all commands without a download."""
    from mammolens import console
    from mammolens.data.demo import write_demo

    with console.progress_bar("pictures") as on_progress:
        manifest, written = write_demo(out, seed=seed, on_progress=on_progress)
    console.show_manifest(manifest)
    console.show_written(written)


@app.command()
def show(tables: Tables, sheet: Sheet = None, images: SheetImages = 40, seed: Seed = 1) -> None:
    """Count the images of tables by label, view and split; draw some of them with --sheet."""
    from mammolens import console
    from mammolens.data.manifest import Manifest

    manifest = Manifest.read(*tables)
    console.show_manifest(manifest)
    if sheet is not None:
        from mammolens.bench.contact_sheet import write_sheet

        with console.progress_bar("images") as on_progress:
            drawn = write_sheet(manifest, sheet, images=images, seed=seed, on_progress=on_progress)
        console.show_written([drawn])


@app.command()
def check(tables: Tables, jobs: Jobs = 1, persons: Persons = None, json_file: Json = None) -> None:
    """Check tables and their images for leaks, copies, contradictions and damage."""
    from mammolens import console
    from mammolens.data.check import check_manifest, write_report
    from mammolens.data.manifest import Manifest
    from mammolens.data.persons import NO_LINKS, read_persons

    manifest = Manifest.read(*tables)
    same = read_persons(persons) if persons is not None else NO_LINKS
    with console.progress_bar("images") as on_progress:
        report = check_manifest(manifest, jobs=jobs, same_person=same, on_progress=on_progress)
    console.show_check(report)
    if json_file is not None:
        console.show_written([write_report(report, json_file)])
    raise typer.Exit(report.exit_code)
