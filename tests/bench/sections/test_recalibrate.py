"""Recalibration and unsure answers: fitted on other women, and right about made truths."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.recalibration import conformal, recalibration
from mammolens.bench.settings import Settings
from mammolens.bench.units import ImageResult
from mammolens.core import Scores
from mammolens.data.manifest import Record, Split


@cache
def women(n, sharpness, seed=0):
    """One image a woman; her risk is known, and stated with log-odds `sharpness` times as large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-odds))
    stated = 1 / (1 + np.exp(-sharpness * odds))
    return [
        ImageResult(
            Record("made", str(i), str(i), Path("x.png"), malignant=bool(ill[i])),
            Scores(1 - stated[i], 0.0, stated[i]),
        )
        for i in range(n)
    ]


def evidence(sharpness=3.0, n=900, **settings):
    return Evidence(women(n, sharpness), Settings(draws=200, **settings), tasks=("malignancy",))


def test_a_model_too_sure_of_itself_is_mended_by_both():
    found = recalibration(evidence())["image"]
    assert found["n"] == found["n_patients"] == 900
    assert "four fifths" in found["fitted_on"]
    assert found["before"]["slope"]["value"] == pytest.approx(1 / 3, abs=0.05)
    for method in ("temperature", "isotonic"):
        debiased = [found["before"]["ece_debiased"], found[method]["after"]["ece_debiased"]]
        assert debiased[0]["low"] > debiased[1]["high"]
        for figure in ("brier", "log_loss", "ece"):
            assert found[method]["difference"][figure]["high"] < 0, (method, figure)
            assert found[method]["difference"][figure]["value"] == pytest.approx(
                found[method]["after"][figure]["value"] - found["before"][figure]["value"]
            )
    assert found["temperature"]["after"]["slope"]["value"] == pytest.approx(1, abs=0.05)


def test_a_sound_model_is_not_made_better_by_chance():
    found = recalibration(evidence(sharpness=1.0))["image"]
    assert abs(found["temperature"]["difference"]["brier"]["value"]) < 1e-3
    assert found["isotonic"]["difference"]["brier"]["high"] > 0
    assert found["before"]["ece_debiased"]["low"] == 0.0


def test_isotonic_on_a_named_side_is_that_of_scikit_learn():
    others = women(400, 2.0, seed=8)
    settings = Settings(draws=20, fit_split=Split.VALIDATION)
    made = Evidence(women(300, 2.0), settings, others, None, ("malignancy",))
    found = recalibration(made)["image"]
    assert found["fitted_on"].startswith("the validation side: 400 units")
    fitted = IsotonicRegression(out_of_bounds="clip").fit(
        [one.scores.malignant for one in others], [one.record.malignant for one in others]
    )
    sample = made.sample("malignancy", "image")
    expected = np.clip(fitted.predict(sample.scores), 1 / 402, 401 / 402)
    assert found["isotonic"]["after"]["brier"]["value"] == pytest.approx(
        brier_score_loss(sample.labels, expected), abs=1e-6
    )


def test_answers_hold_the_truth_as_often_as_promised_of_each_class():
    for coverage in (0.8, 0.9):
        found = conformal(evidence(coverage=coverage))["malignancy"]["patient"]
        assert found["promised"] == coverage
        for name in ("coverage_positive", "coverage_negative"):
            assert found[name]["value"] == pytest.approx(coverage, abs=0.03)
            assert found[name]["low"] < coverage < found[name]["high"]
        assert 0 < found["unsure"]["value"] < 1
    assert found["n"] == 900


def test_more_is_promised_by_being_unsure_more_often():
    shares = [
        conformal(evidence(coverage=c))["malignancy"]["patient"]["unsure"]["value"]
        for c in (0.7, 0.9, 0.97)
    ]
    assert shares == sorted(shares)
    assert shares[2] > shares[0] + 0.3


def test_too_few_women_give_no_answer_and_say_why():
    found = conformal(evidence(n=14))["malignancy"]["patient"]
    assert "cannot promise a coverage of 0.9" in found["note"]
    assert "unsure" not in found
    found = recalibration(evidence(n=4))["image"]
    assert found["note"].startswith("no recalibration")
    assert found["n"] == 4
