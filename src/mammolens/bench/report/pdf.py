"""Render a report as PDF on A4, with typst and the template ``report.typ``.

Charts are vectors, fonts are embedded, and the disclaimer is on every page. Details of sections are
only on the HTML page, to keep the PDF short. typst receives text as data, never as markup.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, Final

import matplotlib
import typst

from mammolens import DISCLAIMER
from mammolens.bench.report.document import (
    Block,
    Charts,
    Document,
    Pictures,
    Section,
    Table,
    charts_together,
)
from mammolens.wording import printable

__all__ = ["render_pdf"]

_FONTS: Final = ("DejaVu Sans", "Noto Sans Devanagari")
"""The first covers Latin, Greek, Cyrillic, Arabic and Hebrew, and comes with matplotlib."""
_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_MAY_BREAK: Final = "\\g<1>\N{ZERO WIDTH SPACE}"


def render_pdf(document: Document) -> bytes:
    """Render a report as a tagged PDF with an outline.

    Raises
    ------
    OSError
        If the system's temporary folder has no space for the charts and pictures.
    """
    here = resources.files("mammolens.bench.report")
    with resources.as_file(here) as package, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = {
            "title": document.title,
            "notice": DISCLAIMER,
            "fonts": _FONTS,
            "facts": document.facts,
            "sections": [_section(one, folder) for one in document.sections if one.blocks],
        }
        (folder / "report.json").write_text(json.dumps(_breakable(report)), "utf-8")
        (folder / "report.typ").write_bytes((package / "report.typ").read_bytes())
        return typst.compile(
            folder / "report.typ",
            root=folder,
            font_paths=[Path(matplotlib.get_data_path(), "fonts", "ttf"), package / "fonts"],
            ignore_system_fonts=True,
        )


def _section(section: Section, folder: Path) -> dict[str, Any]:
    blocks = [_block(block, folder) for block in charts_together(section.blocks)]
    return {"title": section.title, "more": bool(section.details), "blocks": blocks}


def _block(block: Block | Charts, folder: Path) -> dict[str, Any]:
    found = {"kind": type(block).__name__, **asdict(block)}
    match block:
        case Charts():
            for one in found["figures"]:
                one["file"] = _file(folder, one.pop("svg").encode("utf-8"), "svg")
        case Pictures():
            for one in found["cases"]:
                one["file"] = _file(folder, one.pop("png"), "png")
        case Table():
            found["numeric"] = sorted(block.numeric)
    return found


def _file(folder: Path, data: bytes, kind: str) -> str:
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    path.write_bytes(data)
    return path.name


def _breakable(value: Any) -> Any:
    """Make every text of a structure printable, and let long names break anywhere."""
    match value:
        case str():
            return _LONG.sub(_MAY_BREAK, printable(value))
        case Mapping():
            return {name: _breakable(inner) for name, inner in value.items()}
        case Sequence():
            return [_breakable(inner) for inner in value]
        case _:
            return value
