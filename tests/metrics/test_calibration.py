"""Calibration against scikit-learn, and temperatures recovered from partial labels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax as their_softmax
from sklearn.linear_model import LogisticRegression

from mammolens import metrics
from mammolens.errors import InvalidManifest


def brier_score(labels, probabilities):
    return metrics.brier_statistic(labels, probabilities)(np.ones((1, len(labels))))[0]


def log_loss(labels, probabilities):
    return metrics.log_loss_statistic(labels, probabilities)(np.ones((1, len(labels))))[0]


def partial_log_loss(logits, allowed):
    return np.mean(-np.log((their_softmax(logits, axis=1) * allowed).sum(axis=1)))


def partially_labelled(n: int, seed: int):
    """Logits whose softmax is the truth, with labels as exact, "no cancer" or "tumour"."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, 3))
    drawn = np.array([rng.choice(3, p=p) for p in their_softmax(logits, axis=1)])
    allowed = np.eye(3, dtype=bool)[drawn]
    kind = rng.integers(0, 3, n)
    allowed[(kind == 1) & (drawn < 2)] = [True, True, False]
    allowed[(kind == 2) & (drawn > 0)] = [False, True, True]
    return logits, allowed


@given(st.integers(0, 2**32 - 1))
def test_brier_and_log_loss_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.random(50) < 0.4, rng.random(50)
    labels[:2] = [True, False]
    assert brier_score(labels, probabilities) == pytest.approx(
        reference.brier_score_loss(labels, probabilities), abs=1e-12
    )
    assert log_loss(labels, probabilities) == pytest.approx(
        reference.log_loss(labels, probabilities), abs=1e-12
    )


def test_a_certain_mistake_costs_much_but_not_infinity():
    assert 30 < log_loss([0, 1], [1.0, 1.0]) * 2 < 40


def test_reliability_curve_and_ece_by_hand():
    labels = np.tile([0, 0, 0, 1, 1, 1, 1, 0], 50)
    probabilities = np.tile([0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0], 50)
    curve = metrics.reliability_curve(labels, probabilities)
    np.testing.assert_allclose(curve.predicted, [0.1, 1.0])
    np.testing.assert_allclose(curve.observed, [0.25, 0.75])
    assert curve.n_rows.tolist() == [200, 200]
    found = metrics.calibration_error_statistics(labels, probabilities)(np.ones((1, 400)))
    assert found["ece"][0] == pytest.approx(0.2)


def test_ece_of_a_small_set_is_refused():
    with pytest.raises(InvalidManifest, match="at least 400"):
        metrics.calibration_error_statistics(np.arange(399) % 2, np.full(399, 0.5))


def test_calibration_line_agrees_with_scikit_learn():
    rng = np.random.default_rng(5)
    probabilities = rng.uniform(0.02, 0.98, 500)
    labels = rng.random(500) < probabilities**2
    odds = np.log(probabilities / (1 - probabilities))[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, labels)
    line = metrics.calibration_line_statistics(labels, probabilities)(np.ones((1, 500)))
    assert line["slope"] == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert line["intercept"] == pytest.approx(theirs.intercept_, abs=1e-4)


def test_calibration_line_of_calibrated_and_of_separable_data():
    rng = np.random.default_rng(6)
    probabilities = rng.random(20_000)
    labels = rng.random(20_000) < probabilities
    line = metrics.calibration_line_statistics(labels, probabilities)(np.ones((1, 20_000)))
    assert line["slope"] == pytest.approx([1], abs=0.06)
    assert line["intercept"] == pytest.approx([0], abs=0.06)
    assert metrics.calibration_line_statistics([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) is None
    assert metrics.calibration_line_statistics([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]) is None


def test_a_draw_with_separable_classes_has_no_line_and_is_drawn_again():
    labels, probabilities = [0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.7, 0.3, 0.8, 0.9]
    statistics = metrics.calibration_line_statistics(labels, probabilities)
    separable = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    line = statistics(np.array([[1.0] * 6, separable]))
    for name in ("slope", "intercept"):
        assert np.isfinite(line[name][0])
        assert np.isnan(line[name][1])
    found = metrics.patient_bootstraps(statistics, labels, range(6), draws=100)["slope"]
    assert found.redrawn > 10
    assert np.isfinite([found.low, found.high]).all()


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_temperature_is_recovered_from_partial_labels(truth):
    logits, allowed = partially_labelled(6000, seed=11)
    fitted = metrics.fit_temperature(logits * truth, allowed)
    assert fitted == pytest.approx(truth, rel=0.06)
    after = partial_log_loss(logits * truth / fitted, allowed)
    assert after <= partial_log_loss(logits * truth, allowed)


@given(st.integers(0, 2**32 - 1))
def test_no_temperature_on_a_fine_grid_does_better(seed):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(15, 3))
    allowed = rng.random((15, 3)) < 0.5
    allowed[np.arange(15), rng.integers(0, 3, 15)] = True
    allowed[0] = [True, False, False]
    fitted = metrics.fit_temperature(logits, allowed)
    others = [partial_log_loss(logits / t, allowed) for t in np.geomspace(0.05, 20, 400)]
    assert partial_log_loss(logits / fitted, allowed) <= min(others) + 1e-6


def test_softmax_agrees_with_scipy():
    logits, _ = partially_labelled(200, seed=2)
    assert metrics.softmax(logits) == pytest.approx(their_softmax(logits, axis=1), abs=1e-15)


def test_sigmoid_and_log_odds_agree_with_scipy():
    values = np.linspace(-20, 20, 81)
    assert metrics.sigmoid(values) == pytest.approx(scipy.special.expit(values), abs=1e-15)
    assert metrics.log_odds(metrics.sigmoid(values)) == pytest.approx(values, abs=1e-6)
    assert np.isfinite(metrics.log_odds([0.0, 1.0])).all()


def test_separable_and_contradicted_classes_give_a_bound():
    sure = metrics.fit_temperature([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]], np.eye(3)[:2])
    assert sure == pytest.approx(0.05, rel=1e-6)
    wrong = metrics.fit_temperature([[2.0, 0.0, 0.0]], [[0, 1, 1]])
    assert wrong == pytest.approx(20, rel=1e-6)


def test_huge_logits_stay_finite():
    fitted = metrics.fit_temperature([[800.0, -800.0, 0.0], [-800.0, 0.0, 700.0]], np.eye(3)[:2])
    assert np.isfinite(fitted)


@pytest.mark.parametrize(
    ("logits", "allowed", "word"),
    [
        ([[0.0, 1.0]], [[False, False]], "allows no class"),
        ([[0.0, np.nan]], [[True, False]], "finite"),
        ([[0.0, 1.0]], [[True, True]], "nothing to fit"),
        ([[0.0, 1.0]], [[True]], "do not pair"),
        (np.empty((0, 3)), np.empty((0, 3)), "do not pair"),
    ],
)
def test_temperature_refuses(logits, allowed, word):
    with pytest.raises(InvalidManifest, match=word):
        metrics.fit_temperature(logits, allowed)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_probabilities_outside_are_refused(value):
    for metric in (brier_score, log_loss, metrics.reliability_curve):
        with pytest.raises(InvalidManifest):
            metric([0, 1], [0.5, value])
