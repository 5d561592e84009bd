"""A chart is the same strokes on the page and in print."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.path import Path
from pypdf import PdfReader
from reportlab.pdfgen.canvas import Canvas

from mammolens.bench.report.charts import Curve, ForestRow, forest, plane
from mammolens.bench.report.pdf_tables import BOLD, REGULAR, register_fonts
from mammolens.bench.report.strokes import Letters, Stroke, draw, drawable, paint, svg


def lines(drawing, colour):
    return [m for m in drawing.marks if isinstance(m, Stroke) and m.line and m.line[0] == colour]


def test_a_curve_keeps_its_points_and_order():
    x, y = [0.0, 0.25, 0.5, 1.0], [0.0, 0.6, 0.8, 1.0]
    chart = plane("T", "alt", ("x axis", "y axis"), [Curve("c", x, y)])
    blue = tuple(int("0072B2"[n : n + 2], 16) / 255 for n in (0, 2, 4))
    (curve,) = [m for m in lines(chart.drawing, pytest.approx(blue)) if len(m.steps) == 4]
    places = np.array([numbers for _, numbers in curve.steps])
    for axis, values in ((0, x), (1, y)):
        span = places[-1, axis] - places[0, axis]
        assert (places[:, axis] - places[0, axis]) / span == pytest.approx(values, abs=0.01)
    words = {m.text for m in chart.drawing.marks if isinstance(m, Letters)}
    assert {"T", "x axis", "y axis", "c"} <= words


def test_curves_end_where_the_axes_end():
    chart = plane("T", "alt", ("x", "y"), [Curve("c", [0, 1], [-5.0, 5.0])])
    places = [
        (numbers[i], numbers[i + 1])
        for m in chart.drawing.marks
        if isinstance(m, Stroke)
        for _, numbers in m.steps
        for i in range(0, len(numbers), 2)
    ]
    assert all(-1 <= x <= chart.drawing.width + 1 for x, _ in places)
    assert all(-1 <= y <= chart.drawing.height + 1 for _, y in places)


def test_names_from_outside_are_neither_markup_nor_mathematics(recwarn):
    name = "$x_1$ <b> 漢 ملف"
    chart = forest("F", "alt", "axis", [ForestRow(name, 0.5, 0.4, 0.6, "n 3")])
    text = svg(chart.drawing, "F", "<alt>", "key")
    assert "$x_1$ &lt;b&gt; □ ملف" in text
    assert "漢" not in text
    assert '<desc id="key-desc">&lt;alt&gt;</desc>' in text
    assert list(recwarn) == []
    assert drawable("µ ≥ – ö") == "µ ≥ – ö"


def test_print_and_page_have_the_same_marks():
    def plot(figure):
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], linestyle="dashed")
        axis.set_ylabel("turned")

    drawing = draw((3.0, 2.0), plot)
    page = svg(drawing, "t", "a", "k")
    assert page.count("<path") == sum(isinstance(m, Stroke) for m in drawing.marks)
    assert page.count("<text") == sum(isinstance(m, Letters) for m in drawing.marks)
    assert 'transform="rotate(-90' in page
    register_fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(216, 144))
    paint(drawing, canvas, REGULAR, BOLD)
    canvas.save()
    (printed,) = PdfReader(out).pages
    assert "turned" in printed.extract_text()
    assert len(printed.images) == 0


def test_curved_paths_are_kept_as_curves():
    def plot(figure):
        from matplotlib.patches import PathPatch

        axis = figure.subplots()
        codes = [Path.MOVETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CLOSEPOLY]
        shape = Path([(0, 0), (0.5, 1), (1, 0), (0.5, -1), (0, 0)], codes)
        axis.add_patch(PathPatch(shape, facecolor="#112233"))

    drawing = draw((3.0, 2.0), plot)
    (shape,) = [
        m for m in drawing.marks if isinstance(m, Stroke) and any(w == "Q" for w, _ in m.steps)
    ]
    assert [word for word, _ in shape.steps] == ["M", "Q", "L", "Z"]
    register_fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pageCompression=0)
    paint(drawing, canvas, REGULAR, BOLD)
    canvas.save()
    assert b" c " in out.getvalue()
