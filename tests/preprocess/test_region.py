"""Marked regions: the window, mapping back, likeness to stored crops, refused boxes."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mammolens.core import ImageRef, Mammogram, Photometric, SourceHeader, Window
from mammolens.errors import BadRegion, NotAMammogram
from mammolens.preprocess import (
    InputConfig,
    PreprocessConfig,
    RegionConfig,
    prepare_crop,
    prepare_region,
)

CONFIG = RegionConfig()
BOX = (200.0, 100.0, 300.0, 180.0)


def film(rows=600, cols=450, seed=0) -> Mammogram:
    """A half-disc of cloudy tissue at the left edge, a bright mass at BOX, black air."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    inside = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.7 * cols)) ** 2 < 1
    cloud = cv2.GaussianBlur(rng.normal(0, 1, (rows, cols)).astype(np.float32), (0, 0), 6)
    tissue = 20000 + 60000 * cloud + rng.normal(0, 500, (rows, cols))
    mass = 9000 * (((y - 250) / 50) ** 2 + ((x - 140) / 40) ** 2 < 1)
    pixels = np.clip(np.where(inside, tissue + mass, 0), 0, 65535).astype(np.uint16)
    return Mammogram(ImageRef("film.png"), SourceHeader(), pixels)


def names(view) -> set[str]:
    return {caution.name for caution in view.cautions}


def test_the_window_is_a_square_of_eleven_tenths_of_the_longer_side() -> None:
    view = prepare_region(film(), BOX, CONFIG)
    assert view.pixels.shape == (224, 224)
    assert view.geometry.crop_source_px == (195, 85, 305, 195)
    assert not view.geometry.flipped
    assert view.mask.all()
    assert names(view) == set()
    grown = prepare_region(film(), BOX, RegionConfig(margin=0.5)).geometry
    assert grown.crop_source_px == (175, 65, 325, 215)


def test_a_window_over_the_edge_moves_inside_and_keeps_its_scale() -> None:
    view = prepare_region(film(), (200.0, 0.0, 300.0, 60.0), CONFIG)
    assert view.geometry.crop_source_px == (195, 0, 305, 110)
    assert view.mask.all()


@given(st.integers(120, 900), st.integers(120, 900), st.data())
@settings(max_examples=60)
def test_boxes_map_back_exactly_and_lie_in_their_window(rows, cols, data) -> None:
    r0 = data.draw(st.floats(0, rows - 10))
    c0 = data.draw(st.floats(0, cols - 10))
    box = (
        r0,
        c0,
        data.draw(st.floats(min(r0 + 9, rows), rows)),
        data.draw(st.floats(min(c0 + 9, cols), cols)),
    )
    texture = (np.arange(rows * cols).reshape(rows, cols) * 7919 % 4096).astype(np.uint16)
    mammogram = Mammogram(ImageRef("texture.png"), SourceHeader(), texture)
    geometry = prepare_region(mammogram, box, CONFIG).geometry
    w0, v0, w1, v1 = geometry.crop_source_px
    assert np.allclose(geometry.box_to_source(geometry.box_to_prepared(box)), box, atol=1e-6)
    assert w0 <= box[0] + 1
    assert v0 <= box[1] + 1
    assert w1 >= box[2] - 1
    assert v1 >= box[3] - 1
    across, down = geometry.scale
    assert across == pytest.approx(down, rel=0.15)


def test_squeezed_pixels_make_a_window_that_is_square_on_the_breast() -> None:
    mammogram = film()
    squeezed = replace(mammogram, ref=replace(mammogram.ref, pixel_aspect=2.0))
    r0, c0, r1, c1 = prepare_region(squeezed, BOX, CONFIG).geometry.crop_source_px
    assert (r1 - r0) * 2 == c1 - c0 == 220


def test_a_box_over_the_edge_is_cut_off_with_a_caution() -> None:
    view = prepare_region(film(), (200.0, -40.0, 300.0, 80.0), CONFIG)
    assert names(view) == {"region_clipped"}
    assert view.geometry == prepare_region(film(), (200.0, 0.0, 300.0, 80.0), CONFIG).geometry


