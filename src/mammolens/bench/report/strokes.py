"""A chart as strokes and words, so that one drawing serves the page and the print alike.

Matplotlib lays a figure out and draws it on a `_Recorder`; what it drew flows out as a `Drawing`
in points, which `svg` writes as markup and `paint` repeats on a PDF canvas, as vectors both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.path import Path
from matplotlib.transforms import Transform

from mammolens.wording import printable

__all__ = ["Drawing", "Letters", "Stroke", "draw", "drawable", "font_file", "paint", "svg"]

Rgb = tuple[float, float, float]

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
}
_LEAST_RGB_STEP: Final = 255


@dataclass(frozen=True)
class Stroke:
    """A path in points from the bottom left: ``M``, ``L``, ``Q``, ``C`` or ``Z`` and numbers.

    `fill` and `line` are RGB in 0–1 with their opacity, or ``None``; `dashes` are in points.
    """

    steps: tuple[tuple[str, tuple[float, ...]], ...]
    fill: tuple[Rgb, float] | None
    line: tuple[Rgb, float] | None
    width: float
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Letters:
    """Words whose baseline starts, is centred or ends at a point, turned by an angle."""

    text: str
    at: tuple[float, float]
    size: float
    colour: Rgb
    bold: bool
    angle_deg: float
    anchor: str


@dataclass(frozen=True)
class Drawing:
    """A chart of a width and height in points."""

    width: float
    height: float
    marks: tuple[Stroke | Letters, ...]


def draw(size_in: tuple[float, float], plot: Callable[[Figure], None]) -> Drawing:
    """Let matplotlib lay out and draw a figure, and keep its strokes.

    Parameters
    ----------
    size_in
        Width and height in inches.
    plot
        Adds axes to a figure and draws on them.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size_in, dpi=72, layout="constrained")
        FigureCanvasAgg(figure)
        plot(figure)
        recorder = _Recorder((72 * size_in[0], 72 * size_in[1]))
        figure.draw(recorder)
    return Drawing(*recorder.size, tuple(recorder.marks))


def drawable(text: str) -> str:
    """Make text fit for the charts' and the print's font: what it cannot draw becomes a box.

    Examples
    --------
    >>> drawable("µ ≥ 0.5\\n漢")
    'µ ≥ 0.5□□'
    """
    known = _known_letters()
    return "".join(c if ord(c) in known else "□" for c in printable(text)).replace("\ufffd", "□")


def font_file(weight: str) -> str:
    """Give the TrueType file of DejaVu Sans, ``normal`` or ``bold``, which matplotlib brings."""
    return findfont(FontProperties(family="DejaVu Sans", weight=weight))


@lru_cache(maxsize=1)
def _known_letters() -> frozenset[int]:
    regular, bold = (get_font(font_file(weight)) for weight in ("normal", "bold"))
    return frozenset(regular.get_charmap()) & frozenset(bold.get_charmap())


