"""The charts of a report: curves over two axes, and forest plots of figures with intervals.

Colours are those of Okabe and Ito (doi:10.1038/nmeth.1618). Curves of one chart also have different
dashes, and sets of points different markers. So a reader can distinguish them without colours.
matplotlib draws them as SVG. Text stays text, so that it can be searched and read aloud.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Sheet

from mammolens.bench.report.document import Figure
from mammolens.wording import printable

__all__ = ["BLACK", "LOOKS", "Band", "Curve", "ForestRow", "Spot", "forest", "plane"]

BLACK: Final = "#000000"
LOOKS: Final = (
    ("#0072B2", "solid", "o"),
    ("#D55E00", (0, (6, 2)), "s"),
    ("#009E73", (0, (1.5, 1.5)), "^"),
    ("#CC79A7", (0, (6, 1.5, 1.5, 1.5)), "D"),
    ("#000000", (0, (3, 1, 1, 1, 1, 1)), "v"),
)
"""Colour, dashes and marker of the first, second, … curve."""

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
_WIDTH_IN: Final = 4.3
_HEIGHT_IN: Final = 3.7
_LEFT_IN: Final = 0.55
_RIGHT_IN: Final = 0.12
_TOP_IN: Final = 0.3
_BELOW_IN: Final = 0.62  # the numbers and the name of the x axis
_NAME_IN: Final = 0.17  # a line of the legend
_ROW_IN: Final = 0.27  # a row of a forest plot
_FOREST_IN: Final = 0.95  # what a forest plot needs beside its rows
_REFERENCE: Final = {"color": "#595959", "linewidth": 0.9, "linestyle": (0, (2, 3))}
_EDGE_PT: Final = 1.0
"""How far a curve may be drawn beyond its axes; otherwise half of a line at 0 or 1 is cut off."""
_LONGEST_NAME: Final = 34  # letters; a longer name or title is cut
_LONGEST_TITLE: Final = 60
_FULL_SIZE: Final = 36  # letters of a title that fit at its full font size
_MOST_ROWS: Final = 40


@dataclass(frozen=True)
class Curve:
    """Points joined by a line, or by steps; `marked` draws a marker on each."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    steps: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Spot:
    """Single points with a name, drawn with a marker and no line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marker: str = "*"


@dataclass(frozen=True)
class Band:
    """The area between two curves over the same `x`."""

    name: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class ForestRow:
    """One figure with its interval, and a note beside its name; a missing number is ``None``."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str


