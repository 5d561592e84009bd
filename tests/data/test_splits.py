"""Splits: patients stay whole, everyone is held out once, the same person is one person."""

from collections import Counter
from pathlib import Path

import pytest

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import read_persons
from mammolens.data.splits import (
    fold_patients,
    hold_out_source,
    official_split,
    refuse_leak,
    split_digest,
    split_patients,
)
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak


def women(dataset="d", n=100, **given):
    return [
        Record(dataset, f"{p}-{i}", str(p), Path("x"), malignant=p % 3 == 0, **given)
        for p in range(n)
        for i in range(2)
    ]


def on(manifest, side):
    return {record.patient for record in manifest.records if record.split is side}


def test_a_shipped_split_does_not_change():
    """Model cards name such digests: with other digests, no model would match its split."""
    manifest = Manifest.of([*women("a"), *women("b", 41)])
    split = split_patients(manifest, validation=0.2, seed=1)
    assert split_digest(split) == "142d0f6c78ac1c6a9bb98bf30d7c590db281cc8440dba659dd666281779eafa3"


def test_every_source_and_outcome_is_cut_at_the_share():
    split = split_patients(Manifest.of([*women("a"), *women("b", 41)]), validation=0.3, seed=1)
    refuse_leak(split.records)
    for dataset, n in (("a", 100), ("b", 41)):
        sides = Counter(p[1] for p in on(split, Split.VALIDATION) if p[0] == dataset)
        assert sum(sides.values()) == pytest.approx(0.3 * n, abs=1)
        malignant = sum(int(patient) % 3 == 0 for patient in sides)
        assert malignant == pytest.approx(0.1 * n, abs=1)


@pytest.mark.parametrize("folds", [2, 3, 5, 7])
def test_every_patient_is_held_out_exactly_once(folds):
    manifest = Manifest.of([*women("a"), *women("b", 41)])
    parts = fold_patients(manifest, folds, seed=1)
    held_out = Counter(patient for part in parts for patient in on(part, Split.VALIDATION))
    assert set(held_out.values()) == {1}
    assert set(held_out) == {record.patient for record in manifest.records}
    assert {part.digest for part in parts} == {manifest.digest}
    for part in parts:
        refuse_leak(part.records)
        assert len(on(part, Split.VALIDATION)) == pytest.approx(141 / folds, abs=3)


def test_the_first_fold_is_the_split_of_that_share():
    manifest = Manifest.of([*women("a"), *women("b", 41)])
    first = fold_patients(manifest, 5, seed=1)[0]
    assert split_digest(first) == split_digest(split_patients(manifest, validation=0.2, seed=1))


def test_folds_are_balanced_by_source_and_outcome():
    for part in fold_patients(Manifest.of([*women("a", 60), *women("b", 30)]), 5, seed=2):
        cells = Counter((d, int(p) % 3 == 0) for d, p in on(part, Split.VALIDATION))
        assert cells == {("a", True): 4, ("a", False): 8, ("b", True): 2, ("b", False): 4}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_shares_are_refused(share):
    with pytest.raises(ConfigError, match="validation"):
        split_patients(Manifest.of(women()), seed=1, validation=share)


def test_too_few_patients_are_refused_by_side():
    one = Manifest.of(women(n=1))
    with pytest.raises(InvalidManifest, match="validation side"):
        split_patients(one, validation=0.2, seed=1)
    with pytest.raises(InvalidManifest, match="train side"):
        split_patients(one, validation=0.8, seed=1)
    with pytest.raises(InvalidManifest, match="fold 0 of 5"):
        fold_patients(Manifest.of(women(n=2)), 5, seed=1)
    with pytest.raises(ConfigError, match="folds"):
        fold_patients(Manifest.of(women()), 1, seed=1)


def official():
    return [
        *women("cbis", 30, split=Split.TRAIN),
        *[
            Record("cbis", f"t{p}", f"t{p}", Path("x"), malignant=p % 2 == 0, split=Split.TEST)
            for p in range(10)
        ],
    ]


def test_official_sides_are_kept_and_validation_comes_out_of_the_training_side():
    split = official_split(Manifest.of(official()), validation=0.2, seed=3)
    assert on(split, Split.TEST) == {("cbis", f"t{p}") for p in range(10)}
    held_out = on(split, Split.VALIDATION)
    assert len(held_out) == 6
    assert sum(int(patient) % 3 == 0 for _, patient in held_out) == 2
    refuse_leak(split.records)
    as_given = official_split(Manifest.of(official()))
    assert [r.split for r in as_given.records] == [r.split for r in official()]


def test_a_source_with_its_own_validation_side_keeps_it():
    own = [Record("v", f"{p}", f"{p}", Path("x"), split=Split.TRAIN) for p in range(10)]
    own += [Record("v", "v", "v", Path("x"), split=Split.VALIDATION)]
    split = official_split(Manifest.of([*own, *official()]), validation=0.2, seed=3)
    assert {p for p in on(split, Split.VALIDATION) if p[0] == "v"} == {("v", "v")}
    assert len(on(split, Split.VALIDATION)) == 7


def test_records_without_a_side_are_refused():
    manifest = Manifest.of([*official(), *women("mine", 20)])
    with pytest.raises(InvalidManifest, match=r"40 of 110 records state no side, first mine/0-0"):
        official_split(manifest, validation=0.2)


