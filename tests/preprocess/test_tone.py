"""The tone curve that a viewer applies itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mammolens.core import ImageRef, Mammogram, Photometric, SourceHeader, Window
from mammolens.preprocess import make_display, tone_of


def _film() -> npt.NDArray[np.uint16]:
    """A breast far in the bright shoulder of a film, with a soft edge and some texture."""
    rows, columns = 320, 240
    y, x = np.mgrid[:rows, :columns]
    inside = 1 - (x / (0.7 * columns)) ** 2 - ((y - rows / 2) / (0.42 * rows)) ** 2
    thick = np.sqrt(np.clip(inside, 0, 1))
    grey = 2000 + 55000 * thick**0.25 + 900 * np.sin(x / 5) * np.sin(y / 7)
    return np.where(thick > 0, grey, 800).astype(np.uint16)


def _mammogram(pixels: npt.NDArray[np.uint16], voi: Window | None = None) -> Mammogram:
    return Mammogram(ImageRef("film"), SourceHeader(), pixels, voi=voi)


@pytest.mark.parametrize("photometric", list(Photometric))
@pytest.mark.parametrize("max_side_px", [None, 100])
def test_the_curve_gives_the_greys_of_the_display(
    photometric: Photometric, max_side_px: int | None
) -> None:
    bright = _film()
    pixels = bright if photometric is Photometric.MONOCHROME2 else 65535 - bright
    mammogram = _mammogram(pixels)
    tone = tone_of(mammogram, photometric)
    shown = make_display(mammogram, photometric).pixels
    assert tone is not None
    assert tone.power > 1, "a film in its bright shoulder is darkened"
    assert (tone.black > tone.white) is (photometric is Photometric.MONOCHROME1)
    share = (pixels.astype(float) - tone.black) / (tone.white - tone.black)
    greys = np.rint(255 * np.clip(share, 0, 1) ** tone.power)
    assert np.abs(greys - shown).max() <= 1
    # A smaller picture has a curve of its own, close to the whole one's.
    other = tone_of(mammogram, photometric, max_side_px)
    assert other is not None
    assert other.power == pytest.approx(tone.power, rel=0.1)


def test_a_sound_window_of_the_file_is_kept() -> None:
    mammogram = _mammogram(_film(), Window(30000.0, 62000.0))
    assert tone_of(mammogram, Photometric.MONOCHROME2) is None


def test_a_window_that_burns_the_breast_out_is_replaced() -> None:
    mammogram = _mammogram(_film(), Window(9000.0, 12000.0))
    assert tone_of(mammogram, Photometric.MONOCHROME2) is not None
