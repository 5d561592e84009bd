"""Maps and boxes are drawn at the right place, also if cropped, flipped or mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens._outlines import LEVELS, outline
from mammolens.core import (
    BreastPrediction,
    Display,
    Finding,
    Geometry,
    ImagePrediction,
    ImageRef,
    Laterality,
    ModelId,
    Prediction,
    Scores,
    SourceHeader,
    TriageCategory,
    ViewPosition,
)
from mammolens.render import (
    PICTURE_PX,
    box_to_display,
    hanging,
    hanging_order,
    hangs_mirrored,
    outline_of,
    overlay,
    warp_map,
)
from mammolens.wording import view_in_exam

R, L = Laterality.RIGHT, Laterality.LEFT
CC, MLO, ML = ViewPosition.CC, ViewPosition.MLO, ViewPosition.ML


def image(side=R, view=CC, *, flipped=True, peak=0.0, findings=(), pixels=None, kept=True):
    """A mammogram of 400 × 300 seen at half its size; `peak` is the map's strength at one cell."""
    geometry = Geometry((400, 300), (20, 0, 380, 250), (320, 222), (0, 0), (320, 256), flipped)
    activation = np.full((10, 8), 0.02, dtype=np.float32)
    activation[4, 2] = max(peak * 0.3, 0.02)
    if pixels is None:
        pixels = np.full((200, 150), 90, dtype=np.uint8)
    return ImagePrediction(
        ImageRef("a.dcm", laterality=side, view_position=view),
        SourceHeader(),
        Scores(0.5, 0.2, 0.3),
        tuple(findings),
        geometry,
        activation,
        activation.copy(),
        0.3,
        Display(pixels, (0.5, 0.5)) if kept else None,
    )


def exam(*images, category=TriageCategory.HIGH):
    scores = Scores(0.5, 0.2, 0.3) if category is not TriageCategory.FAILED else None
    breasts = (BreastPrediction(R, scores),) if scores else ()
    model = ModelId("m", "1", "d")
    return Prediction("P1", None, category, scores, breasts, images, (), (), model, 0.006, 1.0)


@st.composite
def geometries(draw):
    rows, cols = draw(st.integers(40, 160)), draw(st.integers(40, 160))
    r0, c0 = draw(st.integers(0, rows - 30)), draw(st.integers(0, cols - 30))
    r1, c1 = draw(st.integers(r0 + 30, rows)), draw(st.integers(c0 + 30, cols))
    scaled = draw(st.integers(16, 96)), draw(st.integers(16, 96))
    offset = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    spare = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    prepared = scaled[0] + offset[0] + spare[0], scaled[1] + offset[1] + spare[1]
    flipped = draw(st.booleans())
    return Geometry((rows, cols), (r0, c0, r1, c1), scaled, offset, prepared, flipped)


@settings(max_examples=200)
@given(geometries(), st.integers(2, 6), st.integers(2, 6), st.data())
def test_a_point_of_the_map_lands_on_its_source_pixel(geometry, h, w, data):
    i, j = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    rows, cols = geometry.prepared_shape
    row, col = (i + 0.5) * rows / h, (j + 0.5) * cols / w
    top, left = geometry.offset_px
    inside_rows = top <= row < top + geometry.scaled_shape[0]
    inside_cols = left <= col < left + geometry.scaled_shape[1]
    activation = np.zeros((h, w), dtype=np.float32)
    activation[i, j] = 1.0
    warped = warp_map(activation, geometry, geometry.source_shape)
    assert warped.dtype == np.float32
    assert 0.0 <= warped.min() <= warped.max() <= 1.0 + 1e-6
    r0, c0, r1, c1 = geometry.crop_source_px
    outside = np.ones(geometry.source_shape, dtype=bool)
    outside[r0:r1, c0:c1] = False
    assert not warped[outside].any()
    if inside_rows and inside_cols:
        source_row, source_col, _, _ = geometry.box_to_source((row, col, row, col))
        at = min(int(source_row), r1 - 1), min(int(source_col), c1 - 1)
        falls = (0.51 * geometry.scale[0] * h / rows, 0.51 * geometry.scale[1] * w / cols)
        assert warped[at] >= max(0.0, 1 - falls[0]) * max(0.0, 1 - falls[1]) - 1e-5