def test_a_patient_on_two_official_sides_is_refused():
    shared = [Record("cbis", "mass", "t3", Path("x"), split=Split.TRAIN)]
    manifest = Manifest.of([*official(), *shared])
    with pytest.raises(PatientLeak, match="1 patients are on two sides: cbis/t3"):
        official_split(manifest)


def test_a_source_is_left_out_whole():
    manifest = Manifest.of([*women("a", 40), *women("b", 30), *women("c", 20)])
    split = hold_out_source(manifest, "b")
    assert {patient[0] for patient in on(split, Split.VALIDATION)} == {"b"}
    assert {patient[0] for patient in on(split, Split.TRAIN)} == {"a", "c"}
    assert len(split.records) == len(manifest.records)


def test_a_source_that_is_not_there_or_the_only_one_is_refused():
    with pytest.raises(ConfigError, match=r"'inbreast'.*Known are a"):
        hold_out_source(Manifest.of(women("a")), "inbreast")
    with pytest.raises(ConfigError, match="no image is left to train on"):
        hold_out_source(Manifest.of(women("a")), "a")


WHO = {("ddsm", str(p)): f"w{p}" for p in range(30)} | {
    ("cbis", str(p)): f"w{29 - p}" for p in range(30)
}
"""Case p of one is case 29 - p of the other."""


def test_a_person_with_two_identifiers_stays_on_one_side():
    manifest = Manifest.of([*women("ddsm", 30), *women("cbis", 30)])
    split = split_patients(manifest, validation=0.2, seed=1, same_person=WHO)
    side = {record.patient: record.split for record in split.records}
    assert all(side["ddsm", str(p)] is side["cbis", str(29 - p)] for p in range(30))
    refuse_leak(split.records, WHO)
    for part in fold_patients(manifest, 5, seed=1, same_person=WHO):
        refuse_leak(part.records, WHO)


def test_a_leak_between_identifiers_is_refused_with_both_names():
    records = [
        Record("ddsm", "1", "C_0386", Path("x"), split=Split.TRAIN),
        Record("cbis", "1", "P_00173", Path("x"), split=Split.TEST),
        Record("cbis", "2", "P_00820", Path("x"), split=Split.TRAIN),
    ]
    who = {("ddsm", "C_0386"): "a", ("cbis", "P_00173"): "a", ("cbis", "P_00820"): "b"}
    with pytest.raises(PatientLeak, match=r"cbis/P_00173 = ddsm/C_0386"):
        refuse_leak(records, who)
    refuse_leak(records, {**who, ("ddsm", "C_0386"): "c"})


def test_sources_with_the_same_patients_on_two_sides_need_a_table_of_persons():
    records = [
        *women("ddsm", 10, split=Split.TRAIN),
        *women("cbis_masses", 10, split=Split.TEST),
    ]
    with pytest.raises(PatientLeak, match="cbis_masses and ddsm show the same patients"):
        refuse_leak(records)
    with pytest.raises(PatientLeak, match="same patients"):
        hold_out_source(Manifest.of(records), "ddsm")
    one_known = {("ddsm", "0"): "a"}
    with pytest.raises(PatientLeak, match="same patients"):
        refuse_leak(records, one_known)
    refuse_leak(records, {r.patient: "/".join(r.patient) for r in records})
    refuse_leak(women("ddsm", 10, split=Split.TRAIN) + women("mias", 10, split=Split.TEST))
    refuse_leak(women("ddsm", 10, split=Split.TEST) + women("cbis", 10, split=Split.TEST))


def test_leaving_out_a_source_removes_its_patients_from_other_sources():
    manifest = Manifest.of([*women("ddsm", 30), *women("cbis", 30), *women("mias", 10)])
    half = {key: who for key, who in WHO.items() if int(who[1:]) < 15}
    half |= {key: f"alone {key}" for key in WHO if key not in half}
    split = hold_out_source(manifest, "ddsm", same_person=half)
    assert on(split, Split.TRAIN) == {("cbis", str(p)) for p in range(15)} | {
        ("mias", str(p)) for p in range(10)
    }


def persons(tmp_path, text):
    path = tmp_path / "persons.csv"
    path.write_text(text)
    return path


def test_a_table_of_persons_is_read(tmp_path):
    text = "dataset,patient_id,person_id,note\nddsm,C_0386,a,\ncbis,P_00173,a,same films\n"
    assert read_persons(persons(tmp_path, text)) == {
        ("ddsm", "C_0386"): "a",
        ("cbis", "P_00173"): "a",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dataset,patient_id\nd,1\n", "columns are missing: person_id"),
        ("dataset,patient_id,person_id\nd,1,\n", r"line 2 says '' \[person_id\]"),
        ("dataset,patient_id,person_id\nd,1\n", "line 2 has 2 cells"),
        ("dataset,patient_id,person_id\nd,1,a\nd,1,b\n", "line 3 gives d/1 a second person"),
    ],
)
def test_a_faulty_table_of_persons_is_refused(tmp_path, text, words):
    with pytest.raises(InvalidManifest, match=words):
        read_persons(persons(tmp_path, text))
    with pytest.raises(InvalidManifest, match="cannot be read"):
        read_persons(tmp_path / "nothing.csv")
