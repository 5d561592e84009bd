"""How a printed table looks: fonts, styles, and columns as wide as their words need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from mammolens.bench.report.document import Table
from mammolens.bench.report.strokes import drawable, font_file

__all__ = [
    "BOLD",
    "CELL",
    "INK",
    "MARGIN",
    "QUIET",
    "REGULAR",
    "SMALL",
    "WIDTH",
    "as_markup",
    "grid_of",
    "register_fonts",
    "style",
    "table_flow",
]

REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MARGIN: Final = 17 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
INK, QUIET, _LINE = (HexColor(colour) for colour in ("#1b1f23", "#4d545b", "#cfd3d7"))
_CELL_GAP: Final = 8.0
_KEPT_TOGETHER: Final = 15
_SMALLEST: Final = 0.8
_EVENING: Final = 0.6


def register_fonts() -> None:
    """Make DejaVu Sans known, which every style names."""
    known = pdfmetrics.getRegisteredFontNames()
    for name, weight in ((REGULAR, "normal"), (BOLD, "bold")):
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, font_file(weight)))
    pdfmetrics.registerFontFamily(
        REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD
    )


def style(size: float, **further: Any) -> ParagraphStyle:
    """Give a style of letters of a size in points."""
    looks = {"fontName": REGULAR, "textColor": INK, "splitLongWords": 1, **further}
    return ParagraphStyle("", fontSize=size, leading=1.38 * size, **looks)


_CAPTION = style(8.8, fontName=BOLD, spaceBefore=6, spaceAfter=2, keepWithNext=1)
_CAPTION_LOOSE = style(8.8, fontName=BOLD, spaceBefore=6, spaceAfter=2)
SMALL = style(7.4, textColor=QUIET, spaceBefore=2)
CELL = style(7.6)
_CELLS: Final[tuple[tuple[float, dict[str, Any]], ...]] = (
    (7.3, {"textColor": QUIET, "fontName": BOLD}),
    (7.6, {}),
    (7.6, {"fontName": BOLD}),
)


def table_flow(table: Table) -> Iterator[Any]:
    """Give a table with its caption and note; a short one is not parted from its caption."""
    short = len(table.rows) <= _KEPT_TOGETHER
    if not short:
        yield CondPageBreak(30 * mm)
    widths, scale = _column_widths(table)
    head, cell, bold = (style(scale * size, **looks) for size, looks in _CELLS)
    heads, cells = ([one, _to_the_right(one)] for one in (head, cell))
    rows = [
        [
            Paragraph(as_markup(words), cells[n in table.numeric] if n else bold)
            for n, words in enumerate(row)
        ]
        for row in table.rows
    ]
    yield Paragraph(as_markup(table.caption), _CAPTION if short else _CAPTION_LOOSE)
    yield grid_of(
        [
            [
                Paragraph(as_markup(name), heads[n in table.numeric])
                for n, name in enumerate(table.head)
            ],
            *rows,
        ],
        widths,
        headed=1,
    )
    if table.note:
        yield Paragraph(as_markup(table.note), SMALL)
    yield Spacer(1, 5)


def _to_the_right(left: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle("", parent=left, alignment=2)


def grid_of(rows: list[list[Any]], widths: Sequence[float], headed: int = 0) -> Any:
    """Lay cells out with a line beneath each row; `headed` rows stand again on every page."""
    grid = Grid(rows, colWidths=list(widths), repeatRows=headed, hAlign="LEFT")
    grid.setStyle(_GRID)
    if headed:
        grid.setStyle(_GRID_HEAD)
    return grid


_GRID: Final = (
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), _CELL_GAP - 1.0),
    ("TOPPADDING", (0, 0), (-1, -1), 1.8),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
)
_GRID_HEAD: Final = (
    ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
    ("LINEBELOW", (0, 0), (-1, 0), 0.7, QUIET),
)


def _column_widths(table: Table) -> tuple[list[float], float]:
    """Widths, and how far letters must shrink so that no word is cut.

    No column is narrower than its longest word; the rest goes by how much cells hold.
    """
    columns = list(zip(table.head, *table.rows, strict=True))
    least = [_widest(column) + _CELL_GAP for column in columns]
    names = max(_extent(cell) for cell in columns[0]) + _CELL_GAP
    least[0] = max(min(least[0], WIDTH / 3), min(names, WIDTH / 5))
    scale = min(1.0, max(WIDTH / sum(least), _SMALLEST))
    if scale < 1.0:
        return [WIDTH * own / sum(least) for own in least], scale
    longest = [max(_extent(cell) for cell in column) + _CELL_GAP for column in columns]
    wanted = [max(0.0, long - own) for long, own in zip(longest, least, strict=True)]
    spare = WIDTH - sum(least)
    if sum(wanted) > spare:
        evened = [more**_EVENING for more in wanted]
        wanted = [spare * more / sum(evened) for more in evened]
    return [own + more for own, more in zip(least, wanted, strict=True)], scale


def _widest(cells: Sequence[str]) -> float:
    words = [word for cell in cells for word in drawable(cell).split()]
    return max((min(_extent(word), WIDTH / 3) for word in words), default=0.0)


def _extent(words: str) -> float:
    return float(pdfmetrics.stringWidth(drawable(words), BOLD, CELL.fontSize))


def as_markup(words: str) -> str:
    """Escape text, and leave out what the font cannot draw."""
    return escape(drawable(words))
