"""Small tables with one answer: linking, editions, and every kind of bad input."""

from __future__ import annotations

import json
from datetime import date

import pytest

from mammolens.core import Laterality
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.outcomes import (
    CRITERIA,
    Finding,
    Outcome,
    Reason,
    Settings,
    read_outcomes,
    write_audit,
)

TODAY = date(2026, 6, 30)
HEAD = "patient_id,study_id,laterality,birads,exam_date,reader,without_ai"
OUTCOME_HEAD = "patient_id,side,date,outcome,size_mm,nodes_positive,nodes_examined,source"
FOUND = "p1,R,2023-02-01,invasive,8,0,2,a"
"""A cancer of the first exam below."""
EXAMS = ("p1,s1,R,4,2023-01-10,Ames,1", "p1,s1,L,1,2023-01-10,Ames,1")


@pytest.fixture
def audited(tmp_path):
    """Audit rows of exams and outcomes."""

    def audit(exams, outcomes, exam_head=HEAD, **settings):
        (tmp_path / "exams.csv").write_text("\n".join([exam_head, *exams]) + "\n", "utf-8")
        (tmp_path / "outcomes.csv").write_text("\n".join([OUTCOME_HEAD, *outcomes]) + "\n", "utf-8")
        asked = {"complete_until": date(2026, 3, 31), "draws": 20} | settings
        paths = (tmp_path / "exams.csv", tmp_path / "outcomes.csv", tmp_path / "out")
        write_audit(*paths, Settings(**asked), today=TODAY)
        return json.loads((tmp_path / "out/outcomes.json").read_text("utf-8"))

    return audit


def test_without_outcomes_nothing_is_computed(audited):
    with pytest.raises(InvalidManifest, match="no outcomes"):
        audited(EXAMS, [])


def test_without_exams_nothing_is_computed(audited):
    with pytest.raises(InvalidManifest, match="no exams"):
        audited([], [FOUND])


def test_outcomes_of_other_patients_alone_are_refused(audited):
    with pytest.raises(InvalidManifest, match="none of the 1 patients with outcomes"):
        audited(EXAMS, ["p9,R,2023-02-01,invasive,8,0,2,a"])


def test_outcome_of_another_patient_is_set_aside(audited):
    found = audited(EXAMS, [FOUND, "p9,R,2023-02-01,invasive,8,0,2,a"])
    assert found["counts"]["unlinked_outcomes"] == 1
    assert found["counts"]["true_positives"] == 1


def test_outcome_before_the_exam_is_no_outcome_of_it(audited):
    found = audited(EXAMS, ["p1,R,2022-12-01,invasive,8,0,2,a"])
    assert found["counts"]["unlinked_outcomes"] == 1
    assert found["counts"]["false_positives"] == 1


@pytest.mark.parametrize(("day", "linked"), [("2024-01-10", 1), ("2024-01-11", 0)])
def test_a_cancer_counts_for_365_days(audited, day, linked):
    assert audited(EXAMS, [f"p1,R,{day},invasive,8,0,2,a"])["counts"]["true_positives"] == linked


def test_a_cancer_of_the_next_screen_is_not_the_earlier_ones(audited):
    later = "p1,s2,R,0,2023-12-01,Ames,1"
    found = audited([*EXAMS, later], ["p1,R,2023-12-20,invasive,8,0,2,a"])
    counts = found["counts"]
    assert (counts["true_positives"], counts["false_positives"]) == (1, 1)


def test_an_exam_soon_after_another_is_no_screen(audited):
    found = audited([*EXAMS, "p1,s2,R,2,2023-07-10,Ames,1"], [FOUND])
    assert found["excluded"] == {Reason.TOO_SOON.value: 1}


def test_two_exams_on_one_day_are_left_out(audited):
    later = ["p2,s3,R,2,2023-07-10,Ames,1", "p2,s4,R,1,2023-07-10,Ames,1"]
    assert audited([*EXAMS, *later], [FOUND])["excluded"] == {Reason.SAME_DAY.value: 2}


def test_an_exam_without_a_year_of_follow_up_is_not_negative(audited):
    found = audited([*EXAMS, "p2,s2,R,1,2025-05-01,Ames,1"], [FOUND])
    assert found["excluded"] == {Reason.NO_FOLLOW_UP.value: 1}
    assert found["counts"]["true_negatives"] == 0


@pytest.mark.parametrize("said", ["unsure", "unsatisfactory"])
def test_an_unknown_outcome_is_not_negative(audited, said):
    exams = [*EXAMS, "p2,s2,R,4,2023-05-01,Ames,1"]
    rows = [FOUND, f"p2,R,2023-05-09,{said},,,,b"]
    assert audited(exams, rows)["excluded"] == {Reason.NOT_KNOWN.value: 1}
    replaced = audited(exams, [*rows, "p2,R,2023-06-09,benign,,,,c"])
    assert replaced["counts"]["false_positives"] == 1
    other_breast = audited(exams, [*rows, "p2,L,2023-06-09,benign,,,,c"])
    assert other_breast["excluded"] == {Reason.NOT_KNOWN.value: 1}