def test_a_window_larger_than_the_image_is_filled_up_with_a_caution() -> None:
    view = prepare_region(film(), (0.0, 0.0, 600.0, 200.0), CONFIG)
    assert "region_padded" in names(view)
    assert not view.mask.all()
    assert (view.pixels[~view.mask] == 0).all()
    source = view.geometry.box_to_source((0.0, 0.0, 224.0, 224.0))
    assert source == (0.0, 0.0, 600.0, 450.0)


def test_a_box_off_the_breast_gets_a_caution() -> None:
    mammogram = film()
    label = mammogram.pixels.copy()
    label[20:80, 380:440] = 60000
    label[40:60, 400:420] = 30000
    view = prepare_region(replace(mammogram, pixels=label), (15.0, 375.0, 85.0, 445.0), CONFIG)
    assert names(view) == {"region_off_breast"}


@pytest.mark.parametrize(
    ("box", "cause"),
    [
        ((300.0, 100.0, 200.0, 180.0), "is not a box"),
        ((200.0, 100.0, 200.0, 180.0), "is not a box"),
        ((200.0, float("nan"), 300.0, 180.0), "is not a box"),
        ((0.0, 0.0, float("inf"), 180.0), "is not a box"),
        ((700.0, 100.0, 800.0, 180.0), "outside the image of 600 × 450"),
        ((-90.0, -90.0, 0.0, 0.0), "outside the image"),
        ((200.0, 100.0, 207.0, 180.0), "smaller than 8 × 8"),
        ((200.0, 445.0, 300.0, 600.0), "smaller than 8 × 8"),
    ],
)
def test_impossible_boxes_are_refused(box, cause: str) -> None:
    with pytest.raises(BadRegion, match=rf"film\.png.*{cause}.*\[region\].*row0,col0"):
        prepare_region(film(), box, CONFIG)


def test_a_flat_window_is_refused() -> None:
    with pytest.raises(NotAMammogram, match=r"every pixel in the window .* has the same value"):
        prepare_region(film(), (20.0, 380.0, 60.0, 420.0), CONFIG)
    flat = replace(film(), pixels=np.full((600, 450), 7, np.uint16))
    with pytest.raises(NotAMammogram, match="flat"):
        prepare_region(flat, BOX, CONFIG)
    with pytest.raises(NotAMammogram, match="flat"):
        prepare_crop(flat, CONFIG)


