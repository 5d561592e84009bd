"""A written table has the same records when it is read again; otherwise it is not written."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens.core import Laterality, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.manifest_writer import SIDE_TABLE, write_manifest
from mammolens.errors import InvalidManifest, StorageError
from mammolens.tables import UNKNOWN_WORDS

SPECIAL = re.compile(r'#.*|=.*|.*".*|[\d.,\u2019\u00a0\u202f\']+([Ee][+-]?\d+)?')
"""Words that a table gives a meaning of its own: comments, formulas, open quotes, numbers."""
WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf"], exclude_characters="\ufffd"),
    min_size=1,
    max_size=12,
).filter(
    lambda text: (
        text == text.strip()
        and text.casefold() not in UNKNOWN_WORDS
        and not SPECIAL.fullmatch(text)
    )
)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
LESIONS = st.builds(
    Lesion,
    st.sampled_from([None, *LesionKind]),
    st.sampled_from([None, True, False]),
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
)
RECORDS = st.builds(
    Record,
    dataset=WORDS,
    image_id=WORDS,
    patient_id=WORDS,
    path=st.just(Path("/data/x.png")),
    laterality=st.sampled_from([None, *Laterality]),
    view_position=st.sampled_from([None, *ViewPosition]),
    tumour=st.sampled_from([None, True]),
    malignant=st.sampled_from([None, True, False]),
    birads=st.none() | WORDS,
    density=st.none() | WORDS,
    age_years=st.none() | st.floats(0, 120),
    machine=st.none() | WORDS,
    study_id=st.none() | WORDS,
    pixel_aspect=st.floats(0.2, 5),
    lesion_centre_px=st.none() | st.tuples(NUMBERS, NUMBERS),
    lesions=st.lists(LESIONS, max_size=2).map(tuple),
    split=st.sampled_from([None, *Split]),
)


def record(image_id="1", **fields):
    return Record("mine", image_id, "anna", Path("/data") / f"{image_id}.png", **fields)


@settings(max_examples=40)
@given(st.lists(RECORDS, min_size=1, max_size=4, unique_by=lambda r: (r.dataset, r.image_id)))
def test_every_written_table_reads_back(tmp_path_factory, records):
    table = tmp_path_factory.mktemp("table") / "t.csv"
    manifest = Manifest.of(records)
    write_manifest(manifest, table)
    read = Manifest.read(table)
    assert read.records == manifest.records
    assert read.digest == manifest.digest


@pytest.mark.parametrize("word", ["nan", "-", "7.0", "4.6E+08", "10,006", '5"', "=A1", "a\nb"])
def test_an_identifier_that_would_change_is_not_written(tmp_path, word):
    with pytest.raises(InvalidManifest, match=r"would change|could not be read again") as refused:
        write_manifest(Manifest.of([replace(record(), patient_id=word)]), tmp_path / "t.csv")
    assert refused.value.source == str(tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()


def test_paths_within_the_folder_move_with_it(tmp_path):
    own = replace(record(), path=tmp_path / "old" / "images" / "1.png")
    mask = Lesion(mask_path=tmp_path / "old" / "masks" / "1.png")
    write_manifest(Manifest.of([replace(own, lesions=(mask,))]), tmp_path / "old" / "t.csv")
    (tmp_path / "old").rename(tmp_path / "new")
    read = Manifest.read(tmp_path / "new" / "t.csv").records[0]
    assert read.path == tmp_path / "new" / "images" / "1.png"
    assert read.lesions[0].mask_path == tmp_path / "new" / "masks" / "1.png"


def test_a_relative_path_is_that_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_manifest(Manifest.of([replace(record(), path=Path("1.png"))]), Path("out/t.csv"))
    assert Manifest.read(Path("out/t.csv")).records[0].path == tmp_path / "1.png"


def test_whole_numbers_mean_the_same_as_fractions(tmp_path):
    whole = Manifest.of([record(age_years=61, pixel_aspect=2, lesion_centre_px=(3, 4))])
    write_manifest(whole, tmp_path / "t.csv")
    assert Manifest.read(tmp_path / "t.csv").digest == whole.digest


def test_a_rotation_is_kept_and_changes_the_digest(tmp_path):
    turned = Manifest.of([record(rotation_deg=270)])
    write_manifest(turned, tmp_path / "t.csv")
    assert Manifest.read(tmp_path / "t.csv").records[0].rotation_deg == 270
    assert turned.digest != Manifest.of([record()]).digest


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rotation_deg": 45}, "45 degrees"),
        ({"rotation_deg": 90, "lesion_centre_px": (1, 2)}, "both a rotation and marked lesions"),
        ({"tumour": False, "malignant": True}, "malignant but without a tumour"),
    ],
)
def test_no_impossible_record_exists(fields, words):
    with pytest.raises(InvalidManifest, match=words):
        record(**fields)


def test_tables_in_one_folder_share_the_side_table(tmp_path):
    box = Lesion(box_source_px=(1, 2, 3, 4))
    first = Manifest.of([record("1", lesions=(box,))])
    second = Manifest.of([record("2", lesions=(box, box))])
    write_manifest(first, tmp_path / "first.csv")
    assert len(write_manifest(second, tmp_path / "second.csv")) == 2
    write_manifest(second, tmp_path / "second.csv")
    assert Manifest.read(tmp_path / "first.csv").records == first.records
    assert Manifest.read(tmp_path / "second.csv").records == second.records


def test_lesions_that_are_gone_are_gone_from_the_side_table(tmp_path):
    box = Lesion(box_source_px=(1, 2, 3, 4))
    write_manifest(Manifest.of([record(lesions=(box,))]), tmp_path / "t.csv")
    write_manifest(Manifest.of([record()]), tmp_path / "t.csv")
    assert Manifest.read(tmp_path / "t.csv").records[0].lesions == ()


def test_lesions_of_unnamed_sets_are_not_taken_over(tmp_path):
    side = tmp_path / SIDE_TABLE
    side.write_text("image_id,row0,col0,row1,col1\n1,1,2,3,4\n")
    before = side.read_text()
    with pytest.raises(InvalidManifest, match=r"lesions of '1'.*\[dataset\]"):
        write_manifest(Manifest.of([record()]), tmp_path / "t.csv")
    assert side.read_text() == before
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("birads", [" 4", "4 ", "\t4"])
def test_a_record_that_would_change_is_not_written(tmp_path, birads):
    old = Manifest.of([record(birads="2")])
    write_manifest(old, tmp_path / "t.csv")
    with pytest.raises(InvalidManifest, match="the row of '1' would change"):
        write_manifest(Manifest.of([record(birads=birads)]), tmp_path / "t.csv")
    assert Manifest.read(tmp_path / "t.csv").records == old.records
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*cannot be written"):
        write_manifest(Manifest.of([record()]), tmp_path / "file" / "t.csv")


def test_the_name_of_the_side_table_is_refused(tmp_path):
    with pytest.raises(InvalidManifest, match="reserved for marked lesions"):
        write_manifest(Manifest.of([record()]), tmp_path / SIDE_TABLE)


def test_the_text_of_a_finding_is_kept_and_not_digested(tmp_path):
    plain = Record("mine", "1", "anna", tmp_path / "1.png", malignant=False)
    named = replace(plain, abnormality="calcification;asymmetry")
    write_manifest(Manifest.of([named]), tmp_path / "table.csv")
    read = Manifest.read(tmp_path / "table.csv")
    assert read.records[0].abnormality == "calcification;asymmetry"
    assert read.digest == Manifest.of([plain]).digest
