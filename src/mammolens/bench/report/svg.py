"""Charts as SVG, drawn by matplotlib: inline in the HTML page, as files for the PDF.

Text stays text, so that it can be searched and read aloud.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["draw", "inline"]

_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.parse_math": False,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "mammolens",
}
_SVG: Final = "http://www.w3.org/2000/svg"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_METADATA: Final = f"{{{_SVG}}}metadata"
_STYLES: Final = f"{{{_SVG}}}defs/{{{_SVG}}}style/.."


def draw(size_in: tuple[float, float], plot: Callable[[Figure], None]) -> str:
    """Draw a figure with matplotlib.

    Parameters
    ----------
    size_in
        Width and height in inches.
    plot
        Function that adds axes to a figure and draws on them.

    Returns
    -------
    str
        A whole SVG document; the same figure gives the same text.
    """
    written = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # If DejaVu Sans lacks a letter, matplotlib only measures it wrongly: the browser and
        # typst show it in another font.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        figure = Figure(figsize=size_in, dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        plot(figure)
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()


def inline(svg: str, title: str, alt: str, key: str) -> str:
    """Make a chart an element of a page, with a title and a description for screen readers.

    Parameters
    ----------
    svg
        The result of `draw`.
    title, alt
        Its title, and a description in words.
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
