"""Figures, decisions, workload and curves of made women: against scikit-learn and by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as reference

from mammolens.bench.evidence import FOLDS, Evidence
from mammolens.bench.sections import SECTIONS, judge, warnings_of
from mammolens.bench.sections.figures import task_figures
from mammolens.bench.sections.operating_points import confusions, decide, operating_points
from mammolens.bench.sections.workload import (
    MOST_POINTS,
    curves,
    decision,
    net_benefit_statistic,
    workload,
)
from mammolens.bench.settings import Settings, WantedPoint, parse_point
from mammolens.bench.units import TASKS, UNITS, ImageResult
from mammolens.core import Scores
from mammolens.data.manifest import Split
from mammolens.errors import ConfigError
from mammolens.model import DEFAULT_MODEL, ModelPackage

FEW_DRAWS = Settings(draws=60)


@pytest.fixture(scope="module")
def evidence(make_cohort):
    return Evidence(make_cohort(), FEW_DRAWS)


def rows(evidence, task="malignancy", unit="image"):
    sample = evidence.sample(task, unit)
    return sample.labels, sample.scores


def test_figures_agree_with_scikit_learn_for_every_task_and_unit(evidence):
    found = task_figures(evidence)
    for task in TASKS:
        for unit in UNITS:
            labels, scores = rows(evidence, task, unit)
            figure = found[task][unit]
            expected = {
                "auc": reference.roc_auc_score(labels, scores),
                "partial_auc": reference.roc_auc_score(labels, scores, max_fpr=0.2),
                "average_precision": reference.average_precision_score(labels, scores),
                "brier": reference.brier_score_loss(labels, scores),
                "log_loss": reference.log_loss(labels, scores),
            }
            for name, value in expected.items():
                assert figure[name]["value"] == pytest.approx(value, abs=1e-9), (task, unit, name)
                assert figure[name]["low"] <= value <= figure[name]["high"]
            assert figure["sensitivity_at_specificity"]["0.889"]["value"] > 0.3
            assert set(figure["specificity_at_sensitivity"]) == {"0.869", "0.95"}
            assert figure["n"] == labels.size
            assert (figure["ece"] is None) == (labels.size < 400)


def test_every_section_has_its_n_and_is_json(evidence):
    judged = judge(evidence)
    assert set(judged) == {*TASKS, *SECTIONS}
    json.dumps(judged, allow_nan=False)

    def every(node):
        if isinstance(node, dict):
            if {"value", "low", "high"} == set(node):
                yield node
            for child in node.values():
                yield from every(child)

    def counted(node, above=False):
        """Every interval has an n in a dict above it."""
        above = above or "n" in node
        for child in node.values():
            if isinstance(child, dict):
                if {"value", "low", "high"} == set(child):
                    assert above, node
                else:
                    counted(child, above)

    counted({k: v for k, v in judged.items() if k != "operating_points"})
    for point in judged["operating_points"].values():
        counted(point["malignancy"])
    assert sum(1 for _ in every(judged)) > 150


@pytest.mark.parametrize("text", ["sensitivity=0.95", "specificity=0.9", "recall=0.1", "cost=20"])
def test_wanted_points_are_fixed_on_other_women_and_near_their_goal(make_cohort, text):
    evidence = Evidence(make_cohort(600), Settings(points=(parse_point(text),), draws=20))
    found = operating_points(evidence)[text]
    of_breasts = found["malignancy"]["breast"]
    assert len(of_breasts["thresholds"]) == FOLDS
    assert "four fifths" in of_breasts["fixed_on"]
    kind, _, goal = text.partition("=")
    measured = {"sensitivity": "recall", "recall": "recall_rate"}.get(kind, kind)
    if kind != "cost":
        assert of_breasts[measured]["value"] == pytest.approx(float(goal), abs=0.04)
    assert (
        sum(of_breasts[k] for k in ("true_positive", "false_negative"))
        == of_breasts["n_positive"]
        == 200
    )
    assert found["sensitivity"] == found["malignancy"]["patient"]["recall"]


def test_a_cross_fitted_threshold_never_saw_the_woman_that_it_judges(make_cohort):
    """Move one woman's scores: her own fold's threshold must stay as it was."""
    women = make_cohort(60)
    point = WantedPoint("specificity", 0.9)
    settings = Settings(points=(point,), draws=10)
    before = decide(Evidence(women, settings), "malignancy", "patient", point.name)
    for patient in ("made-2", "made-7"):
        moved = [
            ImageResult(one.record, Scores(0.0, 0.0, 1.0))
            if one.record.patient_id == patient
            else one
            for one in women
        ]
        evidence = Evidence(moved, settings)
        after = decide(evidence, "malignancy", "patient", point.name)
        fold = evidence._folds()[f"made/{patient}"]
        assert after.thresholds[fold] == before.thresholds[fold]
        assert after.thresholds != before.thresholds


def test_a_side_to_fit_on_gives_one_threshold_of_its_own(make_cohort):
    others = make_cohort(seed=5, dataset="made")
    settings = Settings(draws=10, fit_split=Split.VALIDATION)
    evidence = Evidence(make_cohort(), settings, others=others)
    labels, scores = rows(Evidence(others), unit="patient")
    found = operating_points(evidence)["sensitivity=0.95"]
    lowest = np.sort(scores[labels])[::-1][int(np.ceil(0.95 * labels.sum())) - 1]
    below = scores[scores < lowest].max()
    assert below < found["threshold"] <= lowest
    assert found["malignancy"]["patient"]["fixed_on"].startswith("the validation side: 90 units")


def test_the_cards_points_are_judged_as_they_stand(make_cohort):
    card = ModelPackage.load(DEFAULT_MODEL).card
    evidence = Evidence(make_cohort(), FEW_DRAWS, card=card)
    found = operating_points(evidence)
    assert list(found) == ["low", "high", "sensitivity=0.95", "specificity=0.9"]
    labels, scores = rows(evidence, unit="patient")
    called = scores >= card.operating_points.high.threshold
    of_patients = found["high"]["malignancy"]["patient"]
    assert of_patients["mcc"]["value"] == pytest.approx(
        reference.matthews_corrcoef(labels, called), abs=1e-9
    )
    assert found["high"]["threshold"] == card.operating_points.high.threshold
    assert "tumour" not in found["high"]
    assert confusions(evidence)["malignancy"]["high"]["patient"]["true_positive"] == int(
        (labels & called).sum()
    )


def test_three_classes_are_counted_where_the_class_is_known(make_cohort):
    women = make_cohort()
    evidence = Evidence(women, FEW_DRAWS)
    truth = [one.record.allowed.index(True) for one in women]
    called = [
        np.argmax([one.scores.normal, one.scores.benign, one.scores.malignant]) for one in women
    ]
    found = confusions(evidence)["classes"]
    assert found["matrix"] == reference.confusion_matrix(truth, called).tolist()
    assert found["accuracy"]["value"] == reference.accuracy_score(truth, called)
    assert found["recall"]["benign"]["value"] == pytest.approx(
        reference.recall_score(truth, called, average=None)[1]
    )


def test_workload_and_net_benefit_by_hand(evidence):
    labels, scores = rows(evidence, unit="patient")
    found = workload(evidence)["patient"]
    threshold = np.sort(scores[labels])[::-1][int(np.ceil(0.95 * labels.sum())) - 1]
    missed, cleared = (scores[labels] < threshold).mean(), (scores[~labels] < threshold).mean()
    once = 0.005 * missed + 0.995 * cleared
    assert found["read_once_at_sensitivity"]["0.95"]["value"] == pytest.approx(once)
    assert found["read_twice_at_sensitivity"]["0.95"]["value"] == pytest.approx(1 - once)
    assert found["sensitivity_of_first"]["0.1"]["value"] > 0.3

    benefit = decision(evidence)["patient"]
    stands_for = labels.mean()
    assert benefit["probabilities_stand_for"] == stands_for
    odds = scores / (1 - scores) * (0.005 / 0.995) / (stands_for / (1 - stands_for))
    for row in benefit["thresholds"]:
        risk = row["threshold"]
        called = odds >= risk / (1 - risk)
        expected = 0.005 * called[labels].mean()
        expected -= 0.995 * called[~labels].mean() * risk / (1 - risk)
        assert row["model"]["value"] == pytest.approx(expected, abs=1e-9)
        assert row["recall_all"] == pytest.approx(0.005 - 0.995 * risk / (1 - risk))


def test_operating_figures_count_patients_and_not_images(make_cohort):
    women = make_cohort(60)
    several = [  # patients 0 to 14 have every image three times
        replace(one, record=replace(one.record, image_id=f"{one.record.image_id}-{copy}"))
        for one in women
        for copy in range(3 if int(one.record.patient_id.removeprefix("made-")) < 15 else 1)
    ]
    card = ModelPackage.load(DEFAULT_MODEL).card
    once, often = (
        operating_points(Evidence(images, FEW_DRAWS, card=card))["high"]["malignancy"]["patient"]
        for images in (women, several)
    )
    assert (often["n"], often["n_positive"], often["n_patients"]) == (60, 20, 60)
    assert often == once


def test_weighted_net_benefit_is_that_of_a_weighted_confusion_matrix(make_cohort):
    card = ModelPackage.load(DEFAULT_MODEL).card
    made = Evidence(make_cohort(), FEW_DRAWS, card=card)
    sample = made.sample("malignancy", "patient")
    labels, n = sample.labels, sample.labels.size
    weights = np.random.default_rng(4).integers(0, 4, (5, n)).astype(float)
    odds = sample.scores / (1 - sample.scores)
    odds *= (0.005 / 0.995) / (card.prior_malignant / (1 - card.prior_malignant))
    for risk in (0.0025, 0.005, 0.02):
        found = net_benefit_statistic(made, sample, risk)(weights)
        called = odds >= risk / (1 - risk)
        for benefit, row in zip(found, weights, strict=True):
            tn, fp, fn, tp = reference.confusion_matrix(labels, called, sample_weight=row).ravel()
            expected = 0.005 * tp / (tp + fn) - 0.995 * fp / (fp + tn) * risk / (1 - risk)
            assert benefit == pytest.approx(expected, abs=1e-12)
    assert net_benefit_statistic(made, sample, 0.005)(np.ones((1, n)))[0] > 0


def test_curves_are_short_and_keep_their_ends_and_their_area(make_cohort):
    evidence = Evidence(make_cohort(400), FEW_DRAWS)
    found = curves(evidence)["malignancy"]["image"]
    labels, scores = rows(evidence)
    for name in ("roc", "precision_recall", "reliability"):
        lengths = {len(column) for column in found[name].values()}
        assert len(lengths) == 1
        assert max(lengths) <= MOST_POINTS
    rates, hits = found["roc"]["false_positive_rate"], found["roc"]["true_positive_rate"]
    assert (rates[0], hits[0], rates[-1], hits[-1]) == (0, 0, 1, 1)
    assert found["roc"]["thresholds"][0] is None
    area = reference.auc(rates, hits)
    assert area == pytest.approx(reference.roc_auc_score(labels, scores), abs=5e-3)
    bins = found["reliability"]
    assert sum(bins["n"]) == labels.size
    for low, observed, high in zip(bins["low"], bins["observed"], bins["high"], strict=True):
        assert low <= observed + 1e-4
        assert observed <= high + 1e-4


@pytest.mark.parametrize(
    "text", ["sensitivity=1.5", "recall=0", "cost=-1", "cost=x", "auc=0.9", ""]
)
def test_impossible_points_are_refused_by_name(text):
    with pytest.raises(ConfigError, match=r"\[point\].*Give sensitivity=0\.95"):
        parse_point(text)


@pytest.mark.parametrize("setting", [{"prevalence": 0.0}, {"coverage": 1.0}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        Settings(**setting)


def only(women, kept):
    return [one for one in women if kept(one.record)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda women: only(women, lambda record: not record.malignant),
        lambda women: only(women, lambda record: record.malignant),
        lambda women: women[:1],
        lambda women: women[:8],
        lambda women: [ImageResult(one.record, Scores(0.5, 0.25, 0.25)) for one in women],
        lambda women: only(women, lambda record: record.patient_id in ("made-0", "made-1")),
    ],
    ids=["no ill", "no well", "one image", "two women", "constant", "one of each"],
)
def test_poor_data_give_notes_and_no_figure_from_nowhere(make_cohort, spoil):
    evidence = Evidence(spoil(make_cohort(30)), Settings(draws=20))
    judged = judge(evidence)
    json.dumps(judged, allow_nan=False)
    for task in TASKS:
        for unit in UNITS:
            figure = judged[task][unit]
            sample = evidence.sample(task, unit)
            assert figure["n"] == len(sample.units)
            if sample.one_class:
                assert figure["auc"] is figure["brier"] is None
                assert "no AUC" in figure["note"]
                assert judged["curves"][task][unit] == {}


def test_constant_scores_and_few_cases_are_warned_of_loudly(make_cohort):
    women = [ImageResult(one.record, Scores(0.5, 0.25, 0.25)) for one in make_cohort(27)]
    evidence = Evidence(women, FEW_DRAWS)
    figure = task_figures(evidence)["malignancy"]["patient"]
    assert figure["auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert "few positives: 9" in figure["note"]
    assert "all 27 scores are the same" in figure["note"]
    warned = warnings_of(evidence, "made")
    assert any(
        w.startswith("WARNING: made, malignancy: 9 positive by breast, 9 positive by patient")
        for w in warned
    )
    assert any(
        w == "WARNING: made: every image has the same scores: they say nothing" for w in warned
    )


def test_unknown_sides_and_patients_are_told(make_cohort):
    def bare(one, **changes):
        return ImageResult(type(one.record)(**{**vars(one.record), **changes}), one.scores)

    women = make_cohort(30)
    placeless = [bare(one, laterality=None) for one in women]
    assert any(
        "120 of 120 images have no laterality" in w for w in warnings_of(Evidence(placeless), "x")
    )
    lone = [bare(one, patient_id=one.record.image_id) for one in women]
    assert "every image is a patient of its own" in warnings_of(Evidence(lone), "x")[0]
    assert warnings_of(Evidence(women), "x") == []