@settings(max_examples=60)
@given(geometries(), st.sampled_from([0.5, 1.0, 1.7]))
def test_a_slope_stays_the_same_slope_at_any_display_size(geometry, size):
    _, cols = geometry.prepared_shape
    slope = np.tile((np.arange(cols) + 0.5).astype(np.float32), (4, 1))
    shape = tuple(max(1, round(n * size)) for n in geometry.source_shape)
    warped = warp_map(slope, geometry, shape)
    r0, c0, r1, c1 = geometry.crop_source_px
    row = int((r0 + r1) / 2 / geometry.source_shape[0] * shape[0])
    for col in range(shape[1]):
        x = (col + 0.5) * geometry.source_shape[1] / shape[1]
        if c0 <= x < c1:
            expected = geometry.box_to_prepared((0.0, x, 0.0, x))[1]
            assert warped[row, col] == pytest.approx(np.clip(expected, 0.5, cols - 0.5), abs=1e-3)
        else:
            assert warped[row, col] == 0.0


def test_faint_maps_do_not_change_the_picture():
    picture = np.random.default_rng(0).integers(0, 255, (200, 150), dtype=np.uint8)
    drawn = overlay(image(peak=0.3, pixels=picture), exam())
    assert (drawn[:200] == picture[..., None]).all()
    assert drawn.shape[1] == 150
    assert drawn.shape[0] > 200


def test_a_strong_map_is_outlined_and_the_tissue_inside_is_not_changed():
    picture = np.random.default_rng(0).integers(60, 120, (200, 150), dtype=np.uint8)
    item = image(peak=1.8, pixels=np.tile(picture, (4, 4)))
    drawn = overlay(item, exam())[:800]
    changed = (drawn != item.display.pixels[..., None]).any(axis=2)
    strength = warp_map(item.malignancy_map, item.geometry, (800, 600)) / item.map_level
    assert changed.any()
    assert (np.abs(strength[changed] - 1) < 0.2).all()
    assert not changed[strength > 1.3].any()


@settings(max_examples=100)
@given(geometries(), st.booleans(), st.data())
def test_lines_enclose_exactly_the_places_that_reach_the_level(geometry, mirrored, data):
    h, w = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 6))
    cells = st.floats(0, 3, width=32)
    strength = np.array([[data.draw(cells) for _ in range(w)] for _ in range(h)], dtype=np.float32)
    shape = geometry.source_shape
    laid = warp_map(strength, geometry, shape)
    lines = outline(strength, geometry, shape, mirrored)
    for level in LEVELS:
        reached = laid[:, ::-1] >= level if mirrored else laid >= level
        assert bool(reached.any()) is any(at == level for at, _ in lines)
        for at, line in lines:
            if at == level:
                cols, rows = np.floor(line).astype(int).T
                assert reached[rows, cols].mean() > 0.45


def test_an_outline_scales_with_the_picture():
    item = image(peak=2.5)
    small = outline_of(item, (200, 150), False)[0][1]
    large = outline_of(item, (2000, 1500), False)[0][1]
    for end in (np.min, np.max):
        assert end(large, axis=0) == pytest.approx(10 * end(small, axis=0), abs=15)


@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_are_mirrored_with_the_picture(mirrored):
    canvas = np.zeros((100, 80), dtype=np.uint8)
    canvas[10:30, 5:25] = 1
    seen = canvas[:, ::-1] if mirrored else canvas
    r0, c0, r1, c1 = map(int, box_to_display((10, 5, 30, 25), (100, 80), (100, 80), mirrored))
    assert seen[r0:r1, c0:c1].all()
    assert seen.sum() == (r1 - r0) * (c1 - c0)


def test_a_box_is_drawn_at_its_place_with_its_strength_legible():
    finding = Finding((160.0, 60.0, 260.0, 200.0), 1.4)
    drawn = overlay(image(findings=[finding]), exam())[:200]
    white = (drawn > 200).all(axis=2)
    assert white[80, 40:90].mean() > 0.9
    assert white[129, 40:90].mean() > 0.9
    assert white[85:125, 30].mean() > 0.9
    assert white[85:125, 99].mean() > 0.9
    assert white[60:78, 28:70].any()


@pytest.mark.parametrize("finding", [(0.0, 0.0, 400.0, 300.0), (399.0, 299.0, 400.0, 300.0)])
def test_boxes_at_the_border_are_drawn_inside_the_picture(finding):
    drawn = overlay(image(findings=[Finding(finding, 12.3)]), exam())
    assert drawn.shape[1:] == (150, 3)


