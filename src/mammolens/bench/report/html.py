"""A report as one HTML page that asks for nothing else: style, charts and pictures are inside it.

The page reads on a phone, by keyboard and aloud, and prints on A4 with whole rows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Final

from mammolens import DISCLAIMER
from mammolens._pages import page_start
from mammolens.bench.report.document import (
    Alarm,
    Block,
    Bullets,
    Document,
    Figure,
    Heading,
    Pictures,
    Section,
    ShownCase,
    Sources,
    Table,
    Text,
)
from mammolens.bench.report.vector import inline
from mammolens.wording import printable

__all__ = ["render_html"]

_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_INTERVAL: Final = re.compile(r"\(−?[\d.]+(?:–| to )−?[\d.]+\)")
_KEPT: Final = r'<span class="kept">\g<0></span>'
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")

_WARNING_SIGN: Final = (
    '<svg class="sign" viewBox="0 0 16 14" aria-hidden="true"><path d="M8 .5 15.6 13.5H.4Z" '
    'fill="currentColor"/><path d="M8 5v4M8 10.5v1.2" stroke="#fff" stroke-width="1.5"/></svg>'
)


def render_html(document: Document) -> str:
    """Write a report as a page.

    Returns
    -------
    UTF-8 text of a whole HTML document.
    """
    style = resources.files("mammolens.bench.report").joinpath("report.css").read_text("utf-8")
    facts = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in document.facts
    )
    links = "".join(
        f'<li><a href="#{section.anchor}">{_text(section.title)}</a></li>'
        for section in document.sections
    )
    sections = "".join(_section(section) for section in document.sections)
    notice = f'<p class="notice">{_text(DISCLAIMER)}</p>'
    return (
        f"{page_start(document.title, style)}"
        '<a class="skip" href="#report">Skip to the report</a>'
        f'<header><h1>{_text(document.title)}</h1>{notice}<dl class="facts">{facts}</dl></header>\n'
        f'<nav aria-label="Contents"><h2>Contents</h2><ol>{links}</ol></nav>\n'
        f'<main id="report">{sections}</main>\n<footer>{notice}</footer></body></html>\n'
    )


def _section(section: Section) -> str:
    inner = _blocks(section.blocks, section.anchor)
    if section.details:
        summary = _text(f"{section.title}: all tables and charts")
        details = _blocks(section.details, f"{section.anchor}-more")
        inner += f"<details><summary>{summary}</summary>{details}</details>"
    return (
        f'<section aria-labelledby="{section.anchor}"><h2 id="{section.anchor}">'
        f"{_text(section.title)}</h2>{inner}</section>\n"
    )


def _blocks(blocks: Sequence[Block], key: str) -> str:
    done, figures = list[str](), list[str]()
    for n, block in enumerate(blocks):
        if isinstance(block, Figure):
            figures.append(_figure(block, f"{key}-{n}"))
            continue
        done += [_charts(figures), _block(block)]
        figures = []
    return "".join([*done, _charts(figures)])


def _charts(figures: list[str]) -> str:
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""


def _block(block: Block) -> str:
    match block:
        case Text(words):
            return f"<p>{_text(words)}</p>"
        case Alarm(words):
            return f'<p class="alarm" role="note">{_WARNING_SIGN}<b>Warning.</b> {_text(words)}</p>'
        case Heading(words, anchor):
            return f'<h3 id="{anchor}">{_text(words)}</h3>'
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>"
        case Sources(items):
            cited = "".join(
                f'<li>{_text(work)} <a href="{escape(address, quote=True)}" rel="noreferrer">'
                f"{_text(address)}</a></li>"
                for work, address in items
            )
            return f'<ul class="sources">{cited}</ul>'
        case Table():
            return _table(block)
        case Pictures(cases, whole):
            kind = "cases whole" if whole else "cases"
            return f'<div class="{kind}">{"".join(_case(case) for case in cases)}</div>'
        case Figure():
            raise TypeError("charts are gathered by their section")


def _figure(figure: Figure, key: str) -> str:
    return (
        f"<figure>{inline(figure.svg, printable(figure.title), printable(figure.alt), key)}"
        f"<figcaption>{_text(figure.alt)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th role="columnheader" scope="col"{_aligned(n, table)}>{_text(name)}</th>'
        for n, name in enumerate(table.head)
    )
    rows = "".join(f'<tr role="row">{_cells(row, table)}</tr>' for row in table.rows)
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    return (
        f'<table role="table"><caption>{_text(table.caption)}</caption><thead role="rowgroup">'
        f'<tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>{note}'
    )


def _cells(row: tuple[str, ...], table: Table) -> str:
    first = f'<th role="rowheader" scope="row"{_aligned(0, table)}>{_text(row[0])}</th>'
    return first + "".join(
        f'<td role="cell" data-label="{escape(printable(table.head[n]), quote=True)}"'
        f"{_aligned(n, table)}>{_text(cell)}</td>"
        for n, cell in enumerate(row[1:], start=1)
    )


def _aligned(column: int, table: Table) -> str:
    return ' class="n"' if column in table.numeric else ""


def _case(case: ShownCase) -> str:
    data = base64.b64encode(case.png).decode("ascii")
    lines = "".join(f"<span>{_text(line)}</span>" for line in case.caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" '
        f'alt="{escape(printable(case.alt), quote=True)}"><figcaption>{lines}</figcaption></figure>'
    )


def _text(words: str) -> str:
    """Escape text; an interval stays on one line, and a long name may break anywhere."""
    shown = printable(words)
    pieces = [_INTERVAL.sub(_KEPT, escape(piece)) for piece in _LONG.split(shown) if piece]
    text = "<wbr>".join(pieces)
    return f"<bdi>{text}</bdi>" if _RIGHT_TO_LEFT.search(shown) else text
