"""A remedy mends what was planted, on women that it did not see, and changes no score."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from mammolens.bench.auditing.audit import Rows
from mammolens.bench.auditing.mitigation import _balance, _line, mitigation_section
from mammolens.bench.settings import Remedy
from mammolens.bench.units import ImageResult
from mammolens.core import Scores
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError
from mammolens.model import ModelPackage


@pytest.fixture(scope="module")
def card(package):
    return ModelPackage.load(package).card


def results(tmp_path, seed: int = 0, n: int = 600) -> list[ImageResult]:
    """One image a woman; probabilities are right in A, and too low by 2 in log-odds in B."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        odds = rng.normal(scale=1.8)
        malignant = bool(rng.random() < 1 / (1 + np.exp(-odds)))
        density = "A" if number % 2 else "B"
        said = 1 / (1 + np.exp(-(odds - (2.0 if density == "B" else 0.0))))
        record = Record(
            "made",
            str(number),
            f"w{number}",
            tmp_path / "x.png",
            malignant=malignant,
            density=density,
        )
        found.append(ImageResult(record, Scores(0.0, 1.0 - said, said)))
    return found


def effect(found, group):
    (one,) = [one for one in found["parts"]["made"]["groups"] if one["group"] == group]
    return one


def test_a_recalibration_per_group_mends_the_group_that_is_off(card, tmp_path):
    made = results(tmp_path)
    kept = [one.scores for one in made]
    found = mitigation_section(made, card, Remedy.RECALIBRATE, "density", draws=200)
    off, right = effect(found, "B"), effect(found, "A")
    assert off["observed_over_expected"]["before"]["value"] > 1.6
    assert off["observed_over_expected"]["after"]["value"] == pytest.approx(1.0, abs=0.1)
    assert off["brier"]["change"]["high"] < 0
    assert abs(right["observed_over_expected"]["change"]["value"]) < 0.1
    assert off["auc"]["change"]["value"] == pytest.approx(0.0, abs=0.02)
    assert effect(found, "all")["auc"]["change"]["low"] > 0
    assert found["parts"]["made"]["spread"]["sensitivity"]["change"]["high"] < 0
    assert found["applied"] is False
    assert [one.scores for one in made] == kept
    json.dumps(found, allow_nan=False)


def test_a_threshold_per_group_evens_out_specificity_and_leaves_scores(card, tmp_path):
    found = mitigation_section(results(tmp_path), card, Remedy.THRESHOLDS, "density", draws=200)
    spread = found["parts"]["made"]["spread"]["specificity"]
    assert spread["before"]["value"] > 0.12
    assert spread["after"]["value"] < 0.08
    assert spread["change"]["high"] < 0
    for group in ("A", "B", "all"):
        assert effect(found, group)["brier"]["change"]["value"] == 0.0
        assert effect(found, group)["n"] == (600 if group == "all" else 300)


def test_reweighting_gives_every_group_and_class_the_same_sum(card, tmp_path):
    labels = np.array([1, 0, 0, 0, 1, 1], bool)
    scores = np.linspace(0.1, 0.9, 6)
    rows = Rows(labels, scores, tuple("abcdef"), (), 0, 0, names=tuple("xxxxyy"))
    assert _balance(rows).tolist() == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3, 1.0, 1.0])
    found = mitigation_section(results(tmp_path), card, Remedy.REWEIGHT, "density", draws=50)
    # One line for all cannot part the groups, so that it leaves the ranking as it is.
    assert effect(found, "A")["auc"]["change"]["value"] == pytest.approx(0.0, abs=0.01)
    assert abs(effect(found, "B")["observed_over_expected"]["after"]["value"] - 1) < abs(
        effect(found, "B")["observed_over_expected"]["before"]["value"] - 1
    )


def test_a_fit_has_not_seen_the_women_that_it_is_measured_on(card, tmp_path):
    """Where labels are drawn by lot, a fit on the same women would seem to help."""
    rng = np.random.default_rng(5)
    noise = [
        replace(one, record=replace(one.record, malignant=bool(rng.random() < 0.5), tumour=None))
        for one in results(tmp_path, n=80)
    ]
    found = mitigation_section(noise, card, Remedy.RECALIBRATE, "density", draws=50)
    assert effect(found, "all")["auc"]["after"]["value"] < 0.6


def test_the_line_is_the_penalised_logistic_fit():
    rng = np.random.default_rng(2)
    scores, weights = rng.uniform(0.05, 0.95, 50), rng.uniform(0.5, 2, 50)
    labels = rng.random(50) < scores
    odds = np.log(scores / (1 - scores))

    def loss(at):
        margin = np.where(labels, 1, -1) * (at[0] + at[1] * odds)
        return (weights * np.logaddexp(0, -margin)).sum() + (at[0] ** 2 + (at[1] - 1) ** 2) / 2

    expected = minimize(loss, (0.0, 1.0), tol=1e-12).x
    assert _line(labels, scores, weights) == pytest.approx(tuple(expected), abs=1e-4)


def test_small_groups_are_treated_as_the_whole_and_get_no_figure(card, tmp_path):
    made = results(tmp_path)
    odd = [
        replace(one, record=replace(one.record, density="C")) if number < 6 else one
        for number, one in enumerate(made)
    ]
    found = mitigation_section(odd, card, Remedy.RECALIBRATE, "density", draws=20)
    assert effect(found, "C") == {
        "group": "C",
        "n": 6,
        "n_positive": sum(one.record.malignant for one in made[:6]),
        "note": "too few: treated like the whole",
    }
    few = mitigation_section(made[:12], card, Remedy.RECALIBRATE, "density", draws=20)
    assert "10 patients" in few["parts"]["made"]["note"]


def test_sources_are_one_part_and_unknown_axes_are_refused(card, tmp_path):
    made = results(tmp_path, n=200)
    two = [
        replace(one, record=replace(one.record, dataset=name))
        for one, name in zip(made, ["rsna", "ddsm"] * 100, strict=True)
    ]
    assert list(mitigation_section(two, card, Remedy.THRESHOLDS, "source", draws=20)["parts"]) == [
        "all"
    ]
    with pytest.raises(ConfigError, match="Known are age, breast size, density") as refused:
        mitigation_section(made, card, Remedy.THRESHOLDS, "vendor")
    assert refused.value.keyword == "--mitigate"
