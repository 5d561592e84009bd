"""AUC and ROC against scikit-learn, pair counting, and what must hold for any data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mammolens import metrics
from mammolens.errors import InvalidManifest


@st.composite
def ranked(draw):
    """Labels of both classes with many ties among the scores."""
    size = draw(st.integers(2, 40))
    labels = draw(hnp.arrays(bool, size))
    labels[0], labels[-1] = False, True
    scores = draw(hnp.arrays(np.int64, size, elements=st.integers(-6, 6)))
    return labels, scores.astype(float)


@given(ranked())
def test_auc_is_the_share_of_pairs_won_with_ties_as_half(case):
    labels, scores = case
    pairs = np.subtract.outer(scores[labels], scores[~labels])
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert metrics.auc(labels, scores) == pytest.approx(expected, abs=1e-12)


@given(ranked())
def test_auc_and_roc_curve_agree_with_scikit_learn(case):
    labels, scores = case
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    curve = metrics.roc_curve(labels, scores)
    for ours, theirs in zip(
        curve, sklearn_roc_curve(labels, scores, drop_intermediate=False), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_auc_agrees_with_scikit_learn_on_many_rows():
    rng = np.random.default_rng(3)
    labels = rng.random(3000) < 0.3
    scores = rng.normal(size=3000) + labels
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(ranked())
def test_auc_ignores_monotone_transforms(case):
    labels, scores = case
    value = metrics.auc(labels, scores)
    assert metrics.auc(labels, np.exp(scores)) == value
    assert metrics.auc(labels, 3 * scores - 7) == value


@given(ranked())
def test_auc_of_the_complement(case):
    labels, scores = case
    value = metrics.auc(labels, scores)
    assert metrics.auc(labels, -scores) == pytest.approx(1 - value, abs=1e-12)
    assert metrics.auc(~labels, scores) == pytest.approx(1 - value, abs=1e-12)


@given(ranked())
def test_auc_is_the_area_under_the_curve(case):
    curve = metrics.roc_curve(*case)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert metrics.auc(*case) == pytest.approx(area, abs=1e-12)


@given(ranked(), st.integers(0, 2**32 - 1))
def test_weighted_auc_equals_repeated_rows(case, seed):
    labels, scores = case
    weights = np.random.default_rng(seed).integers(0, 4, labels.size)
    repeated = np.repeat(labels, weights)
    value = metrics.auc_statistic(labels, scores)(weights[None].astype(float))[0]
    if repeated.size == 0 or repeated.all() or not repeated.any():
        assert np.isnan(value)
    else:
        expected = roc_auc_score(repeated, np.repeat(scores, weights))
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "word"),
    [
        ([1, 1], [0.1, 0.2], "no negative"),
        ([0, 0], [0.1, 0.2], "no positive"),
        ([0, 1], [0.1, np.nan], "not finite"),
        ([0, 1], [0.1, np.inf], "not finite"),
        ([0, 1, 1], [0.1, 0.2], "3 labels but 2 scores"),
        ([0, np.nan], [0.1, 0.2], "unknown"),
        ([0, None], [0.1, 0.2], "unknown"),
        ([0, 2], [0.1, 0.2], "neither 0 nor 1"),
        (["no", "yes"], [0.1, 0.2], "not numbers"),
        ([], [], "shape"),
        ([[0, 1]], [[0.1, 0.2]], "shape"),
    ],
)
def test_refuses_what_cannot_be_ranked(labels, scores, word):
    for metric in (metrics.auc, metrics.roc_curve, metrics.threshold_at_sensitivity):
        with pytest.raises(InvalidManifest, match=word):
            metric(labels, scores)
