"""A report as PDF on A4: charts as vectors, fonts embedded, the disclaimer on every page.

Details of sections are left to the page, so that the print is as long as a reader has patience.
Only what cannot be drawn in DejaVu Sans is lost, and shows as an empty box.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, Final

from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    ListFlowable,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from mammolens import DISCLAIMER
from mammolens.bench.report.document import (
    Alarm,
    Block,
    Bullets,
    Document,
    Figure,
    Heading,
    Pictures,
    ShownCase,
    Sources,
    Table,
    Text,
)
from mammolens.bench.report.pdf_tables import (
    BOLD,
    CELL,
    INK,
    MARGIN,
    QUIET,
    REGULAR,
    SMALL,
    WIDTH,
    as_markup,
    grid_of,
    register_fonts,
    style,
    table_flow,
)
from mammolens.bench.report.strokes import Drawing, drawable, paint

__all__ = ["write_pdf"]

_GAP: Final = 6 * mm
_TALLEST: Final = 180 * mm
"""Of a picture: it must fit on a page with its caption and a heading."""
_CASES_IN_A_ROW: Final = 4
_FURTHER: Final = "Further tables and charts of this section stand in report.html."
_BODY = style(8.8, spaceAfter=4)
_TITLE = style(17, fontName=BOLD, spaceAfter=7)
_SECTION = style(13, fontName=BOLD, spaceBefore=14, spaceAfter=5, keepWithNext=1)
_PART = style(10.2, fontName=BOLD, spaceBefore=9, spaceAfter=3, keepWithNext=1)
_NOTICE = style(9.2, fontName=BOLD, borderPadding=(5, 6, 5, 8), spaceBefore=4, spaceAfter=10)
_ALARMED = style(
    8.8, backColor=HexColor("#fdf1f0"), borderPadding=(4, 6, 5, 7), spaceBefore=6, spaceAfter=9
)


def write_pdf(document: Document, path: Path) -> None:
    """Write a report as PDF.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    register_fonts()
    whole = io.BytesIO()
    template = BaseDocTemplate(
        whole,
        pagesize=A4,
        title=drawable(document.title),
        author="mammolens",
        subject=DISCLAIMER,
        lang="en",
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 5 * mm,
    )
    frame = Frame(MARGIN, MARGIN + 5 * mm, WIDTH, A4[1] - 2 * MARGIN - 5 * mm, 0, 0, 0, 0)
    foot = drawable(document.title)

    def furnish(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setFillColor(INK)
        canvas.setFont(BOLD, 7.5)
        canvas.drawString(MARGIN, MARGIN, DISCLAIMER)
        canvas.setFont(REGULAR, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(MARGIN, MARGIN - 10, foot if len(foot) < 90 else foot[:89] + "…")
        canvas.drawRightString(A4[0] - MARGIN, MARGIN, f"Page {canvas.getPageNumber()}")
        canvas.restoreState()

    template.addPageTemplates([PageTemplate(frames=[frame], onPage=furnish)])
    with _bytes_as_they_are():
        template.build(list(_story(document)))
    path.write_bytes(whole.getvalue())


@contextmanager
def _bytes_as_they_are() -> Iterator[None]:
    """No ASCII armour around pictures: Python works it out, and they grow by a quarter."""
    before, rl_config.useA85 = rl_config.useA85, 0
    try:
        yield
    finally:
        rl_config.useA85 = before


class _Chart(Flowable):  # type: ignore[misc]
    """A drawing in the flow of a page, at a width in points."""

    def __init__(self, drawing: Drawing, width: float) -> None:
        Flowable.__init__(self)
        self._drawing = drawing
        self.width, self.height = width, drawing.height * width / drawing.width

    def draw(self) -> None:
        self.canv.saveState()
        self.canv.scale(*(2 * [self.width / self._drawing.width]))
        paint(self._drawing, self.canv, REGULAR, BOLD)
        self.canv.restoreState()


class _Mark(Flowable):  # type: ignore[misc]
    """An entry in the outline of the document, and nothing on the page."""

    def __init__(self, title: str, anchor: str, level: int) -> None:
        Flowable.__init__(self)
        self.width = self.height = 0
        self.keepWithNext = 1
        self._entry = title, anchor, level

    def draw(self) -> None:
        title, anchor, level = self._entry
        self.canv.bookmarkPage(anchor)
        self.canv.addOutlineEntry(title, anchor, level)


def _story(document: Document) -> Iterator[Any]:
    yield Paragraph(as_markup(document.title), _TITLE)
    yield Paragraph(as_markup(DISCLAIMER), _NOTICE)
    yield grid_of(
        [
            [Paragraph(as_markup(name), SMALL), Paragraph(as_markup(value), CELL)]
            for name, value in document.facts
        ],
        [0.24 * WIDTH, 0.76 * WIDTH],
    )
    for section in document.sections:
        if not section.blocks:
            continue
        yield CondPageBreak(70 * mm)
        yield _Mark(drawable(section.title), section.anchor, 0)
        yield Paragraph(as_markup(section.title), _SECTION)
        yield from _blocks(section.blocks)
        if section.details:
            yield Paragraph(_FURTHER, SMALL)


def _blocks(blocks: Sequence[Block]) -> Iterator[Any]:
    waiting: list[Figure] = []
    for block in blocks:
        if isinstance(block, Figure):
            waiting.append(block)
            continue
        yield from _charts(waiting)
        waiting = []
        yield from _block(block)
    yield from _charts(waiting)


def _charts(figures: Sequence[Figure]) -> Iterator[Any]:
    """Two charts a row, each above the words that say what it shows."""
    width = (WIDTH - _GAP) / 2
    for n in range(0, len(figures), 2):
        pair = figures[n : n + 2]
        cells = [[_Chart(one.drawing, width), Paragraph(as_markup(one.alt), SMALL)] for one in pair]
        yield _beside(cells, width, 2)


def _beside(cells: list[Any], width: float, columns: int) -> Any:
    gaps = _GAP if columns == 2 else 3 * mm
    row = [*cells, *([""] * (columns - len(cells)))]
    grid = Grid([row], colWidths=[width + gaps] * (columns - 1) + [width])
    grid.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-2, -1), gaps),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
        ]
    )
    return grid


