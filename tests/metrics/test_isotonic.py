"""Isotonic recalibration against scikit-learn."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import fit_isotonic


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed):
    sklearn = pytest.importorskip("sklearn.isotonic", reason="needs scikit-learn")
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.4
    scores = np.round(rng.normal(labels, 1.0), 1)
    other = sklearn.IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    points = np.linspace(-4, 5, 200)
    assert fit_isotonic(labels, scores).apply(points) == pytest.approx(
        other.predict(points), abs=1e-9
    )


def test_bad_input():
    with pytest.raises(InvalidManifest, match="no function can be fitted"):
        fit_isotonic([0, 1], [0.5, 0.5])
    with pytest.raises(InvalidManifest, match="not finite"):
        fit_isotonic([0, 1], [0.1, 0.5]).apply([np.nan])
