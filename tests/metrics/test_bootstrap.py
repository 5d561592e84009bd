"""The patient bootstrap against a plain loop, and its results on little data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammolens import metrics
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.ranked import ranked_precision, ranked_statistic


def cohort(patients: int, seed: int, share: float = 0.4):
    """Four correlated images for each patient, who is wholly positive or wholly negative."""
    rng = np.random.default_rng(seed)
    ill = rng.random(patients) < share
    offset = rng.normal(size=patients) + ill
    groups = np.repeat(np.arange(patients), 4)
    return ill[groups], offset[groups] + 0.3 * rng.normal(size=groups.size), groups


def test_interval_agrees_with_a_loop_that_copies_rows():
    labels, scores, groups = cohort(60, seed=1)
    interval = metrics.auc_interval(labels, scores, groups, draws=4000, seed=5)
    rng = np.random.default_rng(77)
    rows = [np.flatnonzero(groups == patient) for patient in range(60)]
    found = []
    while len(found) < 4000:
        picked = np.concatenate([rows[i] for i in rng.integers(60, size=60)])
        if labels[picked].any() and not labels[picked].all():
            found.append(metrics.auc(labels[picked], scores[picked]))
    low, high = np.quantile(found, [0.025, 0.975])
    assert interval.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert interval.low == pytest.approx(low, abs=0.015)
    assert interval.high == pytest.approx(high, abs=0.015)


def test_each_draw_is_exactly_the_resampled_table():
    labels, scores, groups = cohort(12, seed=2)
    drawn = []

    def spy(weights):
        drawn.append(weights)
        return metrics.auc_statistic(labels, scores)(weights)

    metrics.patient_bootstrap(spy, labels, groups, draws=50, seed=9)
    weights = np.concatenate(drawn[1:]).astype(int)
    per_patient = weights.reshape(len(weights), 12, 4)
    assert (per_patient == per_patient[:, :, :1]).all(), "images of one woman came apart"
    assert (per_patient[:, :, 0].sum(axis=1) == 12).all()
    assert len(np.unique(weights, axis=0)) == len(weights)


def test_images_of_one_patient_do_not_count_as_independent():
    labels, scores, groups = cohort(80, seed=4)
    by_patient = metrics.auc_interval(labels, scores, groups)
    by_image = metrics.auc_interval(labels, scores, np.arange(labels.size))
    assert by_patient.high - by_patient.low > 1.5 * (by_image.high - by_image.low)
    assert (by_patient.n, by_patient.n_groups, by_patient.draws) == (320, 80, 2000)


def test_coverage_is_near_the_stated_level():
    rng = np.random.default_rng(0)
    truth, hits = 0.7602499, 0  # Φ(1 / √2), two unit normals one apart
    for seed in range(200):
        labels = np.arange(120) % 2 == 0
        interval = metrics.auc_interval(
            labels, rng.normal(size=120) + labels, np.arange(120), draws=300, seed=seed
        )
        hits += interval.low <= truth <= interval.high
    assert 0.90 <= hits / 200 <= 0.99


def test_same_seed_same_interval_and_keys_of_any_kind():
    labels, scores, groups = cohort(30, seed=6)
    words = [f"P_{group:05d}" for group in groups]
    pairs = [("rsna", int(group)) for group in groups]
    first = metrics.auc_interval(labels, scores, groups, draws=200, seed=3)
    assert first == metrics.auc_interval(labels, scores, words, draws=200, seed=3)
    assert first == metrics.auc_interval(labels, scores, pairs, draws=200, seed=3)
    assert first != metrics.auc_interval(labels, scores, groups, draws=200, seed=4)


def test_one_class_draws_are_replaced_and_counted():
    labels = np.array([1, 0, 0, 0, 0])
    interval = metrics.auc_interval(labels, [3, 1, 4, 2, 0], list("abcde"), draws=500)
    assert interval.draws == 500
    assert 100 < interval.redrawn < 400  # (4/5)^5 = 0.33 of the draws lack the positive
    assert "few positives: 1" in interval.notes
    assert any("drawn again" in note for note in interval.notes)


def test_a_single_patient_has_a_value_and_no_interval():
    interval = metrics.auc_interval([0, 1, 0, 1], [1, 2, 3, 4], ["a"] * 4)
    assert (interval.value, interval.low, interval.high) == (0.75, None, None)
    assert "no interval: too few patients to resample" in interval.notes
    assert str(interval) == "0.750 (no interval)"


def test_a_sound_interval_has_no_notes_and_a_perfect_one_is_flagged():
    labels, scores, groups = cohort(60, seed=1)
    assert metrics.auc_interval(labels, scores, groups).notes == ()
    perfect = metrics.auc_interval(labels, labels.astype(float), groups)
    assert perfect.low == perfect.high == 1.0
    assert any("all resamples agree" in note for note in perfect.notes)


def test_paired_difference_is_narrower_than_unpaired():
    labels, scores, groups = cohort(60, seed=8)
    better = scores + 0.2 * labels
    difference = metrics.auc_difference(labels, better, scores, groups)
    single = metrics.auc_interval(labels, scores, groups)
    assert difference.value == pytest.approx(
        metrics.auc(labels, better) - metrics.auc(labels, scores), abs=1e-12
    )
    assert difference.low > 0
    assert difference.high - difference.low < single.high - single.low
    same = metrics.auc_difference(labels, scores, scores, groups)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_three_thousand_images_are_drawn_two_thousand_times():
    labels, scores, groups = cohort(750, seed=10)
    interval = metrics.auc_interval(labels, scores, groups)
    assert (interval.n, interval.draws, interval.redrawn) == (3000, 2000, 0)
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"draws": 0}, ConfigError, "draws"),
        ({"groups": ["a"]}, InvalidManifest, "patients"),
    ],
)
def test_refuses_impossible_arguments(change, error, word):
    arguments = {"labels": [0, 1], "scores": [1, 2], "groups": ["a", "b"]} | change
    with pytest.raises(error, match=word):
        metrics.auc_interval(**arguments)


def test_refuses_a_statistic_that_the_data_do_not_define():
    statistic = metrics.binary_statistic("recall", [0, 0], [0, 1])
    with pytest.raises(InvalidManifest, match="undefined"):
        metrics.patient_bootstrap(statistic, [0, 0], ["a", "b"])


def test_many_statistics_get_the_intervals_that_each_would_get():
    labels, scores, groups = cohort(9, seed=3, share=0.2)
    probabilities = 1 / (1 + np.exp(-scores))
    alone = {
        "auc": metrics.auc_statistic(labels, scores),
        "brier": metrics.brier_statistic(labels, probabilities),
        "precision": ranked_statistic(labels, scores, ranked_precision),
    }
    together = metrics.patient_bootstraps(
        metrics.side_by_side(alone), labels, groups, draws=300, seed=4
    )
    assert together["auc"].redrawn > 0
    assert together["brier"].redrawn == 0
    for name, statistic in alone.items():
        one = metrics.patient_bootstrap(statistic, labels, groups, draws=300, seed=4)
        assert together[name] == one


def test_an_undefined_figure_is_none_and_the_others_are_given():
    nothing = metrics.binary_statistic("precision", [0, 1, 0], [0, 0, 0])
    everything = metrics.binary_statistic("accuracy", [0, 1, 0], [0, 0, 0])
    found = metrics.patient_bootstraps(
        metrics.side_by_side({"precision": nothing, "accuracy": everything}),
        [0, 1, 0],
        [1, 2, 3],
        draws=50,
    )
    assert found["precision"] is None
    assert found["accuracy"].value == pytest.approx(2 / 3)
    alone = metrics.patient_bootstraps(metrics.side_by_side({"a": everything}), [0, 1, 0], "xxx")
    assert (alone["a"].low, alone["a"].draws) == (None, 0)
