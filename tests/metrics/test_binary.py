"""Figures of decisions against scikit-learn, and undefined ones as unknown."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mammolens import metrics
from mammolens.errors import ConfigError, InvalidManifest

THEIRS = {
    "accuracy": reference.accuracy_score,
    "precision": reference.precision_score,
    "recall": reference.recall_score,
    "specificity": lambda truth, called: reference.recall_score(~truth, ~called),
    "f1": reference.f1_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "mcc": reference.matthews_corrcoef,
}


def figures_of(truth, called):
    """Every figure of all rows, each once."""
    ones = np.ones((1, len(truth)))
    return {
        name: metrics.binary_statistic(name, truth, called)(ones)[0]
        for name in metrics.BINARY_METRICS
    }


@given(st.data())
def test_every_figure_agrees_with_scikit_learn(data):
    size = data.draw(st.integers(4, 60))
    truth, called = (data.draw(hnp.arrays(bool, size)) for _ in range(2))
    truth[:4], called[:4] = [0, 0, 1, 1], [0, 1, 0, 1]
    figures, counts = figures_of(truth, called), metrics.confusion(truth, called)
    assert set(figures) == set(THEIRS) == set(metrics.BINARY_METRICS)
    (tn, fp), (fn, tp) = reference.confusion_matrix(truth, called)
    assert counts == metrics.Confusion(tp, fp, tn, fn)
    for name, theirs in THEIRS.items():
        assert figures[name] == pytest.approx(theirs(truth, called), abs=1e-12), name


@given(st.integers(0, 2**32 - 1))
def test_weighted_figures_equal_repeated_rows(seed):
    rng = np.random.default_rng(seed)
    truth, called, weights = rng.random(30) < 0.5, rng.random(30) < 0.5, rng.integers(0, 4, 30)
    again = figures_of(np.repeat(truth, weights), np.repeat(called, weights))
    for name, expected in again.items():
        value = metrics.binary_statistic(name, truth, called)(weights[None].astype(float))[0]
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True), name


def test_a_figure_without_denominator_is_unknown():
    figures = figures_of([0, 0, 0], [0, 0, 0])
    assert figures["accuracy"] == figures["specificity"] == 1.0
    for name in ("precision", "recall", "f1", "balanced_accuracy", "mcc"):
        assert np.isnan(figures[name]), name


def test_confusion_matrix_of_three_classes_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    ours = metrics.confusion_matrix(truth, predicted, 3)
    assert (ours == reference.confusion_matrix(truth, predicted)).all()
    two = metrics.confusion_matrix(truth > 0, predicted > 0, 2)
    assert (two == reference.confusion_matrix(truth > 0, predicted > 0)).all()


@pytest.mark.parametrize(
    ("truth", "predicted"), [([0, 3], [0, 1]), ([0, -1], [0, 1]), ([0.0, 1.0], [0, 1]), ([0], [])]
)
def test_confusion_matrix_refuses_unknown_classes(truth, predicted):
    with pytest.raises(InvalidManifest):
        metrics.confusion_matrix(truth, predicted, 3)


def test_refuses_unknown_figures_and_labels():
    with pytest.raises(ConfigError, match="Use 'accuracy'"):
        metrics.binary_statistic("acuracy", [0, 1], [0, 1])
    with pytest.raises(InvalidManifest, match="unknown"):
        metrics.confusion([0, None], [0, 1])
    with pytest.raises(InvalidManifest, match="2 labels but 1"):
        metrics.confusion([0, 1], [1])
