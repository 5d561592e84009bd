"""Render a report as PDF on A4, with typst and the template ``report.typ``.

Charts are vectors, fonts are embedded, and the disclaimer is on every page. Details of sections are
only on the HTML page, to keep the PDF short. typst receives text as data, never as markup.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib import resources
from typing import Any

from mammolens import DISCLAIMER
from mammolens._pages import FONTS, typeset
from mammolens.bench.report.document import (
    Block,
    Charts,
    Document,
    Pictures,
    Section,
    Table,
    charts_together,
)

__all__ = ["render_pdf"]


def render_pdf(document: Document) -> bytes:
    """Render a report as a tagged PDF with an outline.

    Raises
    ------
    OSError
        If the system's temporary folder has no space for the charts and pictures.
    """
    files: dict[str, bytes] = {}
    report = {
        "title": document.title,
        "notice": DISCLAIMER,
        "fonts": FONTS,
        "facts": document.facts,
        "sections": [_section(one, files) for one in document.sections if one.blocks],
    }
    template = resources.files("mammolens.bench.report") / "report.typ"
    return typeset(template.read_bytes(), report, files)


def _section(section: Section, files: dict[str, bytes]) -> dict[str, Any]:
    blocks = [_block(block, files) for block in charts_together(section.blocks)]
    return {"title": section.title, "more": bool(section.details), "blocks": blocks}


def _block(block: Block | Charts, files: dict[str, bytes]) -> dict[str, Any]:
    found = {"kind": type(block).__name__, **asdict(block)}
    match block:
        case Charts():
            for one in found["figures"]:
                one["file"] = _file(files, one.pop("svg").encode("utf-8"), "svg")
        case Pictures():
            for one in found["cases"]:
                one["file"] = _file(files, one.pop("png"), "png")
        case Table():
            found["numeric"] = sorted(block.numeric)
    return found


def _file(files: dict[str, bytes], data: bytes, kind: str) -> str:
    name = f"{len(files)}.{kind}"
    files[name] = data
    return name
