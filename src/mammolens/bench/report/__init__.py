"""Reports: the figures and pictures of a results folder → ``report.html`` and ``report.pdf``.

``metrics.json``, ``predictions.csv`` and ``cases/`` of an evaluation become a `document.Document`,
which `html` and `pdf` render. Two evaluations become one document side by side. Charts and the PDF
need the extra ``report``, which is imported only when a report is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammolens.bench.report.run_folder import read_figures, read_run
from mammolens.errors import ConfigError
from mammolens.extras import need_extra
from mammolens.files import storage, write_whole

if TYPE_CHECKING:
    from mammolens.bench.report.document import Document

__all__ = ["write_comparison", "write_report", "write_reports"]


def write_reports(folders: list[Path], out: Path | None, common: bool) -> tuple[Path, ...]:
    """Write the report of one folder, or of two folders side by side, for the command line.

    Raises
    ------
    ConfigError
        If there are more than two folders, or an option does not fit their number.
    InvalidManifest
        As `write_report` and `write_comparison`.
    """
    if len(folders) == 1:
        if common:
            raise ConfigError(
                "this option compares two evaluations, but only one was given",
                keyword="--common",
                remedy="Give two evaluations, or leave out --common",
            )
        return write_report(folders[0], out)
    if len(folders) != 2:
        raise ConfigError(
            f"{len(folders)} evaluations were given", remedy="Give one, or two to compare"
        )
    if out is None:
        raise ConfigError(
            "the report of two evaluations needs its own folder",
            keyword="--out",
            remedy="Give one: --out DIR",
        )
    return write_comparison(folders[0], folders[1], out, common=common)


def write_report(folder: Path, out: Path | None = None) -> tuple[Path, ...]:
    """Write ``report.html`` and ``report.pdf`` of a folder of results.

    Parameters
    ----------
    folder
        The output folder of evaluate, crossvalidate, ensemble, compare, explain or outcomes audit.

    Returns
    -------
    tuple of Path
        The written files: the page and the PDF.

    Raises
    ------
    InvalidManifest
        If the folder has no such results, or results of another schema.
    ConfigError
        If the extra ``report`` is not installed.
    StorageError
        If a file cannot be written.
    """
    need_extra("report")
    return _write(_document_of(folder), out or folder)


def _document_of(folder: Path) -> Document:
    from mammolens import outcomes
    from mammolens.bench.report import comparison_document as compared
    from mammolens.bench.report import explanation_document as explained
    from mammolens.bench.report.evaluation_document import build_document
    from mammolens.bench.report.outcomes_document import build_outcomes

    if (path := folder / compared.COMPARE_FILE).is_file():
        pictures = sorted(folder.glob("*.png"), key=lambda path: (path.stem[0] != "r", path.stem))
        found = read_figures(path, [compared.COMPARE_SCHEMA], "the comparison")
        return compared.build_compared(found, pictures)
    if (path := folder / explained.EXPLAINED_FILE).is_file():
        found = read_figures(path, [explained.EXPLAINED_SCHEMA], "mammolens explain")
        sheet = path.with_suffix(".png")
        return explained.build_explained(found, sheet if sheet.is_file() else None)
    if (path := folder / outcomes.FILE).is_file():
        return build_outcomes(read_figures(path, [outcomes.SCHEMA], "mammolens outcomes audit"))
    return build_document(read_run(folder))


def write_comparison(
    first: Path, second: Path, out: Path, *, common: bool = False
) -> tuple[Path, ...]:
    """Write ``report.html`` and ``report.pdf`` that show two evaluations side by side.

    Parameters
    ----------
    first, second
        Folders of evaluations.
    out
        Another folder; it is created if it does not exist.
    common
        If the tables differ, pair the images that both have. Without it, no image is then paired.

    Raises
    ------
    InvalidManifest
        If a folder has no evaluation, or an image has different labels in the two.
    ConfigError
        As `write_report`, and if `out` is one of the two folders.
    """
    need_extra("report")
    if out.resolve() in (first.resolve(), second.resolve()):
        raise ConfigError(
            "the folder holds one of the two evaluations, and its report would be overwritten",
            source=str(out),
            keyword="--out",
            remedy="Give another folder",
        )
    from mammolens.bench.report.side_by_side import build_comparison

    return _write(build_comparison(read_run(first), read_run(second), common=common), out)


def _write(document: Document, out: Path) -> tuple[Path, ...]:
    from mammolens.bench.report.html import render_html
    from mammolens.bench.report.pdf import render_pdf

    page, print_ = out / "report.html", out / "report.pdf"
    with storage(out, "the report", keyword="--out"):
        return write_whole(page, render_html(document)), write_whole(print_, render_pdf(document))
