"""The report of an evaluation: a folder's figures and pictures → report.html and report.pdf.

``metrics.json``, ``predictions.csv`` and ``cases/`` become a `document.Document`, which `html` and
`pdf` render; two folders become one document side by side. Charts and PDF need the extra
``report``; nothing of it is imported before a report is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammolens.bench.report.load import need_extra, read_figures, read_run
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole

if TYPE_CHECKING:
    from mammolens.bench.report.document import Document

__all__ = ["run", "write_comparison", "write_report"]


def run(folders: list[Path], out: Path | None, common: bool) -> tuple[Path, ...]:
    """Report on one folder, or set two side by side: the command's one call.

    Raises
    ------
    ConfigError
        If there are more than two folders, or options that do not go with them.
    InvalidManifest
        As `write_report` and `write_comparison`.
    """
    if len(folders) == 1:
        if common:
            raise ConfigError(
                "there is nothing to have rows in common with",
                keyword="--common",
                remedy="Give two evaluations, or leave it out",
            )
        return write_report(folders[0], out)
    if len(folders) != 2:
        raise ConfigError(
            f"{len(folders)} evaluations were given", remedy="Give one, or two to compare"
        )
    if out is None:
        raise ConfigError(
            "two evaluations side by side need a folder of their own",
            keyword="--out",
            remedy="Say where to: --out DIR",
        )
    return write_comparison(folders[0], folders[1], out, common=common)


def write_report(folder: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Write ``report.html`` and ``report.pdf`` of a folder of results.

    Parameters
    ----------
    folder
        Of an evaluation, a cross-validation, a vote of several runs, a comparison, or of
        explanations.
    out
        Where to, if not into `folder`.

    Returns
    -------
    The files written.

    Raises
    ------
    InvalidManifest
        If the folder holds none of these, or one of another form.
    ConfigError
        If the extra ``report`` is not installed.
    StorageError
        If a file cannot be written.
    """
    need_extra()
    return _write(_document_of(folder), out or folder)


def _document_of(folder: Path) -> Document:
    from mammolens.bench.report.compared import COMPARE_FILE, COMPARE_SCHEMA, build_compared
    from mammolens.bench.report.explained import EXPLAINED_FILE, EXPLAINED_SCHEMA, build_explained

    if (compared := folder / COMPARE_FILE).is_file():
        pictures = sorted(folder.glob("*.png"), key=lambda path: (path.stem[0] != "r", path.stem))
        return build_compared(read_figures(compared, [COMPARE_SCHEMA], "the comparison"), pictures)
    if (explained := folder / EXPLAINED_FILE).is_file():
        sheet = explained.with_suffix(".png")
        found = read_figures(explained, [EXPLAINED_SCHEMA], "mammolens explain")
        return build_explained(found, sheet if sheet.is_file() else None)
    from mammolens.bench.report.page import build_document

    return build_document(read_run(folder))


def write_comparison(
    first: Path, second: Path, out: Path, *, common: bool = False
) -> tuple[Path, ...]:
    """Write ``report.html`` and ``report.pdf`` that set two evaluations side by side.

    Parameters
    ----------
    first, second
        Folders of evaluations.
    out
        Another folder; made if need be.
    common
        Pair the images that both have where their tables differ; otherwise nothing is paired then.

    Raises
    ------
    InvalidManifest
        If a folder holds no evaluation, or images of both have other labels in each.
    ConfigError
        As `write_report`, and if `out` is one of the two.
    """
    need_extra()
    if out.resolve() in (first.resolve(), second.resolve()):
        raise ConfigError(
            "the folder holds one of the two evaluations, whose report would be lost",
            source=str(out),
            keyword="--out",
            remedy="Give another folder",
        )
    from mammolens.bench.report.compare_runs import build_comparison

    return _write(build_comparison(read_run(first), read_run(second), common=common), out)


def _write(document: Document, out: Path) -> tuple[Path, ...]:
    from mammolens.bench.report.html import render_html
    from mammolens.bench.report.pdf import render_pdf

    page, print_ = out / "report.html", out / "report.pdf"
    with storage(out, "the report", keyword="--out"):
        return write_whole(page, render_html(document)), write_whole(print_, render_pdf(document))
