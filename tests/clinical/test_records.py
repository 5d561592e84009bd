"""Which statements count for an exam: the newest, and nothing that came after it."""

from datetime import date

import pytest

from mammolens.clinical import choose_items, known_value
from mammolens.core import ClinicalItem, Laterality

DAY = date(2020, 6, 1)


def item(name, value, day=None, source="a", side=None):
    return ClinicalItem(name, value, source, day, side)


def names(cautions):
    return [caution.name for caution in cautions]


def test_the_newest_counts_and_the_contradiction_stays_visible():
    old = item("density", "b", date(2018, 1, 1), "old")
    new = item("density", "c", date(2020, 1, 1), "new")
    items, cautions = choose_items([old, new], DAY)
    assert known_value(items, "density") == "c"
    assert [(one.source, one.is_used) for one in items] == [("new", True), ("old", False)]
    assert names(cautions) == ["clinical_contradiction"]
    assert "old" in cautions[0].message
    assert not cautions[0].doubt


@pytest.mark.parametrize("day", [None, date(2019, 1, 1)])
def test_without_a_newest_statement_the_item_is_unknown(day):
    pair = [item("density", "b", day, "one"), item("density", "c", day, "two")]
    items, cautions = choose_items(pair, DAY)
    assert known_value(items, "density") is None
    assert names(cautions) == ["clinical_contradiction"]


def test_agreeing_statements_are_no_contradiction():
    pair = [item("age", 59.5, DAY, "header"), item("age", 60.0, DAY, "table")]
    items, cautions = choose_items(pair, DAY)
    assert known_value(items, "age") == 59.5
    assert cautions == ()


def test_ages_that_differ_are_a_doubt_about_the_patient():
    _, cautions = choose_items([item("age", 45.0, DAY), item("age", 60.0, DAY, "b")], DAY)
    assert [c.doubt for c in cautions] == [True]


def test_what_was_stated_after_the_exam_does_not_count():
    late = [
        item("prior_cancer", True, date(2021, 1, 1)),
        item("menarche_age", 12.0, date(2022, 1, 1)),
    ]
    items, cautions = choose_items(late, DAY)
    assert known_value(items, "prior_cancer") is None
    assert known_value(items, "menarche_age") == 12.0
    assert names(cautions) == ["clinical_after_exam"]


def test_a_birth_date_gives_the_age_on_the_day_of_the_exam():
    items, cautions = choose_items([item("birth_date", "1960-06-01")], DAY)
    assert known_value(items, "age") == pytest.approx(60.0, abs=0.01)
    assert cautions == ()
    assert "1960" not in str(items)


def test_an_age_of_another_day_becomes_that_of_the_exam():
    items, _ = choose_items([item("age", 55.0, date(2015, 6, 1))], DAY)
    assert known_value(items, "age") == pytest.approx(60.0, abs=0.01)


def test_an_impossible_age_is_a_doubt_and_is_not_used():
    items, cautions = choose_items([item("birth_date", "2015-01-01")], DAY)
    assert items == ()
    assert names(cautions) == ["clinical_impossible"]
    assert cautions[0].doubt


def test_a_yes_without_a_side_says_nothing_of_one_breast():
    items, _ = choose_items([item("lump", True)], DAY)
    assert known_value(items, "lump", Laterality.LEFT) is None
    none, _ = choose_items([item("lump", False)], DAY)
    assert known_value(none, "lump", Laterality.LEFT) is False
    left, _ = choose_items([item("lump", True, side=Laterality.LEFT)], DAY)
    assert known_value(left, "lump", Laterality.LEFT) is True
    assert known_value(left, "lump", Laterality.RIGHT) is None
