"""Every table of every source: other programs' forms are read the same, faults are refused."""

from __future__ import annotations

import csv

import pytest

from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest

LABELS = {
    "cbis-ddsm": ("mass_case_description_train_set.csv", "pathology"),
    "cesm": ("Radiology-manual-annotations.csv", "Pathology Classification/ Follow up"),
    "cmmd": ("CMMD_clinicaldata_revision.csv", "classification"),
    "inbreast": ("INbreast.csv", "Bi-Rads"),
    "rsna": ("train.csv", "cancer"),
    "table": ("manifest.csv", "malignant"),
    "vindr": ("breast-level_annotations.csv", "breast_birads"),
}


@pytest.fixture(params=sorted(LABELS))
def source(request, tmp_path, make_sources, make_dicom, make_ljpeg):
    """The name of a source, and its tree with every workbook saved as CSV."""
    name, root = request.param, tmp_path / "tree"
    if name in ("cesm", "cmmd"):
        pytest.importorskip("openpyxl", reason="sheets need: pip install 'mammolens[data]'")
    make_sources.TREES[name](root, make_dicom, make_ljpeg)
    for sheet in root.rglob("*.xlsx"):
        from openpyxl import load_workbook

        rows = list(load_workbook(sheet).active.values)
        make_sources.table(sheet.with_suffix(".csv"), ",".join(rows[0]), rows[1:])
        sheet.unlink()
    return name, root


def cells_of(path):
    text = path.read_text(encoding="utf-8")
    delimiter = ";" if text.partition("\n")[0].count(";") > 2 else ","
    return list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))


def write(path, rows, delimiter=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_saved_by_another_program_it_says_the_same(source, delimiter, encoding):
    before = build_source(*source)
    for path in source[1].rglob("*.csv"):
        head, *rows = cells_of(path)
        width = len(head)
        rows = [[f" {cell}\u00a0" for cell in row] for row in rows]
        rows += [[""] * width] * 3
        write(path, [["Export"], [], [c.upper() for c in head], *rows], delimiter, encoding)
    after = build_source(*source)
    assert after.records == before.records
    assert after.digest == before.digest


def spoilt(rows, column):
    """Faults that a hand or a program makes: what → the rows of the spoilt table."""
    head, first, *others = rows
    place = head.index(column)
    label = first[place] or "1"
    more = [[*row[:place], "0", *row[place:]] for row in rows[1:]]
    return {
        "one cell more": [head, *more],
        "one cell less": [head, first[:place] + first[place + 1 :], *others],
        "the column twice": [[*row, row[place]] for row in rows],
        "the column twice, other labels": [
            [*head, column],
            *([*row, other] for row, other in zip(rows[1:], ["0"] * len(rows), strict=False)),
        ],
        "the column misspelt": [
            [*head[:place], column.replace("a", "", 1).replace("Bi", "B"), *head[place + 1 :]],
            *rows[1:],
        ],
        "an unknown word": [head, [*first[:place], "perhaps", *first[place + 1 :]], *others],
        "an error of Excel": [head, [*first[:place], "#VALUE!", *first[place + 1 :]], *others],
        "a quote": [head, [*first[:place], f'{label}\n"', *first[place + 1 :]], *others],
    }


FAULTS = sorted(spoilt([["a", "b"], ["1", "2"], ["3", "4"]], "b"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_table_is_refused_by_its_name(source, fault):
    name, root = source
    file, column = LABELS[name]
    (path,) = root.rglob(file)
    write(path, spoilt(cells_of(path), column)[fault])
    with pytest.raises(InvalidManifest) as refused:
        build_source(name, root)
    assert refused.value.source == str(path)
    assert "line" in str(refused.value).lower()
    assert refused.value.remedy


@pytest.mark.parametrize("word", ["", "NA", "-", "None", "<NA>"])
def test_an_unknown_label_is_neither_yes_nor_no(source, word):
    name, root = source
    if name == "cbis-ddsm":
        pytest.skip("its tables list what was proven: a row without pathology is a fault")
    file, column = LABELS[name]
    (path,) = root.rglob(file)
    rows = cells_of(path)
    place = rows[0].index(column)
    write(path, [rows[0], *([*r[:place], word, *r[place + 1 :]] for r in rows[1:])])
    assert {record.malignant for record in build_source(name, root).records} == {None}
