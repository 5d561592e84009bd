"""Alterations do what they say: exact on small pictures, and the same for one key."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammolens.bench.auditing.alterations import ALTERATIONS, alter, with_grey
from mammolens.core import (
    ImageRef,
    Laterality,
    Mammogram,
    Photometric,
    SourceHeader,
    ViewPosition,
    Window,
)
from mammolens.preprocess import PreprocessConfig, prepare

BY_NAME = {one.name: one for one in ALTERATIONS}
PLAIN = PreprocessConfig(height=96, width=64, clahe_clip=0.0)


def mammogram(pixels, **ref) -> Mammogram:
    return Mammogram(ImageRef("x.png", **ref), SourceHeader(), np.asarray(pixels))


def shown(name: str, pixels, **ref) -> np.ndarray:
    """The altered picture, 0–1."""
    found = alter(mammogram(pixels, **ref), BY_NAME[name], key="x")
    return found.pixels.astype(float) / (255 if found.pixels.dtype == np.uint8 else 65535)


def breast(dtype=np.uint8) -> Mammogram:
    """A half ellipse of tissue at the left edge."""
    rng = np.random.default_rng(1)
    mask = cv2.ellipse(np.zeros((320, 240), np.uint8), (0, 160), (170, 130), 0, -90, 90, 1, -1)
    tissue = np.clip(rng.normal(0.45, 0.08, mask.shape), 0, 1) * mask
    tissue[0, 0], tissue[160, 80] = 0.0, 1.0
    top = np.iinfo(dtype).max
    return mammogram(
        np.rint(tissue * top).astype(dtype),
        laterality=Laterality.LEFT,
        view_position=ViewPosition.CC,
    )


RAMP = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
"""0, 0.2, … 1."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("written again, nothing else", [[0, 0.2, 0.4], [0.6, 0.8, 1]]),
        ("brightness +20% of the range", [[0.2, 0.4, 0.6], [0.8, 1, 1]]),
        ("brightness -10% of the range", [[0, 0.1, 0.3], [0.5, 0.7, 0.9]]),
        ("contrast × 1.5 about mid-grey", [[0, 0.05, 0.35], [0.65, 0.95, 1]]),
        ("contrast × 0.8 about mid-grey", [[0.1, 0.26, 0.42], [0.58, 0.74, 0.9]]),
        ("gamma 0.7", [[0, 0.2**0.7, 0.4**0.7], [0.6**0.7, 0.8**0.7, 1]]),
        ("darkest tenth of the range clipped", [[0, 1 / 9, 3 / 9], [5 / 9, 7 / 9, 1]]),
        ("brightest tenth of the range clipped", [[0, 2 / 9, 4 / 9], [6 / 9, 8 / 9, 1]]),
    ],
)
def test_grey_values_change_as_the_name_says(name, expected):
    assert shown(name, RAMP) == pytest.approx(np.array(expected), abs=0.51 / 255)


def test_corners_are_darkened_and_the_middle_is_not():
    white = np.full((5, 5), 255, np.uint8)
    white[0, 1] = 0  # the range is that of the picture
    found = shown("corners darker by 40%", white)
    assert found[2, 2] == 1.0
    assert found[4, 4] == found[0, 0] == pytest.approx(0.6, abs=0.003)
    assert found[2, 4] == pytest.approx(0.8, abs=0.003)


def test_shifts_move_by_shares_and_bring_in_black():
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, :6] = np.arange(1, 21, dtype=np.uint8)[:, None] * 12
    for picture, sign in ((pixels, 1), (pixels[:, ::-1], -1)):
        whole = shown("written again, nothing else", picture)
        off, into = (shown(f"5% {way} the chest wall", picture) for way in ("off", "into"))
        assert np.array_equal(off, np.roll(whole, 2 * sign, 1))
        assert np.count_nonzero(into) == 20 * 4
    whole = shown("written again, nothing else", pixels)
    down = shown("5% down", pixels)
    assert not down[0].any()
    assert np.array_equal(down[1:], whole[:-1])
    assert np.array_equal(shown("5% up", pixels)[:-1], whole[1:])


def test_a_turn_is_clockwise_and_in_square_pixels():
    pixels = np.zeros((61, 61), np.uint8)
    pixels[29:32, 53:56] = 255  # to the right of the middle, by 24
    down = 24 * np.sin(np.radians(5))

    def place(name, **ref):
        found = shown(name, pixels, **ref)
        rows, cols = np.indices(found.shape) - 30
        return (rows * found).sum() / found.sum(), (cols * found).sum() / found.sum()

    assert place("turned by +5°") == pytest.approx((down, 24 * np.cos(np.radians(5))), abs=0.1)
    assert place("turned by -5°")[0] == pytest.approx(-down, abs=0.1)
    assert place("turned by +5°", pixel_aspect=2.0)[0] == pytest.approx(down / 2, abs=0.1)


