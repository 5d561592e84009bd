"""Boxes map back to source pixels, for random shapes, flips, turns and crops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens.core import Geometry, ImageRef, Mammogram, Orientation, SourceHeader, turn_box
from mammolens.errors import ConfigError
from mammolens.preprocess import PreprocessConfig, prepare


@st.composite
def geometries(draw):
    rows, cols = draw(st.integers(40, 5000)), draw(st.integers(40, 5000))
    r0, c0 = draw(st.integers(0, rows - 20)), draw(st.integers(0, cols - 20))
    r1, c1 = draw(st.integers(r0 + 10, rows)), draw(st.integers(c0 + 10, cols))
    height, width = 512, 384
    scaled = draw(st.integers(8, height)), draw(st.integers(8, width))
    offset = (height - scaled[0]) // 2, 0
    flipped, quarters = draw(st.booleans()), draw(st.integers(0, 3))
    frame = (height, width)
    return Geometry((rows, cols), (r0, c0, r1, c1), scaled, offset, frame, flipped, quarters)


@given(geometries(), st.data())
@settings(max_examples=300)
def test_a_box_in_the_crop_returns_within_half_a_pixel(geometry, data):
    r0, c0, r1, c1 = geometry.crop_source_px
    rows = sorted(data.draw(st.tuples(st.floats(r0, r1), st.floats(r0, r1))))
    cols = sorted(data.draw(st.tuples(st.floats(c0, c1), st.floats(c0, c1))))
    box = (rows[0], cols[0], rows[1], cols[1])
    prepared = geometry.box_to_prepared(box)
    assert prepared[0] <= prepared[2]
    assert prepared[1] <= prepared[3]
    assert np.allclose(geometry.box_to_source(prepared), box, atol=0.5)


@given(geometries(), st.data())
@settings(max_examples=200)
def test_a_turned_source_is_the_upright_one_turned(geometry, data):
    """The stored picture's map is the upright picture's, with the box turned along."""
    upright = geometry.upright
    assert upright.quarter_turns == 0
    assert upright.stored_turned(geometry.quarter_turns) == geometry
    rows, cols = geometry.source_shape
    corner = data.draw(st.tuples(st.floats(0, rows), st.floats(0, cols)))
    box = (corner[0] / 2, corner[1] / 3, corner[0], corner[1])
    turned = turn_box(box, geometry.source_shape, geometry.quarter_turns)
    assert geometry.box_to_prepared(box) == upright.box_to_prepared(turned)
    back = turn_box(turned, upright.source_shape, -geometry.quarter_turns)
    assert np.allclose(back, box, atol=1e-6 * max(rows, cols))


@pytest.mark.parametrize("quarters", range(4))
def test_a_box_is_turned_as_the_pixels_are(quarters):
    picture = np.zeros((7, 5), int)
    picture[1:3, 2:5] = 1
    turned = np.rot90(picture, -quarters)
    r0, c0, r1, c1 = turn_box((1, 2, 3, 5), picture.shape, quarters)
    assert turned[r0:r1, c0:c1].all()
    assert turned.sum() == (r1 - r0) * (c1 - c0)


@pytest.mark.parametrize("quarters", [-1, 4])
def test_other_turns_are_refused(quarters):
    with pytest.raises(ConfigError, match="quarter turns"):
        Geometry((9, 9), (0, 0, 9, 9), (9, 9), (0, 0), (9, 9), False, quarters)


def phantom(rows, cols, *, right, spot, inverted=False, dtype=np.uint16):
    """A half-disc breast at one edge with a bright square; returns the picture."""
    y, x = np.mgrid[:rows, :cols]
    across = (cols - 1 - x) if right else x
    inside = ((y - rows / 2) / (0.42 * rows)) ** 2 + (across / (0.6 * cols)) ** 2 < 1
    picture = np.where(inside, 900 + 200 * np.sin(y / 9) * np.cos(x / 7), 0)
    r0, c0, r1, c1 = spot
    picture[r0:r1, c0:c1] = 4000
    return (4095 - picture if inverted else picture).astype(dtype)


def mammogram(pixels, **changes):
    return Mammogram(ImageRef("phantom.png"), SourceHeader(), pixels, **changes)


@given(
    st.integers(600, 1500),
    st.integers(400, 1200),
    st.booleans(),
    st.booleans(),
    st.floats(0.4, 0.6),
    st.floats(0.1, 0.3),
    st.integers(0, 3),
)
@settings(max_examples=40)
def test_a_bright_spot_is_found_at_its_source_place(
    rows, cols, right, inverted, down, across, quarters
):
    row, col = int(down * rows), int((1 - across if right else across) * cols)
    spot = (row - 15, col - 15, row + 15, col + 15)
    upright = phantom(rows, cols, right=right, spot=spot, inverted=inverted)
    spot = turn_box(spot, (rows, cols), -quarters)
    view = prepare(
        mammogram(
            np.ascontiguousarray(np.rot90(upright, quarters)),
            orientation=Orientation(quarters, None, "PatientOrientation"),
        ),
        PreprocessConfig(clahe_clip=0.0, high_percentile=100.0, low_percentile=0.0),
    )
    assert view.geometry.quarter_turns == quarters
    assert view.geometry.flipped is right
    assert ("inverted_picture" in {c.name for c in view.cautions}) is inverted
    bright = view.pixels > 200
    at_rows, at_cols = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    found = view.geometry.box_to_source(
        (float(at_rows[0]), float(at_cols[0]), float(at_rows[-1] + 1), float(at_cols[-1] + 1))
    )
    pixel = max(1 / side for side in view.geometry.scale)
    assert np.allclose(found, spot, atol=0.5 + 1.5 * pixel)