def plane(
    title: str,
    alt: str,
    axes: tuple[str, str],
    curves: Sequence[Curve],
    *,
    spots: Sequence[Spot] = (),
    bands: Sequence[Band] = (),
    reference: tuple[tuple[float, float], tuple[float, float]] | None = None,
    x_limits: tuple[float, float] = (0.0, 1.0),
    y_limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Draw curves, points and bands over two axes.

    Parameters
    ----------
    axes
        Names of the x and the y axis, with their units.
    curves, spots, bands
        The drawn data; the first curve gets the first of `LOOKS`, and so on.
    reference
        Ends of a thin dotted line, such as chance or perfect calibration.
    """
    named = len(curves) + len(spots)
    below, width = _BELOW_IN + _NAME_IN * named, _WIDTH_IN
    height = _HEIGHT_IN + _NAME_IN * named

    def plot(figure: Sheet) -> None:
        figure.set_layout_engine("none")  # the layout is fixed; computing one doubles the time
        axis: Any = figure.add_axes(
            (
                _LEFT_IN / width,
                below / height,
                1.0 - (_LEFT_IN + _RIGHT_IN) / width,
                1.0 - (below + _TOP_IN) / height,
            )
        )
        if reference:
            axis.plot(*zip(*reference, strict=True), **_REFERENCE)
        for n, band in enumerate(bands):
            colour = LOOKS[n % len(LOOKS)][0]
            axis.fill_between(band.x, band.low, band.high, color=colour, alpha=0.16, linewidth=0)
        for n, curve in enumerate(curves):
            colour, dashes, marker = LOOKS[n % len(LOOKS)]
            (line,) = axis.plot(
                curve.x,
                curve.y,
                color=colour,
                linestyle=dashes,
                linewidth=1.6,
                drawstyle="steps-post" if curve.steps else "default",
                marker=marker if curve.marked else "",
                markersize=4.5,
                label=_cut(curve.name, _LONGEST_TITLE),
            )
            line.set_clip_box(axis.bbox.padded(_EDGE_PT))
        for spot in spots:
            axis.plot(
                spot.x,
                spot.y,
                color=BLACK,
                linestyle="",
                marker=spot.marker,
                markersize=9 if spot.marker == "*" else 6,
                markerfacecolor="white",
                markeredgewidth=1.1,
                label=_cut(spot.name, _LONGEST_TITLE),
            )
        axis.set(xlim=x_limits, ylim=y_limits, xlabel=axes[0], ylabel=axes[1])
        axis.set_title(_cut(title, _LONGEST_TITLE), fontsize=_title_size(title))
        if named:
            figure.legend(loc="lower left", ncols=1, handlelength=3.6, borderaxespad=0.4)

    return Figure(title, alt, _draw((width, height), plot))


def forest(
    title: str,
    alt: str,
    axis_name: str,
    rows: Sequence[ForestRow],
    *,
    reference: float | None = None,
    band: tuple[float, float] | None = None,
) -> Figure:
    """Draw a forest plot: figures below each other, each with its interval; at most 40.

    Parameters
    ----------
    reference
        Position of a thin dotted line, such as the figure over all groups.
    band
        Ends of a shaded range, such as acceptable figures; the axis shows it as far as its other
        content reaches.
    """
    shown = rows[:_MOST_ROWS]

    def plot(figure: Sheet) -> None:
        axis: Any = figure.subplots()
        colour = LOOKS[0][0]
        if band is not None:
            axis.axvspan(*band, color=LOOKS[2][0], alpha=0.12, linewidth=0)
        if reference is not None:
            axis.axvline(reference, **_REFERENCE)
        for place, row in enumerate(shown):
            if row.low is not None and row.high is not None:
                axis.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6)
            if row.value is not None:
                axis.plot([row.value], [place], color=colour, marker="s", markersize=5)
        axis.set_yticks(
            range(len(shown)),
            [f"{_cut(row.name, _LONGEST_NAME)} {row.note}".strip() for row in shown],
        )
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(axis_name)
        axis.set_xlim(*_limits(shown, reference))
        named = _cut(title, _LONGEST_TITLE)
        size = _title_size(title)
        figure.suptitle(named, x=0.01, ha="left", fontsize=size, fontweight="bold")

    return Figure(title, alt, _draw((_WIDTH_IN, _FOREST_IN + _ROW_IN * max(len(shown), 1)), plot))


def _cut(words: str, most: int) -> str:
    name = printable(words)
    return name if len(name) <= most else name[: most - 1] + "…"


def _title_size(title: str) -> float:
    """Give the font size in points that keeps a long title within its chart."""
    return 10.0 * min(1.0, _FULL_SIZE / min(len(title), _LONGEST_TITLE))


def _limits(rows: Sequence[ForestRow], reference: float | None) -> tuple[float, float]:
    edges = [edge for row in rows for edge in (row.value, row.low, row.high) if edge is not None]
    edges += [reference] if reference is not None else []
    low, high = (min(edges), max(edges)) if edges else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room


def _draw(size_in: tuple[float, float], plot: Callable[[Sheet], None]) -> str:
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
        # If DejaVu Sans lacks a letter or matplotlib does not know a script, it only measures the
        # text wrongly: the browser and typst show it in another font.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        figure = Sheet(figsize=size_in, dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        plot(figure)
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()