def test_one_source_that_contradicts_itself_leaves_the_exam_out(audited):
    exams = [*EXAMS, "p2,s2,R,4,2023-05-01,Ames,1"]
    rows = [FOUND, "p2,R,2023-05-09,benign,,,,b"]
    contradicted = audited(exams, [*rows, "p2,R,2023-05-09,invasive,,,,b"])
    assert contradicted["excluded"] == {Reason.CONTRADICTION.value: 1}
    two_specimens = audited(exams, [*rows, "p2,R,2023-05-09,invasive,,,,c"])
    assert two_specimens["counts"]["true_positives"] == 2


def test_equal_outcomes_are_one(audited):
    assert audited(EXAMS, [FOUND, FOUND])["counts"]["true_positives"] == 1


def test_an_unknown_reader_is_a_group_of_its_own(audited):
    groups = audited([*EXAMS, "p2,s2,R,1,2023-05-01,,1"], [FOUND])["groups"]["reader"]
    assert [one["group"] for one in groups] == ["Ames", "not known"]


def test_recall_of_the_other_breast_is_counted(audited):
    found = audited(EXAMS, ["p1,L,2023-02-01,in_situ,,,,a"])
    assert found["counts"]["found_in_other_breast"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p2,s2,R,1,2027-01-01,Ames,1", "not in the future"),
        ("p2,s2,R,1,03/04/2023,Ames,1", "a date like"),
        ("p2,s2,R,1,2023-02-30,Ames,1", "a date like"),
        ("p2,s2,R,1,,Ames,1", "the day of the exam"),
        ("p2,s2,R,7,2023-05-01,Ames,1", "a BI-RADS category"),
        ("p1,s1,L,2,2023-01-10,Ames,1", "is there with '1'"),
        ("p1,s1,L,1,2023-01-10,Cho,1", "is there with 'Ames'"),
        ("p2,s1,L,1,2023-01-10,Ames,1", "is there with 'p1'"),
    ],
)
def test_wrong_exams_are_refused_with_line_and_remedy(audited, row, message):
    with pytest.raises(InvalidManifest, match=message):
        audited([*EXAMS, row], [FOUND])


def test_an_image_that_is_there_twice_is_refused(audited):
    rows = ["i1,p1,s1,R,4,2023-01-10", "i1,p1,s1,R,4,2023-01-10"]
    with pytest.raises(InvalidManifest, match="twice"):
        audited(rows, [FOUND], "image_id,patient_id,study_id,laterality,birads,exam_date")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p1,R,2027-02-01,invasive,8,0,2,a", "not in the future"),
        ("p1,R,2023-02-01,cancer?,8,0,2,a", "one of benign"),
        ("p1,R,2023-02-01,,8,0,2,a", "write unsure"),
        ("p1,R,,benign,8,0,2,a", "the day of the outcome"),
        ("p1,R,2023-02-01,invasive,-8,0,2,a", "a size in mm"),
        ("p1,R,2023-02-01,invasive,8,3,2,a", "at most the number of examined nodes"),
        ("p1,X,2023-02-01,invasive,8,0,2,a", "one of l, left"),
        (",R,2023-02-01,invasive,8,0,2,a", "an identifier"),
    ],
)
def test_wrong_outcomes_are_refused_with_line_and_remedy(audited, row, message):
    with pytest.raises(InvalidManifest, match=message):
        audited(EXAMS, [row])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edition": "6th"}, "--positive 0,4,5"),
        ({"positive": "0,6"}, "'6' is not a category"),
        ({"by": ("readr",)}, "reader"),
        ({"ai_positive": "maybe"}, "high, intermediate"),
        ({"ai_positive": "1.5"}, "high, intermediate"),
        ({"complete_until": date(2027, 1, 1)}, "after today"),
    ],
)
def test_unknown_settings_are_refused(audited, settings, message):
    with pytest.raises(ConfigError, match=message):
        audited(EXAMS, [FOUND], **settings)


@pytest.mark.parametrize(
    ("settings", "positives"),
    [({}, 2), ({"edition": "4th"}, 1), ({"positive": "0,4,5"}, 1), ({"positive": "5"}, 0)],
)
def test_the_edition_says_what_is_positive(audited, settings, positives):
    exams = [*EXAMS, "p2,s2,R,3,2023-05-01,Ames,1"]
    found = audited(exams, [FOUND], **settings)
    assert found["readers"]["recall_rate"]["n_positive"] == positives


