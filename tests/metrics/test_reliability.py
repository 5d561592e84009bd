"""Calibration errors: what the debiased one takes off, and what weights do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    calibration_error_statistics,
    patient_bootstraps,
    reliability_curve,
    reliability_statistics,
)


def sample(seed: int, n: int = 500, shift: float = 0.0):
    """Probabilities whose labels are drawn `shift` above them."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.05, 0.85, n)
    return rng.random(n) < values + shift, values


def once(statistics, n):
    return {name: float(v[0]) for name, v in statistics(np.ones((1, n))).items()}


def test_the_curve_agrees_with_scikit_learn():
    labels, values = sample(1)
    observed, predicted = calibration_curve(labels, values, n_bins=10)
    curve = reliability_curve(labels, values)
    assert curve.observed == pytest.approx(observed)
    assert curve.predicted == pytest.approx(predicted)
    assert curve.n_rows.sum() == 500


def test_the_debiased_error_is_zero_for_a_perfect_model_and_right_for_a_bad_one():
    plain, mended, wrong = [], [], []
    for seed in range(200):
        labels, values = sample(seed)
        found = once(calibration_error_statistics(labels, values), 500)
        plain.append(found["ece"])
        mended.append(found["squared_error"])
        labels, values = sample(seed, shift=0.1)
        wrong.append(once(calibration_error_statistics(labels, values), 500)["squared_error"])
    assert np.mean(plain) > 0.04, "chance alone opens gaps"
    assert np.mean(mended) == pytest.approx(0.0, abs=2e-4)
    assert np.mean(wrong) == pytest.approx(0.01, abs=5e-4)


def test_a_perfect_model_is_rarely_accused():
    accused = 0
    for seed in range(60):
        labels, values = sample(seed)
        found = patient_bootstraps(
            calibration_error_statistics(labels, values), labels, np.arange(500), draws=150
        )["squared_error"]
        accused += found.centred.low > 0
    assert accused <= 3


def test_weights_repeat_rows():
    labels, values = sample(5)
    times = np.random.default_rng(1).integers(0, 4, (3, 500))
    errors = calibration_error_statistics(labels, values)(times.astype(float))
    bins = reliability_statistics(labels, values)(times.astype(float))
    for draw, row in enumerate(times):
        again = np.repeat(labels, row), np.repeat(values, row)
        alone = once(calibration_error_statistics(*again), len(again[0]))
        assert errors["ece"][draw] == pytest.approx(alone["ece"], abs=1e-12)
        observed = [bins[name][draw] for name in bins if np.isfinite(bins[name][draw])]
        assert observed == pytest.approx(reliability_curve(*again).observed.tolist())


def test_a_centred_interval_holds_the_error_and_not_the_noise_of_resampling():
    labels, values = sample(7, 1000)
    found = patient_bootstraps(
        calibration_error_statistics(labels, values), labels, np.arange(1000), draws=400
    )["ece"]
    assert found.bias > 0.005, "each resample opens further gaps"
    assert found.centred.low < found.value < found.centred.high
    assert found.centred.high - found.centred.low == pytest.approx(found.high - found.low)


def test_few_rows_are_refused():
    with pytest.raises(InvalidManifest, match="too few for an ECE"):
        calibration_error_statistics([0, 1] * 199, [0.5] * 398)
