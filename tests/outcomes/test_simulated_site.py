"""Every figure of the audit of a simulated site is the arithmetic of its truth."""

from __future__ import annotations

import csv
import json

import pytest
from simulated_site import COMPLETE_UNTIL, TODAY, simulate, write_site

from mammolens.outcomes import FIGURES, Reason, Settings, write_audit

POSITIVE = "0345"


@pytest.fixture(scope="module")
def exams():
    return simulate()


@pytest.fixture(scope="module")
def folder(exams, tmp_path_factory):
    place = tmp_path_factory.mktemp("site")
    settings = Settings(complete_until=COMPLETE_UNTIL, draws=200)
    write_audit(*write_site(exams, place), place / "out", settings, today=TODAY)
    return place / "out"


@pytest.fixture(scope="module")
def figures(folder):
    return json.loads((folder / "outcomes.json").read_text("utf-8"))


def arithmetic(exams, is_positive):
    """Numerator and denominator of each figure, straight from the truth."""
    ill = [one for one in exams if one.cancer]
    well = [one for one in exams if not one.cancer]
    called = [one for one in exams if is_positive(one)]
    found = [one for one in called if one.cancer]
    recommended = [one for one in called if one.final == "4"]
    sampled = [one for one in called if one.cancer or one.benign_biopsy]
    invasive = [one for one in found if one.cancer == "invasive"]
    sized = [one for one in invasive if one.size_mm is not None]
    in_situ = [one for one in found if one.cancer == "in_situ"]
    staged = [one for one in invasive if one.nodes is not None]
    small = [one for one in sized if one.size_mm <= 10]
    return {
        "recall_rate": (len(called), len(exams)),
        "detection_rate": (len(found), len(exams)),
        "sensitivity": (len(found), len(ill)),
        "specificity": (sum(not is_positive(one) for one in well), len(well)),
        "false_negative_rate": (len(ill) - len(found), len(exams)),
        "ppv1": (len(found), len(called)),
        "ppv2": (sum(bool(one.cancer) for one in recommended), len(recommended)),
        "ppv3": (sum(bool(one.cancer) for one in sampled), len(sampled)),
        "minimal_cancers": (len(small) + len(in_situ), len(sized) + len(in_situ)),
        "node_negative": (sum(one.nodes == 0 for one in staged), len(staged)),
    }


def check(found, exams, is_positive):
    expected = arithmetic(exams, is_positive)
    assert expected.keys() == FIGURES.keys()
    for key, (top, below) in expected.items():
        if not below:
            assert key not in found
            continue
        one = found[key]
        assert (one["n_positive"], one["n"]) == (top, below), key
        assert one["value"] == pytest.approx(top / below)
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 1


def by_reader(one):
    return one.category in POSITIVE


def by_ai(one):
    return one.ai_category == "high"


def test_site_has_20000_exams_and_all_are_accounted_for(exams, figures):
    assert len(exams) == figures["counts"]["exams_in_table"] == 20_000
    assert figures["counts"]["exams"] + sum(figures["excluded"].values()) == 20_000


def test_every_figure_of_the_readers_is_the_truths(exams, figures):
    known = [one for one in exams if one.state == "known"]
    check(figures["readers"], known, by_reader)
    assert figures["counts"]["patients"] == len({one.patient_id for one in known})


@pytest.mark.parametrize("axis", ["reader", "site", "machine", "density", "age"])
def test_every_figure_of_every_group_is_the_truths(exams, figures, axis):
    def group_of(one):
        if axis != "age":
            return getattr(one, axis) or "not known"
        decade = int(one.age) // 10 * 10
        return (
            "below 40"
            if decade < 40
            else "80 or more"
            if decade >= 80
            else f"{decade}–{decade + 9}"
        )

    known = [one for one in exams if one.state == "known"]
    groups = figures["groups"][axis]
    assert {one["group"] for one in groups} == {group_of(one) for one in known}
    for group in groups:
        own = [one for one in known if group_of(one) == group["group"]]
        check(group["readers"], own, by_reader)
        check(group["ai"], [one for one in own if one.ai_category != "failed"], by_ai)


def test_ai_and_readers_are_compared_on_the_same_exams(exams, figures):
    both = [one for one in exams if one.state == "known" and one.ai_category != "failed"]
    compared = figures["comparison"]
    check(compared["readers"], both, by_reader)
    check(compared["ai"], both, by_ai)
    for key, difference in compared["difference"].items():
        ai, readers = compared["ai"][key]["value"], compared["readers"][key]["value"]
        assert difference["value"] == pytest.approx(ai - readers)
        assert difference["low"] <= difference["value"] <= difference["high"]
    failed = sum(one.state == "known" and one.ai_category == "failed" for one in exams)
    assert figures["counts"]["without_ai_answer"] == failed


def test_exams_without_a_known_truth_are_counted_by_reason(exams, figures):
    reasons = {
        "no follow-up": Reason.NO_FOLLOW_UP,
        "unsure": Reason.NOT_KNOWN,
        "contradiction": Reason.CONTRADICTION,
        "known cancer": Reason.KNOWN_CANCER,
        "not assessed": Reason.NOT_ASSESSED,
    }
    states = [one.state for one in exams]
    expected = {reason.value: states.count(state) for state, reason in reasons.items()}
    assert figures["excluded"] == expected
    assert all(expected.values())


def test_interval_cancers_are_all_listed_with_the_ai(exams, folder):
    with (folder / "interval_cancers.csv").open(encoding="utf-8") as stream:
        listed = list(csv.DictReader(stream))
    missed = [o for o in exams if o.state == "known" and o.cancer and not by_reader(o)]
    assert {(one["patient_id"], one["exam_date"]) for one in listed} == {
        (one.patient_id, one.day.isoformat()) for one in missed
    }
    assert [one["ai_category"] for one in listed] == [one.ai_category for one in missed]
    assert {one["days_after"] for one in listed} == {"200"}


def test_every_figure_stands_in_the_csv_with_numbers_and_unit(folder, figures):
    with (folder / "figures.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    own = {r["figure"]: r for r in rows if (r["axis"], r["who"]) == ("all", "readers")}
    assert own.keys() == FIGURES.keys()
    for key, row in own.items():
        assert float(row["value"]) == figures["readers"][key]["value"]
        assert int(row["numerator"]) / int(row["denominator"]) == pytest.approx(float(row["value"]))
        assert row["unit"] == "exam"
    assert {row["axis"] for row in rows} == {"all", "reader", "site", "machine", "density", "age"}


def test_outcomes_of_others_and_of_before_are_listed(folder):
    text = (folder / "unlinked_outcomes.csv").read_text("utf-8")
    assert "stranger,R,2023-01-01,invasive,other site,no exam of this patient" in text
    assert "P00000,R,2019-01-01,benign,older,before the patient's first exam" in text