def test_blur_and_resolution_keep_the_mean_and_take_detail():
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (640, 64)).astype(np.uint8)
    whole = shown("written again, nothing else", pixels)
    spreads = [whole.std()]
    for name in ("blur, SD 1 px at 640 rows", "blur, SD 2 px at 640 rows"):
        found = shown(name, pixels)
        assert found.mean() == pytest.approx(whole.mean(), abs=0.005)
        spreads.append(found.std())
    assert spreads[0] > 3 * spreads[1] > 5 * spreads[2]
    half = np.repeat(np.repeat(rng.integers(0, 256, (20, 20)), 2, 0), 2, 1).astype(np.uint8)
    small = half[::2, ::2].astype(np.float32) / 255
    small = (small - small.min()) / np.ptp(small)
    expected = cv2.resize(small, (40, 40), interpolation=cv2.INTER_LINEAR)
    assert shown("resolution × 0.5 and back", half) == pytest.approx(expected, abs=0.003)


def test_noise_is_as_strong_as_said_and_the_same_for_one_key():
    pixels = np.full((200, 200), 128, np.uint16)
    pixels[0, 0], pixels[0, 1] = 0, 255
    noise = BY_NAME["noise, SD 1.0% of the range"]
    one = alter(mammogram(pixels), noise, key="a")
    assert np.array_equal(one.pixels, alter(mammogram(pixels), noise, key="a").pixels)
    for other in (
        alter(mammogram(pixels), noise, key="b"),
        alter(mammogram(pixels), noise, key="a", seed=1),
    ):
        assert not np.array_equal(one.pixels, other.pixels)
    assert (one.pixels[1:] / 65535).std() == pytest.approx(0.01, rel=0.03)
    assert (one.pixels[1:] / 65535).mean() == pytest.approx(128 / 255, abs=0.001)


def test_jpeg_loses_more_at_lower_quality():
    pixels = breast().pixels
    whole = shown("written again, nothing else", pixels)
    lost = [np.abs(shown(f"JPEG quality {q}", pixels) - whole).mean() for q in (90, 50, 20)]
    assert 0 < lost[0] < lost[1] < lost[2] < 0.1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_the_picture_keeps_its_depth_unless_that_is_changed(dtype):
    source = breast(dtype)
    depths = {one.name: alter(source, one, key="x").pixels.dtype.itemsize for one in ALTERATIONS}
    assert depths.pop("the same greys in 8 bits") == 1
    assert depths.pop("the same greys in 16 bits") == 2
    assert set(depths.values()) == {source.pixels.dtype.itemsize}


def test_inversions_and_mirrors_are_undone_by_preprocessing():
    source = breast()
    view = prepare(source, PLAIN)
    for name in ("inverted, tagged MONOCHROME1", "inverted, tagged MONOCHROME2"):
        changed = alter(source, BY_NAME[name], key="x")
        assert changed.pixels.mean() > source.pixels.mean()
        again = prepare(changed, PLAIN)
        assert np.abs(again.pixels.astype(int) - view.pixels).max() <= 1
    mirrored = alter(source, BY_NAME["mirrored, laterality too"], key="x")
    assert np.array_equal(mirrored.pixels, source.pixels[:, ::-1])
    assert mirrored.ref.laterality is Laterality.RIGHT
    assert np.abs(prepare(mirrored, PLAIN).pixels.astype(int) - view.pixels).mean() < 1.5


def test_swapped_tags_change_tags_only():
    source = breast()
    side = alter(source, BY_NAME["laterality swapped"], key="x")
    assert side == replace(source, ref=replace(source.ref, laterality=Laterality.RIGHT))
    view = alter(source, BY_NAME["view swapped"], key="x")
    assert view.ref == replace(source.ref, view_position=ViewPosition.MLO)
    untagged = alter(mammogram(RAMP), BY_NAME["laterality swapped"], key="x")
    assert untagged.ref.laterality is None


def test_window_inversion_and_padding_are_settled_before_a_change():
    dark = Mammogram(
        ImageRef("x.dcm"),
        SourceHeader(),
        np.array([[0, 100, 200], [300, 400, 999]], np.uint16),
        photometric=Photometric.MONOCHROME1,
        voi=Window(200.0, 400.0),
        padding=(999, 999),
    )
    found = alter(dark, BY_NAME["written again, nothing else"], key="x")
    assert found.photometric is Photometric.MONOCHROME2
    assert found.padding is None
    expected = [[1, 0.75, 0.5], [0.25, 0, 0]]
    assert found.pixels / 65535 == pytest.approx(np.array(expected), abs=0.003)


def test_nothing_that_is_altered_touches_the_source():
    source = breast()
    before = source.pixels.copy()
    for one in ALTERATIONS:
        alter(source, one, key="x")
    assert np.array_equal(source.pixels, before)
    assert len({one.name for one in ALTERATIONS}) == len(ALTERATIONS)


def test_with_grey_shows_what_it_was_given():
    found = with_grey(breast(), np.array([[0.0, 0.5], [2.0, -1.0]], np.float32), bits=16)
    assert found.pixels.tolist() == [[0, 32768], [65535, 0]]
