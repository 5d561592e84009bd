"""Workbooks: the same rows as from CSV, under every file name; errors are not read as zeros."""

from __future__ import annotations

import datetime
import sys
from types import SimpleNamespace

import pytest

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.tables import read_table

openpyxl = pytest.importorskip("openpyxl", reason="sheets need: pip install 'mammolens[data]'")

HEAD = ["patient_id", "image_id", "cancer", "age"]
NEEDED = ("patient_id", "image_id", "cancer")


def save(path, *sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def labels(path):
    rows = read_table(path, NEEDED, ("age",)).rows
    return [(r.identifier("patient_id"), r.identifier("image_id"), r.flag("cancer")) for r in rows]


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv", "t"])
def test_a_workbook_is_recognised_by_its_content(tmp_path, name):
    rows = [HEAD, [10006, 462822612, 1, 61.5], [10006.0, "0042", False, None], []]
    path = tmp_path / name
    save(tmp_path / "made.xlsx", rows).rename(path)
    assert labels(path) == [("10006", "462822612", True), ("10006", "0042", False)]


def test_notes_above_beside_and_below_do_not_matter(tmp_path):
    rows = [
        ["Our patients"],
        [],
        [None, *HEAD],
        [None, "a", 1, "TRUE", 50, "see letter"],
        [None, "b", 2, "no"],
        [],
    ]
    path = save(tmp_path / "t.xlsx", [["Read me first"]], rows)
    assert labels(path) == [("a", "1", True), ("b", "2", False)]


def test_the_first_sheet_with_the_columns_is_read(tmp_path):
    path = save(tmp_path / "t.xlsx", [HEAD, ["a", 1, 1]], [HEAD, ["a", 1, 0]])
    assert labels(path) == [("a", "1", True)]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["a", 1, "#REF!"], r"line 2 says '#REF!' \[cancer\]"),
        (["a", 1, datetime.date(2024, 1, 1)], r"line 2 says '2024-01-01.*\[cancer\]"),
        (["a", 1.4597e18, 1], r"line 2 says '1\.4597e\+18' \[image_id\]"),
        ([None, 1, 1], r"line 2 says '' \[patient_id\]"),
        (["a", 1, "=1+0"], r"line 2 says '=1\+0' \[cancer\]"),
        (["a", "=B9", 1], r"line 2 says '=B9' \[image_id\]"),
    ],
)
def test_cells_that_a_label_or_identifier_cannot_have_are_refused(tmp_path, row, words):
    path = save(tmp_path / "t.xlsx", [HEAD, row])
    with pytest.raises(InvalidManifest, match=words) as refused:
        labels(path)
    assert refused.value.source == str(path)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_workbook_is_refused(tmp_path, data):
    path = tmp_path / "t.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidManifest, match=r"t\.xlsx: the sheet cannot be read"):
        labels(path)


def test_a_missing_package_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    path = save(tmp_path / "t.xlsx", [HEAD])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError, match=r"pip install 'mammolens\[data\]'"):
        labels(path)
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(ConfigError, match="xlrd"):
        labels(tmp_path / "t.xls")


def test_an_error_in_an_old_sheet_is_not_read_as_zero(tmp_path, monkeypatch):
    """xlrd gives an error cell as a number, and #NULL! is 0: it must not become a label."""
    xlrd = pytest.importorskip("xlrd", reason="old sheets need: pip install 'mammolens[data]'")

    def cell(ctype, value):
        return SimpleNamespace(ctype=ctype, value=value)

    head = [cell(xlrd.XL_CELL_TEXT, name) for name in HEAD]
    row = [
        cell(xlrd.XL_CELL_TEXT, "a"),
        cell(xlrd.XL_CELL_NUMBER, 7.0),
        cell(xlrd.XL_CELL_ERROR, 0),
        cell(xlrd.XL_CELL_EMPTY, ""),
    ]
    sheet = SimpleNamespace(nrows=2, row=[head, row].__getitem__)
    book = SimpleNamespace(datemode=0, sheets=lambda: [sheet])
    monkeypatch.setattr(xlrd, "open_workbook", lambda **_: book)
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(InvalidManifest, match=r"'#NULL!' \[cancer\]"):
        labels(tmp_path / "t.xls")
