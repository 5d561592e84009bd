"""Net benefit and workload: by hand, and by simulating the worklist that they describe."""

import numpy as np
import pytest

from mammolens.metrics import (
    decision_curve,
    first_ranked_sensitivity,
    net_benefit_statistic,
    patient_bootstrap,
    single_reading_share,
)


def test_net_benefit_by_hand():
    labels, probabilities = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
    curve = decision_curve(labels, probabilities, [0.25, 0.5])
    # at 0.25: two true, one false positive; at 0.5: one and one
    assert curve.model == pytest.approx([(2 - 1 / 3) / 5, 0.0])
    assert curve.recall_all == pytest.approx([0.4 - 0.6 / 3, 0.4 - 0.6])


def test_net_benefit_under_weights_repeats_rows():
    statistic = net_benefit_statistic([1, 0, 0], [0.8, 0.7, 0.1], 0.4)
    again = net_benefit_statistic([1, 1, 0, 0], [0.8, 0.8, 0.7, 0.1], 0.4)
    assert statistic(np.array([[2.0, 1.0, 1.0]])) == pytest.approx(again(np.ones((1, 4))))


def population(n=200_000, prevalence=0.02, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < prevalence
    return labels, rng.normal(labels * 1.5, 1.0)


def test_single_reading_is_what_a_worklist_would_show():
    labels, scores = population()
    threshold = np.quantile(scores[labels], 0.05)
    simulated = (scores < threshold).mean()
    rng = np.random.default_rng(1)
    enriched = np.r_[rng.choice(np.flatnonzero(labels), 3000), rng.choice(len(labels), 3000)]
    statistic = single_reading_share(labels[enriched], scores[enriched], 0.95, 0.02)
    assert statistic(np.ones((1, 6000)))[0] == pytest.approx(simulated, abs=0.02)


def test_first_ranked_is_what_a_worklist_would_show():
    labels, scores = population()
    first = np.argsort(-scores)[: len(scores) // 10]
    simulated = labels[first].sum() / labels.sum()
    statistic = first_ranked_sensitivity(labels, scores, 0.1, float(labels.mean()))
    assert statistic(np.ones((1, len(labels))))[0] == pytest.approx(simulated, abs=1e-3)


def test_constant_scores_save_nothing_and_rank_by_chance():
    labels, scores = [0, 1] * 20, [0.5] * 40
    assert single_reading_share(labels, scores)(np.ones((1, 40)))[0] == 0.0
    assert first_ranked_sensitivity(labels, scores, 0.3)(np.ones((1, 40)))[0] == pytest.approx(0.3)


def test_intervals_come_from_patients():
    labels, scores = population(400, 0.3, 2)
    statistic = single_reading_share(labels, scores)
    interval = patient_bootstrap(statistic, labels, np.arange(400) // 2, draws=200)
    assert interval.low < interval.value < interval.high
