"""FROC by hand, under weights, and the pointing game."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    MarkedImage,
    energy_in_lesion,
    froc,
    points_at_lesion,
    sensitivity_at_false_marks_statistic,
)

NONE = -np.inf


def sensitivity_at_false_marks(images, allowed):
    return sensitivity_at_false_marks_statistic(images, allowed)(np.ones((1, len(images))))[0]


def test_froc_by_hand():
    images = [
        MarkedImage((0.9, NONE), (0.4,)),
        MarkedImage((0.5,), (0.7, 0.2)),
        MarkedImage((), (0.6,)),
        MarkedImage((0.3,), ()),
    ]
    curve = froc(images)
    assert curve.thresholds.tolist() == [0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    assert curve.sensitivity == pytest.approx([0.25, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75])
    assert curve.false_marks_per_image == pytest.approx([0, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0])
    assert sensitivity_at_false_marks(images, 0.5) == 0.5
    assert sensitivity_at_false_marks(images, 0.0) == 0.25
    assert sensitivity_at_false_marks(images, 5.0) == 0.75


def test_weights_repeat_images():
    rng = np.random.default_rng(0)
    images = [
        MarkedImage(
            tuple(rng.choice([NONE, *rng.random(3).round(1)], size=rng.integers(0, 3))),
            tuple(rng.random(rng.integers(0, 4)).round(1)),
        )
        for _ in range(40)
    ]
    times = rng.integers(0, 3, 40)
    statistic = sensitivity_at_false_marks_statistic(images, 0.7)
    repeated = [one for one, n in zip(images, times, strict=True) for _ in range(n)]
    expected = sensitivity_at_false_marks(repeated, 0.7)
    assert statistic(times[None].astype(float))[0] == pytest.approx(expected)


def test_pointing_and_energy():
    heat, lesion = np.zeros((4, 4)), np.zeros((4, 4), bool)
    lesion[1, 1] = True
    assert points_at_lesion(heat, lesion) is None
    assert energy_in_lesion(heat, lesion) is None
    heat[1, 1], heat[3, 3] = 3.0, 1.0
    assert points_at_lesion(heat, lesion) is True
    assert energy_in_lesion(heat, lesion) == 0.75
    heat[3, 3] = 4.0
    assert points_at_lesion(heat, lesion) is False


def test_bad_input():
    with pytest.raises(InvalidManifest, match="no image has a lesion"):
        froc([MarkedImage((), (0.2,))])
    with pytest.raises(InvalidManifest, match="not a number"):
        froc([MarkedImage((np.nan,), ())])
    with pytest.raises(InvalidManifest, match="do not pair"):
        points_at_lesion(np.zeros((2, 2)), np.ones((3, 3), bool))
    with pytest.raises(InvalidManifest, match="lesion is empty"):
        energy_in_lesion(np.ones((2, 2)), np.zeros((2, 2), bool))
