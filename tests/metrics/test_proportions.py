"""Exact intervals of shares against SciPy, and their width with several rows of a patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from mammolens.metrics import clopper_pearson, clustered_shares


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 7), (3, 10), (81, 20_000), (19_999, 20_000), (2300, 20_000)]
)
def test_interval_is_that_of_scipy(hits, n):
    low, high = clopper_pearson([hits], [n])
    expected = binomtest(hits, n).proportion_ci(0.95, "exact")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_fractions_of_trials_are_possible():
    low, high = clopper_pearson([2.5], [11.3])
    assert low[0] == pytest.approx(beta.ppf(0.025, 2.5, 9.8), abs=1e-10)
    assert high[0] == pytest.approx(beta.ppf(0.975, 3.5, 8.8), abs=1e-10)


def test_rows_of_one_patient_widen_the_interval():
    hits = np.repeat([True, False, False, False, False], 8)
    counted = np.ones(40, bool)
    (alone,) = clustered_shares(hits, counted, np.arange(40))
    (together,) = clustered_shares(hits, counted, np.repeat(np.arange(5), 8))
    assert alone is not None
    assert together is not None
    assert together.value == alone.value
    assert together.low < alone.low < alone.high < together.high
    assert (together.n, together.n_positive, together.n_groups) == (40, 8, 5)


def test_without_a_hit_the_patients_count():
    (found,) = clustered_shares([False] * 12, [True] * 12, np.repeat(np.arange(3), 4))
    assert found is not None
    assert found.high == pytest.approx(clopper_pearson([0], [3])[1][0])


def test_a_share_of_nothing_is_unknown():
    assert clustered_shares([[False]], [[False]], [0]) == [None]
    assert clustered_shares([[False], [True]], [[False], [True]], [0])[0] is None
