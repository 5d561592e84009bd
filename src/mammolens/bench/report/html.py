"""Render a report as one HTML page that includes its style, charts and pictures.

The template is ``report.html.j2``. The page works on a phone, with a keyboard and with a screen
reader, and prints on A4 without breaking table rows.
"""

from __future__ import annotations

import base64
import re
from importlib import resources
from typing import Final
from xml.etree import ElementTree

from markupsafe import Markup, escape

from mammolens import DISCLAIMER
from mammolens._pages import page_start, templates
from mammolens.bench.report.document import Document, charts_together
from mammolens.wording import printable

__all__ = ["inline", "render_html"]

_HERE: Final = "mammolens.bench.report"
_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_INTERVAL: Final = re.compile(r"\(−?[\d.]+(?:–| to )−?[\d.]+\)")
_KEPT: Final = r'<span class="kept">\g<0></span>'
_SVG: Final = "http://www.w3.org/2000/svg"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_METADATA: Final = f"{{{_SVG}}}metadata"
_STYLES: Final = f"{{{_SVG}}}defs/{{{_SVG}}}style/.."  # the <defs> that hold a style
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")


def render_html(document: Document) -> str:
    """Render a report as the text of a whole HTML document."""
    pages = templates(_HERE)
    pages.filters |= {
        "chart": lambda one, key: Markup(
            inline(one.svg, printable(one.title), printable(one.alt), key)
        ),
        "charts_together": charts_together,
        "kind": lambda block: type(block).__name__,
        "png": lambda data: f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}",
        "words": _words,
    }
    style = resources.files(_HERE).joinpath("report.css").read_text("utf-8")
    return pages.get_template("report.html.j2").render(
        start=Markup(page_start(document.title, style)), report=document, disclaimer=DISCLAIMER
    )


def _words(words: str) -> Markup:
    """Escape text; keep an interval on one line, and let a long name break anywhere."""
    shown = printable(words)
    pieces = [_INTERVAL.sub(_KEPT, str(escape(piece))) for piece in _LONG.split(shown) if piece]
    text = "<wbr>".join(pieces)
    return Markup(f"<bdi>{text}</bdi>" if _RIGHT_TO_LEFT.search(shown) else text)


def inline(svg: str, title: str, alt: str, key: str) -> str:
    """Make a chart an element of a page, with a title and a description for screen readers.

    Parameters
    ----------
    key
        Prefix of its identifiers, to make them unique in the page.
    """
    root = ElementTree.fromstring(svg)
    for part in (*root.findall(_METADATA), *root.findall(_STYLES)):
        root.remove(part)
    for element in root.iter():
        _adapt_for_html(element, key)
    for place, (name, words) in enumerate({"title": title, "desc": alt}.items()):
        label = ElementTree.Element(name, {"id": f"{key}-{name}"})
        label.text = words
        root.insert(place, label)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    labels = {"role": "img", "aria-labelledby": f"{key}-title {key}-desc"}
    root.attrib |= {**labels, "stroke-linejoin": "round"}
    return ElementTree.tostring(root, encoding="unicode")


def _adapt_for_html(element: ElementTree.Element, key: str) -> None:
    """Change an SVG element for HTML: remove namespaces, and prefix its identifiers with `key`."""
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if not (element.text or "").strip():
        element.text = None
    if element.tag == "g":
        element.attrib.pop("id", None)
    for name, value in tuple(element.attrib.items()):
        if name == "id":
            element.set(name, f"{key}-{value}")
        elif name == "d":
            element.set(name, " ".join(value.split()))
        elif name == "clip-path":
            element.set(name, value.replace("url(#", f"url(#{key}-"))
        elif name == _HREF:
            del element.attrib[name]
            element.set("href", value.replace("#", f"#{key}-", 1))
