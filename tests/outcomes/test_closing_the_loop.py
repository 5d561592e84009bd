"""Outcomes as labels, exams to label next, and proposals with their expected effect."""

from __future__ import annotations

import csv
from datetime import date, timedelta

import numpy as np
import pytest

from mammolens.core import Laterality, TriageCategory
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.outcomes import (
    AiAnswer,
    Case,
    Exam,
    Finding,
    Outcome,
    ai_rule,
    choose,
    compare_models,
    positive_rule,
    propose,
    write_outcome_manifest,
)

RULE, CALLED = positive_rule("5th"), ai_rule("high")[1]
DAY = date(2024, 1, 10)


def case(number, cancer=False, birads="1", score=0.1, category="low"):
    ai = AiAnswer(TriageCategory(category), {Laterality.LEFT: score})
    exam = Exam(f"1.{number}", f"P{number}", DAY, {Laterality.LEFT: birads}, ai=ai)
    found = Outcome(f"P{number}", Laterality.LEFT, DAY + timedelta(90), Finding.INVASIVE)
    return Case(exam, (found,) if cancer else ())


EXAMS = """\
dataset,image_id,patient_id,study_id,path,laterality,view,birads,exam_date
n,a1,P1,1.1,a1.dcm,L,CC,4,2024-01-10
n,a2,P1,1.1,a2.dcm,R,CC,1,2024-01-10
n,b1,P2,1.2,b1.dcm,L,CC,1,2024-01-10
n,b2,P2,1.2,b2.dcm,R,CC,1,2024-01-10
n,c1,P3,1.3,c1.dcm,L,CC,1,2025-12-01
n,d1,P4,1.4,d1.dcm,L,CC,4,2024-01-10
n,e1,P5,1.5,e1.dcm,L,CC,4,2024-01-10
"""
OUTCOMES = """\
patient_id,side,date,outcome
P1,L,2024-02-01,benign
P2,L,2024-09-01,invasive
P4,L,2024-02-01,unsure
P5,,2024-02-01,invasive
"""


def test_outcomes_become_labels_and_what_is_not_known_is_left_out(tmp_path):
    exams, outcomes = tmp_path / "exams.csv", tmp_path / "outcomes.csv"
    exams.write_text(EXAMS)
    outcomes.write_text(OUTCOMES)
    made, counts = write_outcome_manifest(
        exams, outcomes, tmp_path / "m.csv", date(2026, 1, 1), date(2026, 2, 1)
    )
    rows = {row["image_id"]: row for row in csv.DictReader(made.read_text().splitlines())}
    labels = {name: (row["tumour"], row["malignant"]) for name, row in rows.items()}
    assert labels == {"a1": ("1", "0"), "a2": ("", "0"), "b1": ("1", "1"), "b2": ("", "0")}
    assert rows["b1"]["note"] == "cancer 235 days after a negative answer"
    assert counts["left out"] == 3  # no year of follow-up, unsure, and a cancer without a side


def test_half_is_random_and_half_are_disagreements_and_misses():
    quiet = [case(n) for n in range(80)]
    loud = [case(100 + n, category="high") for n in range(20)]  # the reader said 1
    missed = [case(200 + n, cancer=True) for n in range(5)]
    cases = [*quiet, *loud, *missed]
    exams = [one.exam for one in cases]
    chosen = choose(exams, cases, RULE, CALLED, 20, np.random.default_rng(1))
    why = [word for one in chosen for word in one.why]
    assert why.count("random") == 10
    assert why.count("disagreement") + why.count("interval cancer") == 10
    assert len({one.exam.study_id for one in chosen}) == len(chosen)


def test_the_kept_probability_is_the_share_of_draws():
    cases = [*(case(n) for n in range(16)), *(case(100 + n, category="high") for n in range(8))]
    exams = [one.exam for one in cases]
    hits, said = dict.fromkeys((e.study_id for e in exams), 0), {}
    draws = 3000
    for seed in range(draws):
        for one in choose(exams, cases, RULE, CALLED, 8, np.random.default_rng(seed)):
            hits[one.exam.study_id] += 1
            said[one.exam.study_id] = one.probability
    for name, probability in said.items():
        assert hits[name] / draws == pytest.approx(probability, abs=0.04)
    # so the weighted number of exams is unbiased
    assert sum(hits[name] / said[name] for name in hits) / draws == pytest.approx(24, rel=0.02)


def test_more_exams_than_there_are_cannot_be_chosen():
    with pytest.raises(ConfigError, match="cannot be chosen"):
        choose([case(1).exam], [], RULE, CALLED, 2, np.random.default_rng(0))


def simulated(n=600, seed=2):
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(n):
        cancer = bool(rng.random() < 0.15)
        score = float(1 / (1 + np.exp(-(rng.normal(1.5 if cancer else -1.5, 1.2)))))
        category = "high" if score > 0.9 else "low"  # far too high a threshold
        cases.append(case(number, cancer, score=score, category=category))
    return cases


def test_a_threshold_is_proposed_with_its_effect_and_never_applied():
    cases = simulated()
    found = propose(cases, [CALLED(one.exam.ai) for one in cases], 0.90)
    assert found["applied"] is False
    threshold = found["threshold"]
    assert threshold["proposed"] < 0.9
    expected = threshold["expected"]
    assert expected["specificity"]["value"] == pytest.approx(0.90, abs=0.03)
    gain = threshold["difference"]["sensitivity"]
    assert gain["low"] > 0.1
    direct = expected["sensitivity"]["value"] - threshold["now"]["sensitivity"]["value"]
    assert gain["value"] == pytest.approx(direct)
    loss = threshold["difference"]["specificity"]["value"]
    assert loss == pytest.approx(
        expected["specificity"]["value"] - threshold["now"]["specificity"]["value"]
    )


def test_recalibration_of_scores_that_are_too_high_brings_them_near_what_was_seen():
    found = propose(simulated(), [True] * 600, 0.9)["recalibration"]
    before, after = (found[when]["observed_over_expected"]["value"] for when in ("now", "expected"))
    assert abs(after - 1) < abs(before - 1)
    assert found["expected"]["brier"]["value"] < found["now"]["brier"]["value"]


def test_exams_without_a_score_are_counted_and_left_out():
    cases = simulated()
    answers = [CALLED(one.exam.ai) for one in cases]
    assert propose(cases, [None, *answers[1:]], 0.9)["exams_without_score"] == 1


def test_few_cancers_allow_no_proposal():
    with pytest.raises(InvalidManifest, match="needs 20 with and 20 without"):
        propose([case(n, cancer=n < 5) for n in range(100)], [False] * 100, 0.9)


def test_models_are_compared_on_the_same_exams():
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.2
    good, bad = truth + rng.normal(0, 0.5, 400), truth + rng.normal(0, 2.0, 400)
    scores, called = {"new": good, "old": bad}, {"new": good > 0.5, "old": bad > 0.5}
    patients = [str(n // 2) for n in range(400)]
    found = compare_models(truth, scores, called, patients)
    assert found["auc"]["difference"]["low"] > 0
    rates = found["rates"]
    assert found["rate_differences"]["sensitivity"]["value"] == pytest.approx(
        rates["new"]["sensitivity"]["value"] - rates["old"]["sensitivity"]["value"]
    )
    with pytest.raises(InvalidManifest, match="have a cancer"):
        compare_models(np.zeros(4, bool), scores, called, ["1"] * 4)
