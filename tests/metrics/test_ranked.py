"""Figures under row weights: against scikit-learn with the same weights, and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from mammolens import metrics
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.ranked import (
    ranked_partial_area,
    ranked_precision,
    ranked_sensitivity,
    ranked_single_reading,
    ranked_specificity,
    ranked_statistic,
    ranked_worklist,
)

SEEDS = range(4)


def drawn(seed: int, n: int = 300, decimals: int = 2):
    """Labels, probabilities with ties, and weights of five resamples of ``n / 3`` patients."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    scores = np.round(1 / (1 + np.exp(-rng.normal(labels * 1.5 - 1, 1.0))), decimals)
    patients = rng.multinomial(n // 3, np.full(n // 3, 3 / n), size=5)
    return labels, scores, np.repeat(patients, 3, axis=1).astype(float)


def agree(statistic, weights, theirs):
    found = statistic(weights)
    assert found.shape == (len(weights),)
    for value, row in zip(found, weights, strict=True):
        assert value == pytest.approx(theirs(row), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("decimals", [1, 3])
def test_ranking_figures_agree_with_scikit_learn(seed, decimals):
    labels, scores, weights = drawn(seed, decimals=decimals)
    agree(
        metrics.auc_statistic(labels, scores),
        weights,
        lambda w: reference.roc_auc_score(labels, scores, sample_weight=w),
    )
    agree(
        ranked_statistic(labels, scores, ranked_precision),
        weights,
        lambda w: reference.average_precision_score(labels, scores, sample_weight=w),
    )
    for lowest in (0.5, 0.8, 0.95):
        agree(
            ranked_statistic(labels, scores, ranked_partial_area(lowest)),
            weights,
            lambda w, most=1 - lowest: reference.roc_auc_score(
                labels, scores, sample_weight=w, max_fpr=most
            ),
        )


def their_roc(labels, scores, weights):
    return reference.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", [0.5, 0.869, 0.889, 0.95])
def test_goals_agree_with_the_roc_of_scikit_learn(seed, target):
    labels, scores, weights = drawn(seed)

    def sensitivity(w):
        rates, hits, _ = their_roc(labels, scores, w)
        return hits[rates <= 1 - target + 1e-12].max()

    def specificity(w):
        rates, hits, _ = their_roc(labels, scores, w)
        return 1 - rates[hits >= target - 1e-12].min()

    for make, theirs in (
        (ranked_sensitivity, sensitivity),
        (ranked_specificity, specificity),
    ):
        agree(ranked_statistic(labels, scores, make(target)), weights, theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_probability_figures_agree_with_scikit_learn(seed):
    labels, scores, weights = drawn(seed)
    agree(
        metrics.brier_statistic(labels, scores),
        weights,
        lambda w: reference.brier_score_loss(labels, scores, sample_weight=w),
    )
    agree(
        metrics.log_loss_statistic(labels, scores),
        weights,
        lambda w: reference.log_loss(labels, scores, sample_weight=w),
    )
    agree(
        metrics.probabilistic_f1_statistic(labels, scores),
        weights,
        lambda w: 2 * (w * labels) @ scores / (w @ (labels + scores)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_decision_figures_agree_with_scikit_learn(seed):
    labels, scores, weights = drawn(seed)
    called, prevalence = scores >= 0.4, 0.02
    found = metrics.decision_statistics(labels, called, prevalence)(weights)
    theirs = {
        "accuracy": reference.accuracy_score,
        "precision": reference.precision_score,
        "recall": reference.recall_score,
        "f1": reference.f1_score,
        "balanced_accuracy": reference.balanced_accuracy_score,
        "mcc": reference.matthews_corrcoef,
    }
    assert set(theirs) < set(metrics.BINARY_METRICS) < set(found)
    for draw, row in enumerate(weights):
        for name, function in theirs.items():
            expected = function(labels, called, sample_weight=row)
            assert found[name][draw] == pytest.approx(expected, abs=1e-9), name
        sensitivity, specificity = found["recall"][draw], found["specificity"][draw]
        # A population of that prevalence, as weights of the rows.
        as_there = np.where(
            labels,
            row * prevalence / row[labels].sum(),
            row * (1 - prevalence) / row[~labels].sum(),
        )
        ppv = reference.precision_score(labels, called, sample_weight=as_there)
        npv = reference.precision_score(~labels, ~called, sample_weight=as_there)
        assert found["ppv"][draw] == pytest.approx(ppv, abs=1e-9)
        assert found["npv"][draw] == pytest.approx(npv, abs=1e-9)
        assert found["ppv"][draw] == pytest.approx(
            sensitivity * prevalence / found["recall_rate"][draw]
        )
        assert found["recall_rate"][draw] == pytest.approx(
            sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
        )


def test_goals_on_the_data_are_what_the_thresholds_give():
    labels, scores, _ = drawn(9)
    ones = np.ones((1, labels.size))
    threshold = metrics.threshold_at_specificity(labels, scores, 0.889)
    found = ranked_statistic(labels, scores, ranked_sensitivity(0.889))(ones)[0]
    assert found == (scores[labels] >= threshold).mean()
    threshold = metrics.threshold_at_sensitivity(labels, scores, 0.95)
    found = ranked_statistic(labels, scores, ranked_specificity(0.95))(ones)[0]
    assert found == pytest.approx((scores[~labels] < threshold).mean(), abs=1e-12)


def test_a_draw_without_one_class_is_undefined():
    labels, scores = [0, 0, 1], [0.1, 0.5, 0.7]
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    for make in (
        metrics.auc_statistic,
        lambda *rows: ranked_statistic(*rows, ranked_partial_area(0.8)),
        lambda *rows: ranked_statistic(*rows, ranked_sensitivity(0.9)),
        lambda *rows: ranked_statistic(*rows, ranked_specificity(0.9)),
    ):
        assert np.isnan(make(labels, scores)(weights)).all()


def test_constant_scores_rank_nothing():
    labels, ones = np.arange(40) % 2 == 0, np.ones((1, 40))
    scores = np.full(40, 0.5)
    assert metrics.auc_statistic(labels, scores)(ones)[0] == 0.5
    assert ranked_statistic(labels, scores, ranked_partial_area(0.8))(ones)[0] == pytest.approx(0.5)
    assert ranked_statistic(labels, scores, ranked_precision)(ones)[0] == 0.5
    assert ranked_statistic(labels, scores, ranked_sensitivity(0.9))(ones)[0] == 0.0
    assert ranked_statistic(labels, scores, ranked_specificity(0.9))(ones)[0] == 0.0


@pytest.mark.parametrize("make", [metrics.auc_statistic, metrics.ranked_counts])
def test_scores_that_are_not_numbers_are_refused(make):
    with pytest.raises(InvalidManifest, match="not finite"):
        make([0, 1], [0.1, np.nan])


@pytest.mark.parametrize("seed", SEEDS)
def test_wanted_recall_and_cost_are_the_best_of_all_thresholds(seed):
    labels, scores, _ = drawn(seed)
    prevalence, every = 0.01, np.r_[np.unique(scores), 1.1]
    sensitivity = np.array([(scores[labels] >= t).mean() for t in every])
    alarms = np.array([(scores[~labels] >= t).mean() for t in every])
    recalled = sensitivity * prevalence + alarms * (1 - prevalence)
    threshold = metrics.threshold_at_recall(labels, scores, 0.1, prevalence)
    best = sensitivity[recalled <= 0.1].max()
    assert (scores[labels] >= threshold).mean() == best
    caught, false = (scores[labels] >= threshold).mean(), (scores[~labels] >= threshold).mean()
    assert prevalence * caught + (1 - prevalence) * false <= 0.1
    for cost in (2.0, 20.0, 500.0):
        paid = cost * prevalence * (1 - sensitivity) + (1 - prevalence) * alarms
        threshold = metrics.threshold_at_cost(labels, scores, cost, prevalence)
        own = cost * prevalence * (scores[labels] < threshold).mean()
        own += (1 - prevalence) * (scores[~labels] >= threshold).mean()
        assert own == pytest.approx(paid.min(), abs=1e-12)


def test_a_low_cost_recalls_nobody():
    threshold = metrics.threshold_at_cost([1, 0, 0], [0.9, 0.9, 0.1], 1e-6, 0.005)
    assert threshold > 0.9
    for cost in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ConfigError, match="cost"):
            metrics.threshold_at_cost([1, 0], [0.9, 0.1], cost)


def test_worklists_agree_with_a_loop_over_women():
    labels, scores, weights = drawn(3)
    prevalence, share = 0.01, 0.1
    found = ranked_statistic(labels, scores, ranked_worklist(share, prevalence))(weights)
    for value, row in zip(found, weights, strict=True):
        ill = row * labels / row[labels].sum()
        well = row * ~labels / row[~labels].sum()
        work = caught = 0.0
        for level in np.unique(scores)[::-1]:
            more = (prevalence * ill + (1 - prevalence) * well)[scores == level].sum()
            hits = ill[scores == level].sum()
            part = 1.0 if more == 0 else min(1.0, (share - work) / more)
            work, caught = work + part * more, caught + part * hits
            if part < 1.0:
                break
        assert value == pytest.approx(caught, abs=1e-9)


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
    formula = ranked_single_reading(0.95, 0.02)
    statistic = ranked_statistic(labels[enriched], scores[enriched], formula)
    assert statistic(np.ones((1, 6000)))[0] == pytest.approx(simulated, abs=0.02)


def test_first_ranked_is_what_a_worklist_would_show():
    labels, scores = population()
    first = np.argsort(-scores)[: len(scores) // 10]
    simulated = labels[first].sum() / labels.sum()
    statistic = ranked_statistic(labels, scores, ranked_worklist(0.1, float(labels.mean())))
    assert statistic(np.ones((1, len(labels))))[0] == pytest.approx(simulated, abs=1e-3)


def test_constant_scores_save_nothing_and_rank_by_chance():
    labels, scores, ones = [0, 1] * 20, [0.5] * 40, np.ones((1, 40))
    saved = ranked_statistic(labels, scores, ranked_single_reading(0.95, 0.005))(ones)
    first = ranked_statistic(labels, scores, ranked_worklist(0.3, 0.005))(ones)
    assert saved[0] == 0.0
    assert first[0] == pytest.approx(0.3)