@pytest.mark.parametrize("flipped", [False, True])
def test_chest_walls_meet_at_the_centre_line(flipped):
    pixels = np.full((200, 150), 60, dtype=np.uint8)
    pixels[:, slice(130, 150) if flipped else slice(0, 20)] = 250
    views = [image(s, v, flipped=flipped, pixels=pixels) for s in (R, L) for v in (CC, MLO)]
    sheet = hanging(exam(*views), panel_rows=200)
    centre = sheet.shape[1] // 2
    bright = (sheet[..., 0] > 200).sum(axis=0)
    assert bright[centre - 20 : centre - 4].min() >= 400
    assert bright[centre + 4 : centre + 20].min() >= 400
    assert bright[60:100].max() < 100


def test_text_is_not_mirrored_on_a_mirrored_picture():
    finding = Finding((160.0, 60.0, 260.0, 200.0), 1.4)
    straight, turned = (
        hanging(exam(image(R, flipped=flipped, findings=[finding])), 200)
        for flipped in (True, False)
    )
    assert hangs_mirrored(R, image(flipped=False).geometry)
    assert not hangs_mirrored(R, image(flipped=True).geometry)
    plates = []
    for sheet, box_col in ((straight, 30), (turned, 50)):
        top = int(np.flatnonzero((sheet[:, 100] == 90).all(axis=1))[0])
        plates.append(sheet[top + 60 : top + 77, box_col + 1 : box_col + 24])
    assert (plates[0] == plates[1]).all()
    assert (plates[0] > 200).any()


def test_missing_views_keep_their_place_and_others_follow():
    one, side = image(L, MLO), image(None, None)
    extra, second = image(R, ML), image(L, MLO)
    rows = hanging_order(exam(one, side, extra, second))
    assert rows == [
        ((R, CC), (L, CC)),
        ((R, MLO), one),
        (second,),
        (extra, (L, ML)),
        (side,),
    ]


def test_a_repeated_view_is_numbered_and_hangs_alone():
    first, second, third = image(R, CC), image(R, CC), image(R, CC)
    left, other = image(L, CC), image(None, None)
    seen = exam(first, left, second, other, third)
    names = [view_in_exam(one, seen) for one in seen.images]
    assert names == ["RCC", "LCC", "RCC 2", "unknown view", "RCC 3"]
    assert hanging_order(seen)[:3] == [(first, left), (second,), (third,)]


def test_a_picture_at_full_resolution_is_drawn_reduced():
    pixels = np.zeros((4000, 3000), dtype=np.uint8)
    drawn = overlay(image(pixels=pixels), exam())
    assert drawn.shape[1] == PICTURE_PX * 3000 / 4000


def test_every_view_is_in_the_hanging_once():
    views = [image(s, v) for s in (R, L, None) for v in (CC, MLO, ML, None)]
    hung = [item for row in hanging_order(exam(*views)) for item in row]
    assert sorted(id(i) for i in hung if isinstance(i, ImagePrediction)) == sorted(map(id, views))


def test_a_failed_exam_hangs_as_empty_panels():
    sheet = hanging(exam(category=TriageCategory.FAILED), 200)
    assert sheet.shape[0] > 400
    assert (sheet > 150).any()


def test_a_picture_that_was_not_kept_is_black_in_the_shape_of_the_source():
    drawn = overlay(image(kept=False, peak=2.0), exam())
    assert drawn.shape[1] == 300
    assert np.median(drawn[:400]) == 0
    assert drawn[:400].max() > 40


@pytest.mark.parametrize("width", [1, 40, PICTURE_PX])
def test_text_fits_pictures_of_every_width(width):
    pixels = np.zeros((50, width), dtype=np.uint8)
    assert overlay(image(pixels=pixels), exam()).shape[1] == width


def test_drawing_does_not_change_the_prediction():
    item = image(peak=2.0, findings=[Finding((160.0, 60.0, 260.0, 200.0), 1.4)])
    before = item.display.pixels.copy(), item.malignancy_map.copy()
    overlay(item, exam())
    hanging(exam(item), 100)
    assert (item.display.pixels == before[0]).all()
    assert (item.malignancy_map == before[1]).all()
