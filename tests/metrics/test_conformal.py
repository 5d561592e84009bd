"""The promise is kept on rows of the same kind, per class; too few rows make no promise."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    ConformalAnswer,
    ConformalRule,
    conformal_answers,
    fit_conformal,
)


def coverage_of(rule, labels, probabilities):
    """Shares of positives and of negatives whose answer holds the truth, and of unsure rows."""
    answers = conformal_answers(rule, probabilities)
    unsure = answers == "unsure"
    held = unsure | (labels == (answers == "positive"))
    return held[labels].mean(), held[~labels].mean(), unsure.mean()


def sample(rng, n):
    labels = rng.random(n) < 0.3
    return labels, 1 / (1 + np.exp(-rng.normal(np.where(labels, 0.8, -0.8), 1.0)))


@pytest.mark.parametrize("promised", [0.8, 0.95])
def test_mean_coverage_over_many_samples(promised):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        rule = fit_conformal(*sample(rng, 200), promised)
        found.append(coverage_of(rule, *sample(rng, 400))[:2])
    positive, negative = np.mean(found, axis=0)
    assert promised - 0.005 <= positive <= promised + 0.03
    assert promised - 0.005 <= negative <= promised + 0.03


def test_a_better_model_is_less_often_unsure():
    rng = np.random.default_rng(1)
    labels = rng.random(600) < 0.4
    shares = []
    for separation in (0.5, 3.0):
        scores = 1 / (1 + np.exp(-rng.normal(np.where(labels, 1, -1) * separation, 1.0)))
        rule = fit_conformal(labels[:300], scores[:300])
        shares.append(coverage_of(rule, labels[300:], scores[300:])[2])
    assert shares[0] > 0.5 > 0.2 > shares[1]


def test_a_row_unlike_both_classes_is_unsure():
    rule = ConformalRule(least_positive=0.7, least_negative=0.7, coverage=0.5, n=(9, 9))
    assert conformal_answers(rule, [0.5]).tolist() == [ConformalAnswer.UNSURE.value]


def test_too_few_rows_promise_nothing():
    with pytest.raises(InvalidManifest, match="5 positive rows cannot promise") as caught:
        fit_conformal([1] * 5 + [0] * 50, np.linspace(0, 1, 55), 0.9)
    assert "at least 9 rows" in str(caught.value)