def test_inversion_and_exposure_do_not_change_a_region() -> None:
    mammogram = film()
    before = mammogram.pixels.copy()
    expected = prepare_region(mammogram, BOX, CONFIG).pixels.astype(int)
    tagged = replace(
        mammogram, pixels=65535 - mammogram.pixels, photometric=Photometric.MONOCHROME1
    )
    untagged = replace(mammogram, pixels=65535 - mammogram.pixels)
    darker = replace(mammogram, pixels=(mammogram.pixels // 3 + 900).astype(np.uint16))
    windowed = replace(mammogram, voi=Window(32768.0, 65536.0))
    for other in (tagged, untagged, darker, windowed):
        view = prepare_region(other, BOX, CONFIG)
        assert np.abs(view.pixels.astype(int) - expected).mean() < 2.0
    assert "inverted_picture" in names(prepare_region(untagged, BOX, CONFIG))
    assert (mammogram.pixels == before).all()


def test_a_region_looks_like_the_crop_that_was_made_of_it() -> None:
    """The widespread crops are cut out of whole films, 8 bits, under CLAHE with a limit of 2."""
    mammogram = film()
    view = prepare_region(mammogram, BOX, CONFIG)
    low, high = int(mammogram.pixels.min()), int(mammogram.pixels.max())
    eight = np.rint((mammogram.pixels - float(low)) / (high - low) * 255).astype(np.uint8)
    r0, c0, r1, c1 = view.geometry.crop_source_px
    crop = cv2.createCLAHE(2.0, (8, 8)).apply(eight)[r0:r1, c0:c1]
    stored = Mammogram(ImageRef("crop.jpg"), SourceHeader(), cv2.resize(crop, (256, 256)))
    as_crop = prepare_crop(stored, CONFIG)
    assert as_crop.geometry.crop_source_px == (0, 0, 256, 256)
    assert as_crop.geometry.prepared_shape == (224, 224)
    difference = np.abs(view.pixels.astype(int) - as_crop.pixels).mean()
    bare = prepare_region(mammogram, BOX, RegionConfig(clahe_clip=0.0))
    assert difference < 6.0
    assert difference < 0.5 * np.abs(bare.pixels.astype(int) - as_crop.pixels).mean()


def test_air_is_black_but_nothing_within_the_box_is_hidden() -> None:
    mammogram = film()
    hazy = mammogram.pixels.copy()
    rng = np.random.default_rng(1)
    hazy[hazy == 0] = rng.integers(300, 3000, (hazy == 0).sum())
    view = prepare_region(replace(mammogram, pixels=hazy), (20.0, 300.0, 120.0, 400.0), CONFIG)
    r0, c0, r1, c1 = (round(e) for e in view.geometry.box_to_prepared((20.0, 300.0, 120.0, 400.0)))
    assert len(np.unique(view.pixels[r0:r1, c0:c1])) > 30
    assert len(np.unique(view.pixels[: r0 - 2])) <= 2


def test_a_crop_is_only_stretched() -> None:
    pixels = np.linspace(100, 150, 64 * 64).reshape(64, 64).astype(np.uint8)
    config = RegionConfig(height=64, width=64)
    view = prepare_crop(Mammogram(ImageRef("c.png"), SourceHeader(), pixels), config)
    low, high = np.percentile(pixels, (1, 99))
    expected = np.rint(np.clip((pixels - low) / (high - low), 0, 1) * 255)
    assert np.abs(view.pixels - expected).max() <= 1


def test_a_crop_of_another_shape_is_filled_up_not_squeezed() -> None:
    pixels = np.arange(100 * 50).reshape(100, 50).astype(np.uint16)
    view = prepare_crop(Mammogram(ImageRef("c.png"), SourceHeader(), pixels), CONFIG)
    assert names(view) == {"region_padded"}
    assert view.geometry.scaled_shape == (224, 112)


def test_a_tiny_crop_is_refused() -> None:
    tiny = Mammogram(ImageRef("c.png"), SourceHeader(), np.eye(7).astype(np.uint8))
    with pytest.raises(BadRegion, match="smaller than"):
        prepare_crop(tiny, CONFIG)


class Run(BaseModel):
    preprocess: InputConfig = PreprocessConfig()


def test_the_kind_decides_which_parameters_are_read() -> None:
    assert Run.model_validate({"preprocess": {"height": 96}}).preprocess == PreprocessConfig(
        height=96
    )
    lesion = Run.model_validate({"preprocess": {"kind": "lesion", "height": 96}}).preprocess
    assert lesion == RegionConfig(height=96)
    assert Run.model_validate_json(Run(preprocess=lesion).model_dump_json()).preprocess == lesion
    with pytest.raises(ValueError, match="denoise"):
        Run.model_validate({"preprocess": {"kind": "lesion", "denoise": "none"}})
    with pytest.raises(ValueError, match="organ"):
        Run.model_validate({"preprocess": {"kind": "organ"}})


def test_parameters_of_breast_preprocessing_are_written_without_a_kind() -> None:
    """Caches and cards of whole breasts are identified by this text."""
    assert PreprocessConfig().model_dump_json() == (
        '{"height":512,"width":384,"denoise":"median","denoise_size_px":3,"low_percentile":1.0,'
        '"high_percentile":99.5,"clahe_clip":2.0,"clahe_tiles":8,"pectoral":"keep"}'
    )
