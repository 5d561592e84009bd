"""A chart is a complete SVG file, and one of several elements in a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mammolens.bench.report.charts import Curve, ForestRow, forest, plane
from mammolens.bench.report.html import inline

SVG = "{http://www.w3.org/2000/svg}"


def points(svg, colour):
    """The points (n, 2) of the longest path of a colour."""
    paths = [
        np.array(re.findall(r"[ML] ([-.\d]+) ([-.\d]+)", path.get("d")), float)
        for path in ElementTree.fromstring(svg).iter(f"{SVG}path")
        if colour in path.get("style", "")
    ]
    return max(paths, key=len)


def test_a_curve_keeps_its_points_and_order():
    x, y = [0.0, 0.25, 0.5, 1.0], [0.0, 0.6, 0.8, 1.0]
    chart = plane("T", "alt", ("x axis", "y axis"), [Curve("c", x, y)])
    places = points(chart.svg, "#0072b2")
    for axis, values in ((0, x), (1, y)):
        span = places[-1, axis] - places[0, axis]
        assert (places[:, axis] - places[0, axis]) / span == pytest.approx(values, abs=0.01)
    words = {text.text for text in ElementTree.fromstring(chart.svg).iter(f"{SVG}text")}
    assert {"T", "x axis", "y axis", "c"} <= words


def test_names_from_outside_are_neither_markup_nor_mathematics(recwarn):
    name = "$x_1$ <b> 漢 ملف"
    chart = forest("F", "alt", "axis", [ForestRow(name, 0.5, 0.4, 0.6, "n 3")])
    text = inline(chart.svg, "F", "<alt>", "key")
    assert "$x_1$ &lt;b&gt; 漢 ملف" in text
    assert '<desc id="key-desc">&lt;alt&gt;</desc>' in text
    assert list(recwarn) == []


def test_charts_of_a_page_do_not_share_identifiers():
    chart = plane("T", "alt", ("x", "y"), [Curve("c", [0, 1], [0, 1], marked=True)])
    one, other = (ElementTree.fromstring(inline(chart.svg, "T", "alt", k)) for k in ("a", "b"))
    ids = [{e.get("id") for e in root.iter() if e.get("id")} for root in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for root, own in zip((one, other), ids, strict=True):
        used = re.findall(r"#(\w[-\w]*)\"", ElementTree.tostring(root, "unicode"))
        clipped = re.findall(r"url\(#([^)]+)\)", ElementTree.tostring(root, "unicode"))
        assert clipped
        assert {u for u in (*used, *clipped) if not re.fullmatch("[0-9a-f]{6}", u)} <= own


def test_the_same_figure_gives_the_same_text():
    one, other = (
        plane("T", "alt", ("x", "y"), [Curve("c", [0, 1], [0, 1], marked=True)]) for _ in range(2)
    )
    assert one.svg == other.svg
