"""DeLong, McNemar and Holm against independent implementations."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import auc, delong_test, holm, mcnemar


def placements(labels, scores):
    """DeLong's structural components by their definition, pair by pair."""
    positive, negative = scores[labels], scores[~labels]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return wins.mean(1), wins.mean(0)


def test_delong_by_its_definition():
    rng = np.random.default_rng(3)
    labels = rng.random(120) < 0.4
    one = np.round(rng.normal(labels, 1.0), 1)
    other = np.round(rng.normal(labels * 0.5, 1.0), 1)
    v_one, v_other = placements(labels, one), placements(labels, other)
    m, n = labels.sum(), (~labels).sum()
    paired = (v_one[0] - v_other[0]).var(ddof=1) / m + (v_one[1] - v_other[1]).var(ddof=1) / n
    test = delong_test(labels, one, other)
    assert test.value == pytest.approx(auc(labels, one) - auc(labels, other), abs=1e-12)
    assert test.standard_error == pytest.approx(paired**0.5, abs=1e-12)
    stats = pytest.importorskip("scipy.stats", reason="needs SciPy")
    expected = 2 * stats.norm.sf(abs(test.value) / paired**0.5)
    assert test.p_value == pytest.approx(expected, abs=1e-12)
    assert test.low == pytest.approx(test.value - 1.959963985 * test.standard_error, abs=1e-8)


def test_delong_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = 0.760250 - 0.5  # of two unit normals 1 apart, Φ(1/√2), and of chance
    held = 0
    for _ in range(300):
        labels = np.r_[np.ones(60, bool), np.zeros(90, bool)]
        found = delong_test(labels, rng.normal(labels * 1.0, 1.0), rng.normal(size=150))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_the_same_scores_do_not_differ():
    labels, scores = [0, 0, 1, 1], [1, 3, 2, 4]
    found = delong_test(labels, scores, scores)
    assert (found.value, found.standard_error, found.p_value) == (0.0, 0.0, None)
    with pytest.raises(InvalidManifest, match="no variance"):
        delong_test([0, 0, 1], [1, 2, 3], [1, 2, 3])


@pytest.mark.parametrize("n", [40, 6000])
def test_mcnemar_agrees_with_statsmodels(n):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="needs statsmodels")
    rng = np.random.default_rng(n)
    truth = rng.random(n) < 0.5
    one = np.where(rng.random(n) < 0.8, truth, ~truth)
    other = np.where(rng.random(n) < 0.7, truth, ~truth)
    found = mcnemar(truth, one, other)
    table = [
        [int(np.sum((one == truth) & (other == truth))), found.only_first_right],
        [found.only_second_right, int(np.sum((one != truth) & (other != truth)))],
    ]
    discordant = found.only_first_right + found.only_second_right
    expected = tables.mcnemar(table, exact=discordant < 1000, correction=True).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert mcnemar([0, 1], [0, 1], [0, 1]).p_value == 1.0


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="needs statsmodels")
    p_values = np.random.default_rng(5).random(12) ** 3
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])
    with pytest.raises(InvalidManifest, match="between 0 and 1"):
        holm([0.1, 1.5])