def _block(block: Block) -> Iterator[Any]:
    match block:
        case Text(words):
            yield Paragraph(as_markup(words), _BODY)
        case Alarm(words):
            yield Paragraph(
                f'<font name="{BOLD}" color="#8f1515">Warning.</font> {as_markup(words)}', _ALARMED
            )
        case Heading(words, anchor):
            yield CondPageBreak(60 * mm)
            yield _Mark(drawable(words), anchor, 1)
            yield Paragraph(as_markup(words), _PART)
        case Bullets(items):
            yield _bullets([as_markup(item) for item in items])
        case Sources(items):
            yield _bullets(
                [
                    f'{as_markup(work)} <a href="{escape(address, quote=True)}" color="#0b5394">'
                    f"{as_markup(address)}</a>"
                    for work, address in items
                ]
            )
        case Table():
            yield from table_flow(block)
        case Pictures(cases, whole):
            yield from _pictures(cases, 1 if whole else _CASES_IN_A_ROW)
        case Figure():
            raise TypeError("charts are gathered by their section")


def _bullets(items: Sequence[str]) -> Any:
    return ListFlowable(
        [Paragraph(item, _BODY) for item in items],
        bulletType="bullet",
        start="•",
        bulletFontName=REGULAR,
        bulletFontSize=7,
        leftIndent=11,
    )


def _pictures(cases: Sequence[ShownCase], in_a_row: int) -> Iterator[Any]:
    width = (WIDTH - 3 * mm * (in_a_row - 1)) / in_a_row
    for n in range(0, len(cases), in_a_row):
        cells = [_case(case, width) for case in cases[n : n + in_a_row]]
        yield _beside(cells, width, in_a_row)


def _case(case: ShownCase, width: float) -> list[Any]:
    columns, rows = ImageReader(io.BytesIO(case.png)).getSize()
    scale = min(width / columns, _TALLEST / rows)
    picture = Image(io.BytesIO(case.png), columns * scale, rows * scale, hAlign="LEFT")
    lines = [as_markup(line) for line in case.caption]
    caption = "<br/>".join([f"<b>{lines[0]}</b>", *lines[1:]]) if lines else ""
    return [picture, Spacer(1, 2), Paragraph(caption, SMALL)]
