"""Render a report as one HTML page that includes its style, charts and pictures.

The template is ``report.html.j2``. The page works on a phone, with a keyboard and with a screen
reader, and prints on A4 without breaking table rows.
"""

from __future__ import annotations

import base64
import re
from importlib import resources
from typing import Final

from markupsafe import Markup, escape

from mammolens import DISCLAIMER
from mammolens._pages import page_start, templates
from mammolens.bench.report.document import Document, Figure, charts_together
from mammolens.bench.report.svg import inline
from mammolens.wording import printable

__all__ = ["render_html"]

_HERE: Final = "mammolens.bench.report"
_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_INTERVAL: Final = re.compile(r"\(−?[\d.]+(?:–| to )−?[\d.]+\)")
_KEPT: Final = r'<span class="kept">\g<0></span>'
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")


def render_html(document: Document) -> str:
    """Render a report as the text of a whole HTML document."""
    pages = templates(_HERE)
    pages.filters |= {
        "chart": _chart,
        "charts_together": charts_together,
        "kind": lambda block: type(block).__name__,
        "png": lambda data: f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}",
        "words": _words,
    }
    style = resources.files(_HERE).joinpath("report.css").read_text("utf-8")
    return pages.get_template("report.html.j2").render(
        start=Markup(page_start(document.title, style)), report=document, disclaimer=DISCLAIMER
    )


def _chart(figure: Figure, key: str) -> Markup:
    return Markup(inline(figure.svg, printable(figure.title), printable(figure.alt), key))


def _words(words: str) -> Markup:
    """Escape text; keep an interval on one line, and let a long name break anywhere."""
    shown = printable(words)
    pieces = [_INTERVAL.sub(_KEPT, str(escape(piece))) for piece in _LONG.split(shown) if piece]
    text = "<wbr>".join(pieces)
    return Markup(f"<bdi>{text}</bdi>" if _RIGHT_TO_LEFT.search(shown) else text)
