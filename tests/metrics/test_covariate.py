"""What a covariate adds, against statsmodels and by its meaning."""

import numpy as np
import pytest

from mammolens.errors import InvalidManifest
from mammolens.metrics import added_log_odds


def women(n=600, slope=0.5, seed=0):
    rng = np.random.default_rng(seed)
    age, image = rng.normal(6, 1, n), rng.normal(0, 1, n)
    group = np.where(rng.random(n) < 0.4, "film", "digital")
    odds = image + slope * age - 3 + 1.5 * (group == "film")
    return rng.random(n) < 1 / (1 + np.exp(-odds)), image, age, group.tolist()


def test_it_is_a_logistic_regression_with_an_offset():
    sm = pytest.importorskip("statsmodels.api", reason="needs statsmodels")
    labels, image, age, group = women()
    design = np.column_stack([age, [g == "film" for g in group], np.ones(len(age))])
    fitted = sm.GLM(
        labels.astype(float), design.astype(float), family=sm.families.Binomial(), offset=image
    ).fit()
    found = added_log_odds(labels, image, age, group, range(len(age)), draws=100)
    assert found.value == pytest.approx(fitted.params[0], abs=1e-4)
    spread = 1.96 * fitted.bse[0]
    assert found.high - found.low == pytest.approx(2 * spread, rel=0.35)
    assert found.low < 0.5 < found.high


def test_a_covariate_that_only_separates_groups_has_no_slope():
    rng = np.random.default_rng(1)
    group = ["old" if i % 2 else "young" for i in range(800)]
    labels = rng.random(800) < np.where(np.arange(800) % 2, 0.8, 0.2)
    age = np.where(np.arange(800) % 2, 7.0, 5.0) + rng.normal(0, 0.5, 800)
    found = added_log_odds(labels, np.zeros(800), age, group, range(800), draws=100)
    assert found.low < 0 < found.high


def test_images_of_one_patient_are_drawn_together():
    labels, image, age, group = women(150)
    single = added_log_odds(labels, image, age, group, range(150), draws=200)
    doubled = added_log_odds(
        np.repeat(labels, 4),
        np.repeat(image, 4),
        np.repeat(age, 4),
        np.repeat(group, 4).tolist(),
        np.repeat(np.arange(150), 4).tolist(),
        draws=200,
    )
    assert doubled.value == pytest.approx(single.value, abs=1e-3)
    assert doubled.high - doubled.low == pytest.approx(single.high - single.low, rel=0.05)


def test_a_covariate_that_separates_the_classes_cannot_be_estimated():
    age = np.random.default_rng(2).normal(6, 1, 300)
    assert added_log_odds(age > 6.2, np.zeros(300), age, ["x"] * 300, range(300), draws=20) is None


def test_a_draw_that_cannot_be_estimated_is_replaced_and_counted():
    age, labels = np.arange(12.0), np.arange(12) > 5
    labels[[3, 8]] = [True, False]  # a draw without both of them is separated by age
    found = added_log_odds(labels, np.zeros(12), age, ["x"] * 12, range(12), draws=100)
    assert found.redrawn > 5
    assert found.draws == 100
    assert found.high < 20, "a slope that ran away is in the interval"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [1.0, np.nan]}, "not finite"),
        ({"groups": ["x"]}, "do not pair"),
        ({"labels": [1, 1]}, "alike"),
    ],
)
def test_data_that_cannot_be_fitted_are_refused(change, message):
    given = {"labels": [0, 1], "log_odds": [0.0, 0.0], "values": [1.0, 2.0], "groups": ["x", "x"]}
    with pytest.raises(InvalidManifest, match=message):
        added_log_odds(**(given | change), patients=["a", "b"])
