"""Exchanged group names: exact on small cases, honest where nothing differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact
from scipy.stats import permutation_test as scipy_permutation_test

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics import (
    auc_statistic,
    binary_statistic,
    gap_statistic,
    permutation_tests,
)


def permutation_test(statistic, *arguments, **how):
    return permutation_tests({"": statistic}, *arguments, **how)[""]


def mean_of(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


def test_with_one_row_per_patient_it_is_the_usual_test():
    rng = np.random.default_rng(1)
    values = np.r_[rng.normal(0.8, 1, 14), rng.normal(0, 1, 22)]
    names = ["a"] * 14 + ["b"] * 22
    found = permutation_test(
        mean_of(values), [1] * 36, names, "a", [str(n) for n in range(36)], draws=20_000
    )
    usual = scipy_permutation_test(
        (values[:14], values[14:]),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(2),
    )
    assert found.value == pytest.approx(usual.statistic)
    assert found.p_value == pytest.approx(usual.pvalue, abs=0.006)


def test_for_shares_it_is_as_conservative_as_fishers_test():
    """All 10 of a group are found, of the rest 80 of 100: a normal test would call it a gap."""
    called = np.r_[np.ones(10), np.ones(80), np.zeros(20)]
    names = ["few"] * 10 + ["rest"] * 100
    found = permutation_test(
        binary_statistic("recall", [1] * 110, called),
        [1] * 110,
        names,
        "few",
        [str(n) for n in range(110)],
    )
    exact = fisher_exact([[10, 0], [80, 20]]).pvalue
    assert found.value == pytest.approx(0.2)
    assert exact / 1.5 < found.p_value < exact * 1.5


def test_patients_of_several_names_exchange_them_among_themselves():
    """Each of eight patients has a high CC and a low MLO: of 2^8 exchanges, two are as extreme."""
    patients = [str(n) for n in range(8) for _ in range(2)]
    names = ["CC", "MLO"] * 8
    found = permutation_test(mean_of(np.array([1.0, 0.0] * 8)), [1] * 16, names, "CC", patients)
    assert found.value == 1.0
    assert found.p_value == pytest.approx(2 / 256, abs=0.003)


def test_rows_of_a_patient_are_not_treated_as_independent():
    """Two scanners, 6 patients each, 20 equal rows per patient: there are 12 values, not 240."""
    rng = np.random.default_rng(3)
    small = 0
    for seed in range(100):
        values = np.repeat(rng.normal(size=12), 20)
        patients = [str(n) for n in range(12) for _ in range(20)]
        names = ["a"] * 120 + ["b"] * 120
        found = permutation_test(
            mean_of(values), [1] * 240, names, "a", patients, draws=500, seed=seed
        )
        small += found.p_value <= 0.05
    assert small <= 12


def test_p_values_of_groups_that_do_not_differ_are_even():
    """Patients of one group and of two, correlated rows, labels that go with the group."""
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        patients, names, labels, scores = [], [], [], []
        for woman in range(60):
            own = rng.normal()
            ill = rng.random() < (0.6 if woman % 3 == 0 else 0.3)
            for row in range(2):
                patients.append(str(woman))
                names.append("a" if woman % 3 == 0 or (woman % 3 == 1 and row == 0) else "b")
                labels.append(ill)
                scores.append(own + 1.0 * ill + rng.normal())
        found = permutation_test(
            auc_statistic(labels, scores), labels, names, "a", patients, draws=400, seed=seed
        )
        p_values.append(found.p_value)
    assert 0.02 <= np.mean(np.array(p_values) <= 0.1) <= 0.17
    assert 0.38 <= np.mean(np.array(p_values) <= 0.5) <= 0.62


def test_it_ends_early_without_changing_what_it_says():
    values = np.random.default_rng(4).normal(size=40)
    arguments = (mean_of(values), [1] * 40, ["a", "b"] * 20, "a", [str(n) for n in range(40)])
    short = permutation_test(*arguments, draws=100_000)
    again = permutation_test(*arguments, draws=100_000)
    assert short == again
    assert short.draws < 2000


def test_several_tests_at_once_agree_with_single_tests():
    """One of them ends early, the other does not."""
    rng = np.random.default_rng(5)
    labels = rng.random(80) < 0.5
    names = ["a" if n < 30 else "b" for n in range(80)]
    apart, alike = rng.normal(size=80) + 2.0 * (np.arange(80) < 30), rng.normal(size=80)
    patients = [str(n // 2) for n in range(80)]
    statistics = {"apart": mean_of(apart), "alike": mean_of(alike)}
    found = permutation_tests(statistics, labels, names, "a", patients, draws=3000, seed=7)
    for measure, statistic in statistics.items():
        alone = permutation_test(statistic, labels, names, "a", patients, draws=3000, seed=7)
        assert found[measure] == alone
    assert found["alike"].draws < found["apart"].draws == 3000


def test_a_gap_is_the_difference_of_two_figures():
    labels, scores = [0, 1, 0, 1, 0, 1], [0.1, 0.9, 0.8, 0.2, 0.3, 0.4]
    member = [True, True, False, False, False, False]
    ones = np.ones((1, 6))
    gap = gap_statistic(auc_statistic(labels, scores), member)(ones)
    assert gap[0] == pytest.approx(1.0 - 0.25)


def test_an_impossible_test_is_refused():
    with pytest.raises(InvalidManifest, match="none is"):
        permutation_test(mean_of(np.ones(2)), [1, 1], ["a", "a"], "a", ["1", "2"])
    with pytest.raises(InvalidManifest, match="undefined"):
        permutation_test(
            binary_statistic("recall", [1, 0], [1, 0]), [1, 0], ["a", "b"], "b", ["1", "2"]
        )
    with pytest.raises(InvalidManifest, match="2 labels, 1 names"):
        permutation_test(mean_of(np.ones(2)), [1, 1], ["a"], "a", ["1", "2"])
    with pytest.raises(ConfigError, match="draws"):
        permutation_test(mean_of(np.ones(2)), [1, 1], ["a", "b"], "a", ["1", "2"], draws=0)