class _Recorder(RendererBase):
    """What matplotlib draws on: it keeps the marks, in points."""

    def __init__(self, size: tuple[float, float]) -> None:
        RendererBase.__init__(self)
        self.size = size
        self.marks: list[Stroke | Letters] = []

    def flipy(self) -> bool:
        return False

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.size

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: Any = None,
    ) -> None:
        line = gc.get_rgb()
        opaque = gc.get_alpha() if gc.get_forced_alpha() else line[3] if len(line) > 3 else 1.0
        shown = gc.get_linewidth() > 0 and opaque > 0
        fill = None
        if rgbFace is not None and (len(rgbFace) < 4 or rgbFace[3] > 0):
            own = rgbFace[3] if len(rgbFace) > 3 else 1.0
            fill = (_rgb(rgbFace), gc.get_alpha() if gc.get_forced_alpha() else own)
        if not shown and fill is None:
            return
        steps = _steps(path, transform, _clip(gc) if fill is None else None)
        dashes: Any = gc.get_dashes()[1]
        if steps:
            self.marks.append(
                Stroke(
                    steps,
                    fill,
                    (_rgb(line), opaque) if shown else None,
                    float(gc.get_linewidth()),
                    tuple(float(length) for length in dashes or ()),
                )
            )

    def draw_image(self, *_: Any) -> None:
        raise NotImplementedError("charts hold no pictures")

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        side = mtext.get_ha() if mtext else "left"
        anchor = {"left": "start", "right": "end"}.get(side, "middle")
        along = self.get_text_width_height_descent(s, prop, ismath)[0]
        along *= {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        turn = math.radians(angle)
        self.marks.append(
            Letters(
                drawable(s),
                (x + along * math.cos(turn), y + along * math.sin(turn)),
                float(prop.get_size_in_points()),
                _rgb(gc.get_rgb()),
                prop.get_weight() in ("bold", 700),
                float(angle),
                anchor,
            )
        )


def _rgb(colour: Any) -> Rgb:
    return float(colour[0]), float(colour[1]), float(colour[2])


def _clip(gc: GraphicsContextBase) -> tuple[float, float, float, float] | None:
    box = gc.get_clip_rectangle()
    return None if box is None else (box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1)


def _steps(
    path: Path, transform: Transform, clip: tuple[float, float, float, float] | None
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    words = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    steps: list[tuple[str, tuple[float, ...]]] = []
    for points, code in path.iter_segments(transform, clip=clip, simplify=None):
        if code == Path.CLOSEPOLY:
            steps.append(("Z", ()))
        elif code in words:
            steps.append((words[code], tuple(np.round(points, 2).tolist())))
    return tuple(steps)


def svg(drawing: Drawing, title: str, alt: str, key: str) -> str:
    """Write a drawing as an inline SVG element with a title and a description.

    Parameters
    ----------
    title, alt
        What it is called, and what it shows in words.
    key
        Makes its two identifiers unique in the page.
    """
    body = "".join(
        _svg_stroke(mark, drawing.height)
        if isinstance(mark, Stroke)
        else _svg_letters(mark, drawing.height)
        for mark in drawing.marks
    )
    return (
        f'<svg viewBox="0 0 {drawing.width:g} {drawing.height:g}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc"><title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(alt)}</desc>{body}</svg>'
    )


def _svg_stroke(mark: Stroke, height: float) -> str:
    parts = []
    for word, numbers in mark.steps:
        flipped = [n if i % 2 == 0 else height - n for i, n in enumerate(numbers)]
        parts.append(word + " ".join(f"{n:.1f}".removesuffix(".0") for n in flipped))
    looks = [f'fill="{_hex(mark.fill[0])}"' if mark.fill else 'fill="none"']
    if mark.fill and mark.fill[1] < 1:
        looks.append(f'fill-opacity="{mark.fill[1]:.2g}"')
    if mark.line:
        looks.append(f'stroke="{_hex(mark.line[0])}" stroke-width="{mark.width:.3g}"')
        if mark.line[1] < 1:
            looks.append(f'stroke-opacity="{mark.line[1]:.2g}"')
        if mark.dashes:
            looks.append(f'stroke-dasharray="{" ".join(f"{n:.3g}" for n in mark.dashes)}"')
    return f'<path d="{"".join(parts)}" {" ".join(looks)}/>'


def _svg_letters(mark: Letters, height: float) -> str:
    x, y = mark.at[0], height - mark.at[1]
    turned = f' transform="rotate({-mark.angle_deg:g} {x:.1f} {y:.1f})"' if mark.angle_deg else ""
    anchored = f' text-anchor="{mark.anchor}"' if mark.anchor != "start" else ""
    weight = ' font-weight="bold"' if mark.bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{mark.size:.3g}" fill="{_hex(mark.colour)}"'
        f"{weight}{anchored}{turned}>{escape(mark.text)}</text>"
    )


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{round(part * _LEAST_RGB_STEP):02x}" for part in colour)


def paint(drawing: Drawing, canvas: Any, regular: str, bold: str) -> None:
    """Repeat a drawing on a reportlab canvas whose origin is the drawing's bottom left.

    Parameters
    ----------
    canvas
        A `reportlab.pdfgen.canvas.Canvas`.
    regular, bold
        Names of registered faces.
    """
    for mark in drawing.marks:
        canvas.saveState()
        if isinstance(mark, Stroke):
            _paint_stroke(mark, canvas)
        else:
            _paint_letters(mark, canvas, bold if mark.bold else regular)
        canvas.restoreState()


def _paint_stroke(mark: Stroke, canvas: Any) -> None:
    path = canvas.beginPath()
    at = (0.0, 0.0)
    for word, numbers in mark.steps:
        if word == "M":
            path.moveTo(*numbers)
        elif word == "L":
            path.lineTo(*numbers)
        elif word == "Q":
            path.curveTo(*_cubic(at, numbers))
        elif word == "C":
            path.curveTo(*numbers)
        else:
            path.close()
        at = (numbers[-2], numbers[-1]) if numbers else at
    if mark.fill:
        canvas.setFillColorRGB(*mark.fill[0], alpha=mark.fill[1])
    if mark.line:
        canvas.setStrokeColorRGB(*mark.line[0], alpha=mark.line[1])
        canvas.setLineWidth(mark.width)
        if mark.dashes:
            canvas.setDash(list(mark.dashes))
    canvas.drawPath(path, stroke=int(mark.line is not None), fill=int(mark.fill is not None))


def _cubic(start: tuple[float, float], numbers: tuple[float, ...]) -> tuple[float, ...]:
    """The cubic curve that a quadratic one is."""
    (x0, y0), (qx, qy, x, y) = start, numbers
    return (
        x0 + 2 / 3 * (qx - x0),
        y0 + 2 / 3 * (qy - y0),
        x + 2 / 3 * (qx - x),
        y + 2 / 3 * (qy - y),
        x,
        y,
    )


def _paint_letters(mark: Letters, canvas: Any, face: str) -> None:
    canvas.translate(*mark.at)
    canvas.rotate(mark.angle_deg)
    canvas.setFillColorRGB(*mark.colour)
    canvas.setFont(face, mark.size)
    writers = {"start": canvas.drawString, "end": canvas.drawRightString}
    writers.get(mark.anchor, canvas.drawCentredString)(0, 0, mark.text)
