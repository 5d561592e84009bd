"""The colours of a map: clear when weak, and never hiding the tissue."""

from __future__ import annotations

import cv2
import numpy as np

from mammolens._outlines import heat, tinted


def test_heat_is_clear_when_weak_and_never_hides_the_tissue():
    rgba = heat(np.array([[0.0, 0.39, 1.0, 2.0, 50.0]], dtype=np.float32))
    assert rgba[0, :2, 3].tolist() == [0, 0]
    assert 0 < rgba[0, 2, 3] <= rgba[0, 3, 3] <= 128
    assert (rgba[0, 3] == rgba[0, 4]).all()
    lightness = cv2.cvtColor(
        heat(np.linspace(0.4, 2, 32, dtype=np.float32)[None])[..., :3], cv2.COLOR_RGB2LAB
    )[0, :, 0].astype(int)
    assert (np.diff(lightness) >= 0).all()


def test_only_strong_places_are_tinted():
    grey = np.full((4, 4), 90, np.uint8)
    strength = np.zeros((4, 4), np.float32)
    strength[1, 2] = 2.0
    coloured = np.ptp(tinted(grey, strength).astype(int), axis=2) > 10
    assert np.argwhere(coloured).tolist() == [[1, 2]]
