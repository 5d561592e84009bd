"""Cells: labels, numbers, ages and identifiers, or an error with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import InvalidManifest
from mammolens.tables import Row

WHERE = {"c": 0}


def cell(text):
    return Row((text,), WHERE, 7, Path("t.csv"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "1.0", "1,0", "true", "TRUE", "yes", "Y", "t")),
        *((text, False) for text in ("0", "0.00", "0,0", "False", "NO", "n", "F")),
        *((text, None) for text in ("", "nan", "N/A", "-", "–", "unknown", ".", "NULL")),
    ],
)
def test_labels(text, value):
    assert cell(text).flag("c") is value


@pytest.mark.parametrize("text", ["2", "-1", "0.5", "positive", "x", "01", "1 0", "#VALUE!", "no?"])
def test_an_unknown_word_is_never_read_as_no(text):
    with pytest.raises(InvalidManifest, match=r"t\.csv: line 7 says .*\[c\]"):
        cell(text).flag("c")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        ("-1.5", -1.5),
        ("1e-05", 1e-5),
        ("61,5", 61.5),
        ("0,873", 0.873),
        ("1234,5", 1234.5),
        (".5", 0.5),
        ("NA", None),
    ],
)
def test_numbers(text, value):
    assert cell(text).number("c") == value


@pytest.mark.parametrize(
    "text",
    ["1,234", "1.234,5", "1,234.5", "1 234", "inf", "1e999", "1_0", "٣", "5mm", "2024-05-03"],
)
def test_a_cell_that_is_not_a_clear_number_is_refused(text):
    with pytest.raises(InvalidManifest, match=r"line 7 says .*\[c\]"):
        cell(text).number("c")


@pytest.mark.parametrize(
    ("text", "years"),
    [("61", 61), ("061Y", 61), ("61y", 61), ("018M", 1.5), ("61,5", 61.5), ("", None)],
)
def test_ages(text, years):
    assert cell(text).age("c") == years


@pytest.mark.parametrize("text", ["1961", "19610305", "-3", "999Y", "90+", "3/5/1961"])
def test_an_impossible_age_is_refused(text):
    with pytest.raises(InvalidManifest, match=r"\[c\]"):
        cell(text).age("c")


@pytest.mark.parametrize(
    ("text", "value"),
    [("00123", "00123"), ("10006.0", "10006"), ("a-1", "a-1"), ("1.2.840.1", "1.2.840.1")]
    + [(text, text) for text in ("12e34567", "5E10", "024ee3569b2605dc", "Pé12", "10 006")],
)
def test_identifiers(text, value):
    assert cell(text).identifier("c") == cell(text).identifier_or_none("c") == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "NaN", "-", "4.62823E+08", "4,62823E+08", "1e+17", "1.5E10", "462,822,612"),
        *("10’006", "462\u202f822\u202f612", "P\ufffd12", "a\nb", 'P"12', "=B9"),
    ],
)
def test_damaged_identifiers_are_refused(text):
    with pytest.raises(InvalidManifest, match=r"line 7 says .*\[c\]"):
        cell(text).identifier("c")


def test_sides_and_views_in_any_case():
    assert [cell(t).laterality("c") for t in ("L", "left", "RIGHT", "NA")] == [
        *(Laterality.LEFT, Laterality.LEFT, Laterality.RIGHT, None)
    ]
    assert cell("mlo").view("c") is ViewPosition.MLO
    for text in ("LCC", "B", "1"):
        with pytest.raises(InvalidManifest, match="line 7"):
            cell(text).laterality("c")
        with pytest.raises(InvalidManifest, match="line 7"):
            cell(text).view("c")


def test_a_long_cell_is_not_printed_whole():
    with pytest.raises(InvalidManifest) as refused:
        cell("x" * 5000).number("c")
    assert len(str(refused.value)) < 300
