"""Temperature, mean and age of validation images."""

from pathlib import Path

import numpy as np
import pytest

from mammolens.bench.packaging.calibrate import calibrate, calibrated
from mammolens.data.manifest import Record


def held_out(n=800, per_decade=0.6, ages=True, seed=0, scale=2.0):
    """Logits that are `scale` times too bold, and labels that know the age too."""
    rng = np.random.default_rng(seed)
    age = rng.normal(58, 11, n).clip(31, 88).round()
    odds = rng.normal(-0.4, 1.0, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-(odds + per_decade * (age - 58) / 10)))
    records = [
        Record(
            "a" if i % 2 else "b",
            str(i),
            f"p{i // 2}",
            Path("x"),
            tumour=bool(ill[i]) or None,
            malignant=bool(ill[i]),
            age_years=float(age[i]) if ages else None,
        )
        for i in range(n)
    ]
    logits = np.stack([np.full(n, np.log(0.5)), np.full(n, np.log(0.5)), odds], 1) * scale
    return logits, records


def slope_of(probabilities, records):
    import statsmodels.api as sm

    odds = np.log(probabilities[:, 2] / (1 - probabilities[:, 2]))
    labels = np.array([r.malignant for r in records], float)
    return sm.GLM(labels, sm.add_constant(odds), family=sm.families.Binomial()).fit().params[1]


def test_age_is_found_beside_the_pictures_and_leaves_the_mean():
    logits, records = held_out()
    fit = calibrate(logits, records, fitted_on="drawn women")
    assert fit.age is not None
    assert fit.age.low < 0.6 < fit.age.high
    assert fit.age.n == 800
    assert fit.age.fitted_on == "drawn women"
    share = np.mean([r.malignant for r in records])
    aged = calibrated(logits, records, fit)
    assert aged[:, 2].mean() == pytest.approx(share, abs=1e-4)
    assert aged.sum(1) == pytest.approx(1.0)
    assert slope_of(aged, records) == pytest.approx(1.0, abs=0.15)
    unknown = [Record(**{**vars(r), "age_years": None}) for r in records]
    bare = calibrated(logits, unknown, fit)
    assert bare[:, 2].mean() == pytest.approx(share, abs=1e-3)
    older = np.array([r.age_years > fit.age.centre_years for r in records])
    assert (aged[older, 2] > bare[older, 2]).all()
    assert (aged[~older, 2] <= bare[~older, 2]).all()


@pytest.mark.parametrize(
    "what", [{"per_decade": 0.0}, {"ages": False}, {"n": 150, "per_decade": 1.0}]
)
def test_age_is_left_out_where_it_says_nothing_sure(what):
    logits, records = held_out(**what)
    assert calibrate(logits, records, fitted_on="x").age is None


def test_age_that_separates_the_labels_is_left_out():
    logits, records = held_out()
    older = [Record(**{**vars(r), "malignant": r.age_years > 60, "tumour": None}) for r in records]
    assert calibrate(np.zeros_like(logits), older, fitted_on="x").age is None


def test_older_women_of_a_data_set_of_ill_ones_prove_nothing():
    rng = np.random.default_rng(3)
    records = [
        Record(
            "ill" if i % 2 else "well",
            str(i),
            f"p{i}",
            Path("x"),
            malignant=bool(rng.random() < (0.8 if i % 2 else 0.2)),
            age_years=float((70 if i % 2 else 50) + rng.integers(-8, 9)),
        )
        for i in range(800)
    ]
    assert calibrate(np.zeros((800, 3)), records, fitted_on="x").age is None
