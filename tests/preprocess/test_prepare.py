"""The steps of preprocessing on pictures whose answer is known."""

import numpy as np
import pytest
from pydantic import ValidationError

from mammolens.core import (
    ImageRef,
    Mammogram,
    Photometric,
    SourceHeader,
    ViewPosition,
    VoiFunction,
    VoiLut,
    Window,
)
from mammolens.errors import NotAMammogram
from mammolens.preprocess import (
    Denoise,
    Pectoral,
    PreprocessConfig,
    apply_voi,
    denoise,
    find_breast,
    make_display,
    normalise,
    prepare,
)


def breast(rows=800, cols=600, peak=3000):
    y, x = np.mgrid[:rows, :cols]
    inside = ((y - rows / 2) / (0.4 * rows)) ** 2 + (x / (0.6 * cols)) ** 2 < 1
    return np.where(inside, peak * (0.5 + 0.4 * np.sin(y / 11) * np.cos(x / 13)), 0).astype(
        np.uint16
    )


def mammogram(pixels, ref=None, **changes):
    return Mammogram(ref or ImageRef("a.dcm"), SourceHeader(), pixels, **changes)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2.1: c = 2048, w = 4096 maps 0 to 0 and 4095 to 1
        (VoiFunction.LINEAR, [0.0, 1.0]),
        (VoiFunction.LINEAR_EXACT, [0.0, 4095 / 4096]),
        (VoiFunction.SIGMOID, [1 / (1 + np.exp(2)), 1 / (1 + np.exp(-4 * 2047 / 4096))]),
    ],
)
def test_windows_follow_the_standard(function, expected):
    out = apply_voi(np.array([0, 4095]), Window(2048.0, 4096.0, function))
    assert out == pytest.approx(expected, abs=1e-6)


def test_a_voi_table_is_looked_up_from_its_first_value_and_clipped():
    lut = VoiLut(10, np.array([0, 50, 100], np.float32))
    assert apply_voi(np.array([5, 10, 11, 12, 99]), lut).tolist() == [0, 0, 0.5, 1, 1]


def test_the_argument_is_never_touched():
    pixels = breast()
    before = pixels.copy()
    prepare(mammogram(pixels), PreprocessConfig())
    assert (pixels == before).all()


def test_monochrome1_and_its_negative_prepare_alike():
    pixels = breast()
    upright = prepare(mammogram(pixels), PreprocessConfig())
    negative = prepare(
        mammogram((4095 - pixels).astype(np.uint16), photometric=Photometric.MONOCHROME1),
        PreprocessConfig(),
    )
    assert np.abs(upright.pixels.astype(int) - negative.pixels).max() <= 2
    assert negative.cautions == ()


def test_inversion_comes_after_voi():
    pixels = (4095 - breast()).astype(np.uint16)
    window = Window(3000.0, 1500.0, VoiFunction.LINEAR_EXACT)
    view = prepare(
        mammogram(pixels, photometric=Photometric.MONOCHROME1, voi=window), PreprocessConfig()
    )
    assert view.mask.mean() > 0.2


def test_labels_and_film_borders_are_dropped():
    pixels = breast()
    pixels[40:80, 480:560] = 4095
    pixels[:, -8:] = 4095
    clean = prepare(mammogram(breast()), PreprocessConfig())
    marked = prepare(mammogram(pixels), PreprocessConfig())
    assert marked.geometry.crop_source_px == pytest.approx(clean.geometry.crop_source_px, abs=16)


def test_padding_counts_as_background():
    pixels = breast()
    pixels[:, 500:] = 65535
    view = prepare(mammogram(pixels, padding=(65535.0, 65535.0)), PreprocessConfig())
    assert view.geometry.crop_source_px[3] < 500


def test_a_squeezed_source_gets_its_aspect_back():
    square = prepare(mammogram(breast(600, 600)), PreprocessConfig())
    squeezed = prepare(
        mammogram(breast(600, 600), ImageRef("a.png", pixel_aspect=1.5)), PreprocessConfig()
    )
    ratio = squeezed.geometry.scale[0] / squeezed.geometry.scale[1]
    assert ratio == pytest.approx(1.5, rel=0.02)
    assert square.geometry.scale[0] == pytest.approx(square.geometry.scale[1], rel=0.02)


@pytest.mark.parametrize("value", [0, 1000])
def test_a_flat_picture_is_refused_by_name(value):
    with pytest.raises(NotAMammogram, match=r"a\.dcm: the picture is flat"):
        prepare(mammogram(np.full((300, 300), value, np.uint16)), PreprocessConfig())


def test_a_speck_is_no_breast():
    grey = np.zeros((300, 300), np.float32)
    grey[10:14, 10:14] = 1.0
    assert find_breast(grey) is None


def test_a_window_that_blanks_the_picture_is_ignored_with_a_caution():
    view = prepare(mammogram(breast(), voi=Window(60000.0, 10.0)), PreprocessConfig())
    assert [c.name for c in view.cautions] == ["window_ignored"]


def test_normalisation_is_inside_the_mask_only():
    grey = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    mask = np.zeros((10, 10), bool)
    mask[5:] = True
    out = normalise(grey, mask, 0.0, 100.0)
    assert out[:5].max() == 0
    assert out[5, 0] == 0
    assert out[9, 9] >= 65534


@pytest.mark.parametrize("method", list(Denoise))
def test_every_filter_quiets_noise_and_keeps_the_level(method):
    rng = np.random.default_rng(0)
    noisy = np.clip(rng.normal(30000, 400, (128, 128)), 0, 65535).astype(np.uint16)
    clean = denoise(noisy, method, 3)
    assert clean.dtype == np.uint16
    assert abs(float(clean.mean()) - 30000) < 300
    if method is not Denoise.NONE:
        assert clean.std() < 0.8 * noisy.std()


def test_the_pectoral_muscle_is_suppressed_on_mlo_only():
    pixels = breast()
    y, x = np.mgrid[:800, :600]
    muscle = (y < 420) & (x < 200 * (1 - (y - 80) / 340)) & (pixels > 0)
    pixels[muscle] = 4000
    config = PreprocessConfig(pectoral=Pectoral.SUPPRESS)
    mlo = prepare(mammogram(pixels, ImageRef("a", view_position=ViewPosition.MLO)), config)
    cc = prepare(mammogram(pixels, ImageRef("a", view_position=ViewPosition.CC)), config)
    dropped = cc.mask & ~mlo.mask
    assert 0.05 < dropped.sum() / cc.mask.sum() < 0.4
    assert dropped[: dropped.shape[0] // 2].sum() > 0.8 * dropped.sum()


def test_the_display_keeps_orientation_and_makes_pixels_square():
    display = make_display(
        mammogram(breast(), ImageRef("a", pixel_aspect=1.25)), Photometric.MONOCHROME2, 500
    )
    assert display.pixels.shape == (500, 300)
    assert display.scale == pytest.approx((500 / 800, 300 / 600))
    assert display.pixels[250, :20].mean() > display.pixels[250, -20:].mean()


@pytest.mark.parametrize("wrong", [{"height": 500}, {"denoise_size_px": 4}, {"clahe": 2}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        PreprocessConfig(**wrong)
