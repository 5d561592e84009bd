"""Precision–recall, partial AUC and probabilistic F1 against scikit-learn and by hand."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import precision_recall_curve, probabilistic_f1_statistic
from mammolens.metrics.ranked import ranked_partial_area, ranked_precision, ranked_statistic


def average_precision(labels, scores):
    return ranked_statistic(labels, scores, ranked_precision)(np.ones((1, len(labels))))[0]


def partial_auc(labels, scores, lowest):
    formula = ranked_partial_area(lowest)
    return ranked_statistic(labels, scores, formula)(np.ones((1, len(labels))))[0]


def probabilistic_f1(labels, probabilities):
    return probabilistic_f1_statistic(labels, probabilities)(np.ones((1, len(labels))))[0]


def drawn(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    return labels, np.round(rng.normal(labels * 1.0, 1.0), 1)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scikit_learn(seed):
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    labels, scores = drawn(seed)
    assert average_precision(labels, scores) == pytest.approx(
        sklearn.average_precision_score(labels, scores), abs=1e-12
    )
    for lowest in (0.5, 0.8, 0.9):
        assert partial_auc(labels, scores, lowest) == pytest.approx(
            sklearn.roc_auc_score(labels, scores, max_fpr=1 - lowest), abs=1e-9
        )
    ours = precision_recall_curve(labels, scores)
    precision, recall, thresholds = sklearn.precision_recall_curve(labels, scores)
    assert ours.precision == pytest.approx(precision[:-1])
    assert ours.recall == pytest.approx(recall[:-1])
    assert ours.thresholds == pytest.approx(thresholds)


def test_weights_repeat_rows():
    labels, scores = drawn(7, 60)
    times = np.random.default_rng(1).integers(0, 4, (3, 60))
    found = ranked_statistic(labels, scores, ranked_precision)(times.astype(float))
    for one, row in zip(found, times, strict=True):
        again = average_precision(np.repeat(labels, row), np.repeat(scores, row))
        assert one == pytest.approx(again, abs=1e-12)


def test_a_draw_without_positives_is_undefined():
    statistic = ranked_statistic([0, 0, 1], [0.1, 0.2, 0.3], ranked_precision)
    assert np.isnan(statistic(np.array([[1.0, 1.0, 0.0]])))[0]


def test_probabilistic_f1_by_hand():
    # caught 0.9 + 0.4, called 2.0: precision 0.65, recall 0.65
    assert probabilistic_f1([1, 1, 0, 0], [0.9, 0.4, 0.5, 0.2]) == pytest.approx(0.65)
    assert probabilistic_f1([1, 0], [0.0, 0.3]) == 0.0


def test_bad_input():
    with pytest.raises(InvalidManifest, match="no positive"):
        precision_recall_curve([0, 0], [0.1, 0.2])
    with pytest.raises(InvalidManifest, match="outside 0–1"):
        probabilistic_f1([0, 1], [0.1, 1.2])
