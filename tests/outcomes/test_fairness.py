"""Subgroups over time: false alarms over all looks, real gaps, and the command."""

from __future__ import annotations

import csv
import json
import math
import sys
from datetime import date, timedelta

import numpy as np
import pytest

from mammolens import cli
from mammolens.core import Laterality, TriageCategory
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.comparison import log_evidence, share_sequence
from mammolens.outcomes import (
    AiAnswer,
    Case,
    Exam,
    FairnessSettings,
    Finding,
    Outcome,
    fairness_over_time,
)

ALPHA = 0.05


def test_false_alarms_stay_rare_over_all_looks_where_a_repeated_test_alarms():
    """1,000 streams of 600 exams without any gap, looked at after every exam."""
    rng = np.random.default_rng(1)
    own, usual = 0, 0
    for _ in range(1000):
        hits, members = rng.random(600) < 0.1, rng.random(600) < 0.3
        own += bool((log_evidence(hits, members) >= math.log(1 / ALPHA)).any())
        n = np.maximum(np.array([np.cumsum(members), np.cumsum(~members)]), 1)
        sums = np.array([np.cumsum(hits & members), np.cumsum(hits & ~members)])
        pooled = np.clip(sums.sum(0) / n.sum(0), 1e-9, 1 - 1e-9)
        with np.errstate(invalid="ignore"):
            z = np.subtract(*(sums / n)) / np.sqrt(pooled * (1 - pooled) * (1 / n).sum(0))
        usual += bool((np.abs(z[50:]) > 1.96).any())
    assert own / 1000 <= ALPHA
    assert usual / 1000 > 4 * ALPHA


def test_the_interval_of_a_share_covers_it_at_every_look():
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(100):
        sums = np.cumsum(rng.random(400) < 0.2)
        ranges = (share_sequence(int(sums[n - 1]), n, ALPHA) for n in range(1, 401, 16))
        missed += any(not low <= 0.2 <= high for low, high in ranges)
    assert missed / 100 <= ALPHA


def test_evidence_is_the_ratio_of_the_likelihoods():
    """By hand: 2 of 2 against 0 of 1. B(3, 1) B(1, 2) / max p²(1 − p) = (1/3)(1/2) / (4/27)."""
    found = log_evidence([True, True, False], [True, True, False])
    assert found[-1] == pytest.approx(math.log((1 / 6) / (4 / 27)))
    assert found[0] == pytest.approx(math.log(1 / 2))


