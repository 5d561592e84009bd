"""Who is held out, as a run's section ``data`` says."""

from __future__ import annotations

import pytest

from mammolens.data.manifest import Split
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak
from mammolens.learn.config import load_localisation, load_manifest, read_run

HEAD = "dataset,image_id,patient_id,path,malignant,split"


@pytest.fixture
def tables(tmp_path):
    """Two sources of 20 and 12 women, two images each; the first gives official sides."""
    for name, women in (("film", 20), ("digital", 12)):
        rows = [HEAD]
        for woman in range(women):
            side = ("test" if woman < 4 else "train") if name == "film" else ""
            rows += [
                f"{name},{woman}-{i},{woman},{woman}-{i}.png,{woman % 2},{side}" for i in (0, 1)
            ]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    (tmp_path / "run.toml").write_text(
        f'name = "x"\n[data]\nmanifests = ["{tmp_path}/film.csv", "{tmp_path}/digital.csv"]\n'
    )
    return tmp_path


def load(tables, *overrides):
    return load_manifest(read_run(tables / "run.toml", overrides))


def women(manifest, side):
    return {r.patient for r in manifest.records if r.split is side}


def test_a_table_takes_the_place_of_the_runs_tables(tables):
    one = load(tables, f"data.table={tables}/film.csv")
    assert {record.dataset for record in one.records} == {"film"}
    both = load(tables, f'data.table=["{tables}/film.csv", "{tables}/digital.csv"]')
    assert both.digest == load(tables).digest
    assert women(both, Split.VALIDATION) == women(load(tables), Split.VALIDATION)


def test_both_or_none_of_the_two_keys_are_refused(tables):
    for text in ('name = "x"\n[data]\n', 'name = "x"\n[data]\nmanifests = ["a"]\ntable = "b"\n'):
        (tables / "other.toml").write_text(text)
        with pytest.raises(ConfigError, match="give either manifests or table"):
            read_run(tables / "other.toml")
    with pytest.raises(ConfigError, match="give either manifests or table"):
        read_run(tables / "run.toml", ["data.table=a.csv", 'data.manifests=["b.csv"]'])


def test_folds_hold_out_everyone_once_and_the_first_is_the_plain_split(tables):
    folds = [
        women(load(tables, "data.folds=4", f"data.fold={k}"), Split.VALIDATION) for k in range(4)
    ]
    assert set().union(*folds) == {record.patient for record in load(tables).records}
    assert sum(map(len, folds)) == 32
    with pytest.raises(ConfigError, match="fold 4 of 4 does not exist"):
        load(tables, "data.folds=4", "data.fold=4")
    with pytest.raises(ConfigError, match="1 folds leave no patient to validate on"):
        load(tables, "data.folds=1")


def test_inner_folds_cut_the_training_side_and_leave_those_held_out_apart(tables):
    outer = load(tables)
    folds = [load(tables, "data.inner_folds=3", f"data.inner_fold={number}") for number in range(3)]
    held_out = [women(fold, Split.VALIDATION) for fold in folds]
    assert set().union(*held_out) == women(outer, Split.TRAIN)
    assert sum(map(len, held_out)) == len(women(outer, Split.TRAIN))
    for fold, others in zip(folds, held_out, strict=True):
        assert {record.patient for record in fold.records} == women(outer, Split.TRAIN)
        assert women(fold, Split.TRAIN) == women(outer, Split.TRAIN) - others
    second = load(tables, "data.folds=4", "data.fold=1", "data.inner_folds=2")
    assert {record.patient for record in second.records} == women(
        load(tables, "data.folds=4", "data.fold=1"), Split.TRAIN
    )
    with pytest.raises(ConfigError, match="fold 3 of 3 does not exist"):
        load(tables, "data.inner_folds=3", "data.inner_fold=3")


def test_marks_of_those_apart_teach_no_inner_fold(tables):
    marked = f'data.localisation=["{tables}/digital.csv"]'
    apart = women(load(tables), Split.VALIDATION)
    for number in range(3):
        settings = (marked, "data.inner_folds=3", f"data.inner_fold={number}")
        places = load_localisation(read_run(tables / "run.toml", settings))
        sides = {record.patient: record.split for record in load(tables, *settings[1:]).records}
        teaching = women(places, Split.TRAIN)
        assert teaching
        assert not teaching & apart
        assert all(sides[patient] is Split.TRAIN for patient in teaching)


def test_official_sides_hold_and_validation_is_cut_out_of_training(tables):
    only = (f"data.table={tables}/film.csv", "data.official=true")
    split = load(tables, *only)
    assert women(split, Split.TEST) == {("film", str(n)) for n in range(4)}
    assert len(women(split, Split.VALIDATION)) == 4
    folds = [load(tables, *only, "data.folds=2", f"data.fold={k}") for k in range(2)]
    held_out = [women(fold, Split.VALIDATION) for fold in folds]
    assert held_out[0] | held_out[1] == {("film", str(n)) for n in range(4, 20)}
    assert not held_out[0] & held_out[1]
    with pytest.raises(InvalidManifest, match="state no side"):
        load(tables, "data.official=true")


def test_a_source_is_left_out_whole(tables):
    split = load(tables, "data.leave_out=digital")
    assert {patient[0] for patient in women(split, Split.VALIDATION)} == {"digital"}
    assert {patient[0] for patient in women(split, Split.TRAIN)} == {"film"}
    with pytest.raises(ConfigError, match="Known are digital, film"):
        load(tables, "data.leave_out=xray")
    with pytest.raises(ConfigError, match="leave_out goes with neither"):
        load(tables, "data.leave_out=digital", "data.folds=2")


def test_a_woman_under_two_names_is_never_divided(tables):
    rows = [f"film,{n},w{n}\ndigital,{n},w{n}" for n in range(12)]
    (tables / "persons.csv").write_text("dataset,patient_id,person_id\n" + "\n".join(rows))
    split = load(tables, f"data.persons={tables}/persons.csv")
    sides = {record.patient: record.split for record in split.records}
    assert all(sides["film", str(n)] is sides["digital", str(n)] for n in range(12))
    plain = {record.patient: record.split for record in load(tables).records}
    assert any(plain["film", str(n)] is not plain["digital", str(n)] for n in range(12))
    (tables / "film.csv").write_text(
        "\n".join([HEAD, "film,a,1,a.png,1,train", "film,b,1,b.png,0,test"])
    )
    with pytest.raises(PatientLeak):
        load(tables, f"data.table={tables}/film.csv", "data.official=true")


def test_patients_of_the_localisation_tables_are_on_the_side_of_the_runs_tables(tables):
    rows = [f"film,extra-{n},{n},{n}.png,1," for n in range(20)]
    rows += [f"marked,{n},{n},{n}.png,1," for n in range(10)]
    (tables / "marked.csv").write_text("\n".join([HEAD, *rows]))
    config = read_run(tables / "run.toml", [f'data.localisation=["{tables}/marked.csv"]'])
    sides = {record.patient: record.split for record in load_manifest(config).records}
    marked = load_localisation(config)
    assert marked is not None
    film = [record for record in marked.records if record.dataset == "film"]
    assert all(record.split is sides[record.patient] for record in film)
    others = {record.split for record in marked.records if record.dataset == "marked"}
    assert others == {Split.TRAIN, Split.VALIDATION}
    assert load_localisation(read_run(tables / "run.toml")) is None
