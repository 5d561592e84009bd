"""Pictures for people: tissue keeps its contrast, good windows are used, all pixels are kept."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammolens.core import ImageRef, Mammogram, Photometric, SourceHeader, Window
from mammolens.preprocess import find_breast, make_display, make_thumbnail

ROWS, COLS = 800, 600
GREY = Photometric.MONOCHROME2


def film(dense: float = 0.8) -> np.ndarray:
    """A breast at the left, most of it dense: a film whose shoulder compresses the tissue."""
    rng = np.random.default_rng(3)
    row, col = np.mgrid[:ROWS, :COLS]
    distance = np.hypot((row - ROWS / 2) / (ROWS / 2), col / (0.7 * COLS))
    noise = cv2.GaussianBlur(rng.normal(size=(ROWS, COLS)), (0, 0), 9)
    tissue = np.where(distance < dense, 0.60, 0.35) + 0.25 * noise / np.abs(noise).max()
    picture = np.where(distance < 0.95, tissue, 0.02)
    picture[40:80, 450:550] = 1.0  # a lead marker
    return np.clip(picture * 60000, 0, 65535).astype(np.uint16)


def mammogram(pixels: np.ndarray, **changes) -> Mammogram:
    return replace(Mammogram(ImageRef("a.dcm"), SourceHeader(), pixels), **changes)


def within(pixels: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The displayed greys of the breast."""
    low, high = float(pixels.min()), float(pixels.max())
    region = find_breast(((pixels - low) / (high - low)).astype(np.float32))
    assert region is not None
    return shown[region.mask]


@pytest.mark.parametrize("kind", [np.uint16, np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("photometric", list(Photometric))
def test_a_film_of_any_type_is_not_burnt_out(kind, photometric):
    pixels = (film() // (1 if kind is np.uint16 else 256)).astype(kind)
    if photometric is Photometric.MONOCHROME1:
        pixels = (pixels.max() - pixels).astype(kind)
    shown = make_display(mammogram(pixels, photometric=photometric), photometric).pixels
    greys = within(film(), shown)
    assert 60 < np.median(greys) < 150
    assert (greys >= 250).mean() < 0.05
    assert np.percentile(greys, 95) - np.percentile(greys, 5) > 60


def test_the_display_has_the_source_resolution_unless_a_size_is_given():
    display = make_display(mammogram(film()), GREY)
    assert display.pixels.shape == (ROWS, COLS)
    assert display.scale == (1.0, 1.0)
    assert make_display(mammogram(film()), GREY, 400).pixels.shape == (400, 300)


def test_a_brighter_value_never_becomes_darker():
    pixels = film()
    shown = make_display(mammogram(pixels), GREY).pixels
    by_value = shown.ravel()[np.argsort(pixels, axis=None, kind="stable")].astype(int)
    assert (np.diff(by_value) >= 0).all()


def test_a_window_is_used_as_it_was_sent():
    window = Window(30000.0, 60000.0)
    shown = make_display(mammogram(film(), voi=window), GREY).pixels
    expected = np.clip((film() - 29999.5) / 59999.0 + 0.5, 0, 1) * 255
    assert np.abs(shown - expected).max() < 1.01


def test_a_window_that_burns_out_the_breast_is_not_used():
    shown = make_display(mammogram(film(), voi=Window(10000.0, 20000.0)), GREY).pixels
    assert (within(film(), shown) >= 250).mean() < 0.05


def test_a_fatty_breast_is_not_darkened():
    pixels = film(dense=0.1)
    greys = within(pixels, make_display(mammogram(pixels), GREY).pixels)
    assert np.median(greys) > 90


def test_a_picture_without_a_breast_is_still_shown():
    ramp = np.tile(np.arange(COLS, dtype=np.uint16), (ROWS, 1))
    shown = make_display(mammogram(ramp), GREY).pixels
    assert shown.min() == 0
    assert shown.max() == 255


def test_a_thumbnail_is_linear_in_the_values_of_the_file():
    ramp = np.tile(np.arange(COLS, dtype=np.uint16), (ROWS, 1))
    shown = make_thumbnail(mammogram(ramp), GREY, ROWS).astype(float)
    assert np.abs(np.diff(shown[0], 2)).max() <= 1