def cases(rng, n, miss, patients=None):
    """Exams, a cancer in every fifth; the AI misses it with the chance `miss` of the machine."""
    made = []
    for number in range(n):
        machine = str(rng.choice(list(miss)))
        cancer = number % 5 == 0
        wrong = rng.random() < (miss[machine] if cancer else 0.1)
        category = TriageCategory.HIGH if cancer != wrong else TriageCategory.LOW
        day = date(2022, 1, 1) + timedelta(number // 4)
        who = f"P{number % (patients or n)}"
        exam = Exam(
            f"S{number}",
            who,
            day,
            {Laterality.LEFT: "2"},
            machine=machine,
            age_years=55,
            ai=AiAnswer(category),
        )
        cancers = (Outcome(who, Laterality.LEFT, day, Finding.INVASIVE),) if cancer else ()
        made.append(Case(exam, cancers))
    return made


def test_a_real_gap_raises_an_alarm_that_stays():
    rng = np.random.default_rng(3)
    all_cases = cases(rng, 2000, {"A": 0.1, "B": 0.6})
    settings = FairnessSettings(by=("machine", "age"))
    found = fairness_over_time(all_cases, settings)
    alarms = {(row["group"], row["figure"]) for row in found["figures"] if row["alarm"]}
    assert {("A", "sensitivity"), ("B", "sensitivity")} <= alarms
    assert not any(figure == "specificity" for _, figure in alarms)
    (row,) = (r for r in found["figures"] if (r["group"], r["figure"]) == ("B", "sensitivity"))
    assert row["always_low"] <= row["difference"] <= row["always_high"] < 0
    assert "Sensitivity is lower for machine B" in row["words"]
    assert row["others"]["n"] + row["n"] == 400
    until = date.fromisoformat(row["alarm_since"])
    earlier = [one for one in all_cases if one.exam.day <= until]
    again = fairness_over_time(earlier, settings)["figures"]
    (same,) = (r for r in again if (r["group"], r["figure"]) == ("B", "sensitivity"))
    assert same["alarm_since"] == row["alarm_since"]
    assert not any(row["axis"] == "age" for row in found["figures"])


def test_the_whole_table_alarms_rarely_without_a_gap():
    rng = np.random.default_rng(4)
    equal = {"A": 0.3, "B": 0.3, "C": 0.3}
    found = [
        fairness_over_time(cases(rng, 200, equal), FairnessSettings(by=("machine",)))["alarms"]
        for _ in range(20)
    ]
    assert sum(map(bool, found)) <= 4  # 20 × 0.05, and three more by chance


def test_each_patient_counts_once_and_a_failed_answer_not_at_all():
    rng = np.random.default_rng(5)
    some = cases(rng, 600, {"A": 0.2, "B": 0.2}, patients=150)
    rows = fairness_over_time(some, FairnessSettings(by=("machine",)))["figures"]
    (recall,) = (r for r in rows if (r["group"], r["figure"]) == ("A", "recall_rate"))
    assert recall["n"] + recall["others"]["n"] == 150
    failed = [
        Case(
            Exam(
                f"S{n}",
                f"P{n}",
                date(2022, 1, 1),
                {None: "2"},
                machine="A",
                ai=AiAnswer(TriageCategory.FAILED),
            ),
            (),
        )
        for n in range(5)
    ]
    with pytest.raises(InvalidManifest, match="no exam has a known truth and an answer of the ai"):
        fairness_over_time(failed, FairnessSettings())


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="'nurse' is not judged"):
        FairnessSettings(who="nurse")
    with pytest.raises(ConfigError, match=r"1.5 is not a chance"):
        FairnessSettings(alpha=1.5)
    with pytest.raises(ConfigError, match="cannot be grouped by 'machin'"):
        fairness_over_time([], FairnessSettings(by=("machin",)))


def test_the_command_writes_figures_and_says_what_no_alarm_means(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(6)
    exams, outcomes = [], []
    for case in cases(rng, 400, {"A": 0.05, "B": 0.9}):
        one = case.exam
        exams.append(
            [
                f"I{one.study_id}",
                one.patient_id,
                one.study_id,
                "L",
                "2",
                one.machine,
                55,
                one.day,
                one.ai.category.value,
            ]
        )
        outcomes += [[o.patient_id, "L", o.day, "invasive"] for o in case.cancers]
    outcomes.append(["P1", "L", "2025-12-31", "benign"])
    head = "image_id patient_id study_id laterality birads machine age exam_date ai_category"
    for name, columns, rows in (
        ("exams", head.split(), exams),
        ("outcomes", ["patient_id", "side", "date", "outcome"], outcomes),
    ):
        with (tmp_path / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([columns, *rows])
    line = ["mammolens", "outcomes", "fairness", "--exams", tmp_path / "exams.csv", "--outcomes"]
    line += [tmp_path / "outcomes.csv", "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in line])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    shown = " ".join(capsys.readouterr().out.split())
    assert "Sensitivity is lower for machine B" in shown
    assert "does not prove that there is no difference" in shown
    found = json.loads((tmp_path / "out/fairness.json").read_text("utf-8"))
    rows = (tmp_path / "out/fairness.csv").read_text("utf-8").splitlines()[1:]
    assert len(rows) == found["n_tests"]
    assert "not a medical device" in found["notice"]
