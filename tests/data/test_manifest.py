"""The table: unknown does not mean no, and patients stay on one side."""

from pathlib import Path

import pytest

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import refuse_leak, split_digest, split_patients
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak

HEAD = "dataset,image_id,patient_id,laterality,view,path,tumour,malignant,height,width\n"


def table(tmp_path, rows, head=HEAD):
    path = tmp_path / "manifest.csv"
    path.write_text(head + rows)
    return path


def test_labels_are_read_as_said(tmp_path):
    rows = "rsna,1,a,L,CC,1.jpg,,0,640,640\nmias,2,b,R,MLO,2.jpg,0,,10,10\nx,3,c,,,3.jpg,1,1,1,2\n"
    first, second, third = Manifest.read(table(tmp_path, rows)).records
    assert (first.tumour, first.malignant, first.pixel_aspect) == (None, False, 1.25)
    assert first.allowed == (True, True, False)
    assert (second.tumour, second.malignant) == (False, False)
    assert second.allowed == (True, False, False)
    assert third.allowed == (False, False, True)
    assert third.laterality is None
    assert first.path == tmp_path / "1.jpg"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("d,1,a,L,CC,1.jpg,2,,,\n", r"line 2 says '2'.*\[tumour\]"),
        ("d,1,a,L,CC,1.jpg,0,1,,\n", r"\[tumour\]"),
        ("d,1,a,X,CC,1.jpg,,,,\n", r"line 2.*'X'"),
        ("d,1,,L,CC,1.jpg,,,,\n", r"\[patient_id\]"),
        ("d,1,a,L,CC,1.jpg,,,,\nd,1,a,L,CC,2.jpg,,,,\n", "in line 2 and line 3; they contradict"),
        ("", "no rows"),
    ],
)
def test_a_faulty_table_is_refused_with_row_and_column(tmp_path, rows, words):
    with pytest.raises(InvalidManifest, match=words):
        Manifest.read(table(tmp_path, rows))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (HEAD.replace("malignant", "maligant"), "'maligant', which is not known; malignant is the"),
        (HEAD.replace("malignant", "cancer"), "'cancer', which is not known; malignant is the"),
        (HEAD.replace("tumour", "tumor"), "'tumor', which is not known; tumour is the nearest"),
        (HEAD.replace("laterality", "side"), "'side', which is not known; laterality is the"),
        (HEAD.replace("height", "tumour"), "names the column tumour twice"),
    ],
)
def test_a_column_with_a_similar_name_is_not_ignored(tmp_path, head, words):
    with pytest.raises(InvalidManifest, match=words):
        Manifest.read(table(tmp_path, "d,1,a,L,CC,1.jpg,1,1,,\n", head))


def test_names_in_other_letters_and_words_for_labels_are_read(tmp_path):
    head = HEAD.replace(",", " ; ").upper()
    text = "d;1.0;7.0;left;cc;1.jpg;TRUE;yes;;\nd;2;7;R;MLO;2.jpg;NA;-;;\n"
    first, second = Manifest.read(table(tmp_path, text, head)).records
    assert (first.image_id, first.patient_id, first.malignant) == ("1", "7", True)
    assert (second.patient_id, second.tumour, second.malignant) == ("7", None, None)
    assert (first.laterality.value, second.view_position.value) == ("L", "MLO")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("d,1,a,L,CC,1.jpg,,1,,,5\n", "line 2 has 11 cells"),
        ("d,1,a,L,CC,1.jpg,,1\n", "line 2 has 8 cells"),
        ("d,1,nan,L,CC,1.jpg,,1,,\n", r"line 2 says 'nan' \[patient_id\]"),
        ("d,4.6E+08,a,L,CC,1.jpg,,1,,\n", r"line 2 says '4.6E\+08' \[image_id\]"),
        ("d,1,a,L,CC,1.jpg,,positive,,\n", r"line 2 says 'positive' \[malignant\]"),
        ('d,1,a,L,CC,"1.jpg,,1,,\nd,2,b,L,CC,2.jpg,,0,,\n', "line 2 opens a quote"),
        ("d,1,a,L,CC,1.jpg,,1,,\n\0\n", "line 3 has NUL bytes"),
    ],
)
def test_a_row_that_has_slipped_is_refused(tmp_path, rows, words):
    with pytest.raises(InvalidManifest, match=words) as refused:
        Manifest.read(table(tmp_path, rows))
    assert refused.value.remedy


def test_missing_columns_and_files_are_named(tmp_path):
    with pytest.raises(InvalidManifest, match="patient_id"):
        Manifest.read(table(tmp_path, "", "dataset,image_id,path\n"))
    with pytest.raises(InvalidManifest, match=r"nothing\.csv"):
        Manifest.read(tmp_path / "nothing.csv")


def records(n=100):
    return [
        Record("d", f"{p}-{i}", str(p), Path("x"), malignant=p % 3 == 0)
        for p in range(n)
        for i in range(3)
    ]


def test_a_split_keeps_patients_whole_and_is_the_same_in_any_order():
    manifest = Manifest.of(records())
    split = split_patients(manifest, validation=0.25, seed=3)
    refuse_leak(split.records)
    shuffled = split_patients(Manifest.of(reversed(records())), validation=0.25, seed=3)
    assert split_digest(split) == split_digest(shuffled)
    held_out = split.select(split=Split.VALIDATION).records
    assert len({r.patient for r in held_out}) == 24
    positive = {r.patient for r in held_out if r.malignant}
    assert len(positive) == 8
    assert split_digest(split) != split_digest(split_patients(manifest, validation=0.25, seed=4))


def test_a_leak_is_refused_by_name():
    leaking = [
        Record("d", "1", "anna", Path("x"), split=Split.TRAIN),
        Record("d", "2", "anna", Path("x"), split=Split.TEST),
    ]
    with pytest.raises(PatientLeak, match="d/anna"):
        refuse_leak(leaking)


def test_impossible_shares_are_refused():
    with pytest.raises(ConfigError, match="validation"):
        split_patients(Manifest.of(records()), validation=1.0, seed=1)
