"""Maps and marked lesions of a picture that is stored lying on its side."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens.core import Geometry, Laterality, turn_box
from mammolens.data.lesions import Lesion, draw_lesion
from mammolens.render import hangs_mirrored, warp_map


@st.composite
def geometries(draw) -> Geometry:
    rows, cols = draw(st.integers(60, 160)), draw(st.integers(60, 160))
    r0, c0 = draw(st.integers(0, rows - 40)), draw(st.integers(0, cols - 40))
    crop = r0, c0, draw(st.integers(r0 + 40, rows)), draw(st.integers(c0 + 40, cols))
    scaled = draw(st.integers(30, 64)), draw(st.integers(24, 48))
    frame = 64, 48
    offset = (frame[0] - scaled[0]) // 2, 0
    return Geometry((rows, cols), crop, scaled, offset, frame, draw(st.booleans()))


@settings(max_examples=60)
@given(geometries(), st.integers(1, 3), st.sampled_from([0.5, 1.0]))
def test_a_map_is_turned_back_with_its_picture(geometry, quarters, size) -> None:
    activation = np.random.default_rng(0).random((8, 6)).astype(np.float32)
    shape = tuple(max(1, round(side * size)) for side in geometry.source_shape)
    upright = warp_map(activation, geometry, shape)
    turned = np.rot90(upright, quarters)
    stored = geometry.stored_turned(quarters)
    np.testing.assert_allclose(warp_map(activation, stored, turned.shape), turned, atol=1e-6)


@settings(max_examples=60)
@given(geometries(), st.integers(1, 3))
def test_a_box_is_drawn_at_the_same_place_for_every_orientation(geometry, quarters) -> None:
    r0, c0, _, _ = geometry.crop_source_px
    box = r0 + 5.0, c0 + 8.0, r0 + 25.0, c0 + 20.0
    stored = turn_box(box, geometry.source_shape, -quarters)
    wanted = draw_lesion(Lesion(box_source_px=box), geometry)
    found = draw_lesion(Lesion(box_source_px=stored), geometry.stored_turned(quarters))
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("quarters", range(4))
def test_a_mask_is_turned_with_its_picture(tmp_path, quarters: int) -> None:
    mask = np.zeros((120, 80), np.uint8)
    mask[30:50, 10:40] = 255
    geometry = Geometry((120, 80), (10, 0, 110, 80), (50, 40), (7, 0), (64, 48), True)
    paths = tmp_path / "upright.png", tmp_path / "stored.png"
    cv2.imwrite(str(paths[0]), mask)
    cv2.imwrite(str(paths[1]), np.rot90(mask, quarters))
    wanted = draw_lesion(Lesion(mask_path=paths[0]), geometry)
    found = draw_lesion(Lesion(mask_path=paths[1]), geometry.stored_turned(quarters))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turn_moves_the_chest_wall_to_another_edge(flipped, quarters) -> None:
    picture = np.zeros((9, 9), int)
    picture[:, -1 if flipped else 0] = 1
    stored = np.rot90(picture, quarters)
    edges = {
        "top": stored[0],
        "bottom": stored[-1],
        "left": stored[:, 0],
        "right": stored[:, -1],
    }
    (wanted,) = [name for name, edge in edges.items() if edge.all()]
    geometry = Geometry((9, 9), (0, 0, 9, 9), (9, 9), (0, 0), (9, 9), flipped)
    edge = geometry.stored_turned(quarters).chest_wall_edge
    assert edge == wanted
    mirrored = hangs_mirrored(Laterality.LEFT, geometry.stored_turned(quarters))
    assert mirrored is (edge == "right")