def test_ai_of_the_worklist_is_joined_by_study(audited, tmp_path):
    head = "study_instance_uid,category,malignancy_right,malignancy_left\n"
    (tmp_path / "worklist.csv").write_text(head + "s1,intermediate,0.2,0.7\n", "utf-8")
    audited(EXAMS, [FOUND])
    paths = (tmp_path / "exams.csv", tmp_path / "outcomes.csv", tmp_path / "out")
    ai = tmp_path / "worklist.csv"
    for rule, called in (("high", 0), ("intermediate", 1), ("0.7", 1), ("0.71", 0)):
        settings = Settings(ai_positive=rule, draws=20, complete_until=date(2026, 3, 31))
        audit, _ = write_audit(*paths, settings, ai=ai, today=TODAY)
        assert audit.figures["comparison"]["ai"]["recall_rate"]["n_positive"] == called
    ai.write_text(head + "s7,intermediate,0.2,0.7\n", "utf-8")
    with pytest.raises(InvalidManifest, match="worklist"):
        write_audit(*paths, settings, ai=ai, today=TODAY)


def test_only_exams_without_follow_up_make_no_audit(audited):
    with pytest.raises(InvalidManifest, match="less than a year of follow-up"):
        audited(["p1,s1,R,4,2026-01-10,Ames,1"], ["p1,R,2026-02-01,benign,,,,a"])


def test_the_largest_invasive_size_says_whether_a_cancer_is_minimal(audited):
    core, surgery = "p1,R,2023-02-01,invasive,8,,,a", "p1,R,2023-03-01,invasive,11,0,2,b"
    in_situ = "p1,R,2023-03-01,in_situ,40,,,c"
    for rows, minimal in (([core], 1), ([core, in_situ], 1), ([core, in_situ, surgery], 0)):
        assert audited(EXAMS, rows)["readers"]["minimal_cancers"]["n_positive"] == minimal
    unknown = audited(EXAMS, ["p1,R,2023-02-01,malignant,8,0,2,a"])["readers"]
    assert "minimal_cancers" not in unknown
    assert "node_negative" not in unknown


def test_the_table_of_pathology_read_is_understood(tmp_path):
    table = tmp_path / "pathology.csv"
    table.write_text(
        "source,report_id,patient_id,collected,issued,specimen,tissue,laterality,outcome,size_mm\n"
        "a.txt,7,p1,2023-02-01T10:00:00+00:00,2023-02-03,A,breast,right,in situ,unsure\n"
        "a.txt,7,p1,2023-02-01T10:00:00+00:00,2023-02-03,B,breast,unsure,unsure,\n"
        "a.txt,7,p1,2023-02-01T10:00:00+00:00,2023-02-03,C,lymph node,right,malignant,\n"
        "b.txt,8,p2,,2023-03-01,A,breast,left,high-risk,\n"
        "c.txt,9,p3,,2023-03-01,A,breast,left,,\n",
        "utf-8",
    )
    assert read_outcomes(table, TODAY) == [
        Outcome("p1", Laterality.RIGHT, date(2023, 2, 1), Finding.IN_SITU, source="a.txt 7 A"),
        Outcome("p1", None, date(2023, 2, 1), Finding.UNSURE, source="a.txt 7 B"),
        Outcome("p2", Laterality.LEFT, date(2023, 3, 1), Finding.HIGH_RISK, source="b.txt 8 A"),
        Outcome("p3", Laterality.LEFT, date(2023, 3, 1), Finding.UNSURE, source="c.txt 9 A"),
    ]


def test_outcomes_without_a_side_or_a_day_are_refused(tmp_path):
    for head in ("patient_id,outcome,date", "patient_id,outcome,side"):
        (tmp_path / "t.csv").write_text(f"{head}\np1,benign,\n", "utf-8")
        with pytest.raises(InvalidManifest, match="the table has no column"):
            read_outcomes(tmp_path / "t.csv", TODAY)


def test_criteria_combine_figures():
    first, second = CRITERIA["Sensitivity and specificity"]
    assert first.is_met({"sensitivity": 0.8, "specificity": 0.85})
    assert second.is_met({"sensitivity": 0.79, "specificity": 0.9})
    assert not second.is_met({"sensitivity": 0.8, "specificity": 0.9})
    assert first.is_met({"sensitivity": 0.8}) is None


def test_names_of_formulas_stay_text(audited, tmp_path):
    exam = "p2,s2,R,1,2023-05-01,=cmd,1"
    audited([*EXAMS, exam], [FOUND, "p2,R,2023-12-01,invasive,,,,a"])
    assert ",'=cmd," in (tmp_path / "out/interval_cancers.csv").read_text("utf-8")
