"""Sources that can be told are told, others are not, and no woman stands on both sides."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from mammolens.bench.auditing.source_probe import (
    PICTURE_TRAITS,
    collect_traits,
    held_out_odds,
    picture_traits,
    probe,
    source_section,
)
from mammolens.bench.evaluate import read_tables
from mammolens.bench.scoring import score_records
from mammolens.data.cache import prepare_record
from mammolens.errors import ModelError
from mammolens.model import ModelPackage


def drawn(shift: float, seed: int = 0, n: int = 300):
    rng = np.random.default_rng(seed)
    place = rng.choice(3, n, p=(0.6, 0.25, 0.15))
    values = rng.normal(size=(n, 4))
    values[:, 0] += shift * place
    return values, [f"s{one}" for one in place], [f"s{one}w{n // 2}" for n, one in enumerate(place)]


def test_a_source_that_shows_is_told_about_as_well_as_scikit_learn_tells_it():
    values, targets, patients = drawn(1.5)
    found = probe(values, targets, patients, draws=200)
    told = cross_val_predict(
        LogisticRegression(class_weight="balanced"),
        values,
        targets,
        groups=patients,
        cv=GroupKFold(5),
        method="predict_proba",
    )
    accuracy = balanced_accuracy_score(targets, np.array(["s0", "s1", "s2"])[told.argmax(1)])
    assert found["balanced_accuracy"]["value"] == pytest.approx(accuracy, abs=0.05)
    assert found["balanced_accuracy"]["low"] > found["chance"] == pytest.approx(1 / 3)
    outer = roc_auc_score(np.array(targets) == "s2", told[:, 2])
    assert found["one_vs_rest"]["s2"]["value"] == pytest.approx(outer, abs=0.05)
    assert found["classes"]["s0"] == targets.count("s0")
    assert (found["n"], found["n_patients"]) == (300, len(set(patients)))


def test_a_source_that_does_not_show_is_left_at_chance():
    above = 0
    for seed in range(20):
        found = probe(*drawn(0.0, seed), draws=100)
        above += found["balanced_accuracy"]["low"] > found["chance"]
    assert above <= 3


def test_women_are_not_recognised():
    """Each woman has a look of her own; with rows split at random it would tell her source."""
    rng = np.random.default_rng(4)
    looks = np.repeat(rng.normal(size=(40, 30)), 10, axis=0)
    targets = np.repeat(rng.choice(["a", "b"], 40), 10).tolist()
    patients = [f"w{row // 10}" for row in range(400)]
    found = probe(looks, targets, patients, draws=100)
    assert found["one_vs_rest"]["a"]["value"] < 0.75


def test_many_features_are_reduced_and_small_classes_left_out():
    values, targets, patients = drawn(1.5)
    wide = np.hstack([np.repeat(values, 30, axis=1), np.zeros((300, 3))])
    few = [*targets[:290], *["s9"] * 4, *[None] * 6]
    found = probe(wide, few, patients, draws=50)
    assert set(found["classes"]) == {"s0", "s1", "s2"}
    assert found["n"] == 290
    assert found["balanced_accuracy"]["low"] > 1 / 3
    assert probe(values, ["s0"] * 300, patients) is None


def test_components_are_learned_without_the_rows_that_are_held_out():
    rng = np.random.default_rng(2)
    values, known, folds = rng.normal(size=(120, 60)), np.arange(120) % 2, np.arange(120) // 24
    values[:, 0] += known
    before = held_out_odds(values, known, folds)
    values[:12] += 1000 * rng.normal(size=(12, 60))
    after = held_out_odds(values, known, folds)
    assert after[12:24] == pytest.approx(before[12:24], abs=1e-9)
    assert after[:12] != pytest.approx(before[:12], abs=1e-3)


@pytest.fixture(scope="module")
def model(package):
    return ModelPackage.load(package, threads=1)


@pytest.fixture(scope="module")
def records(rows, write_table):
    return read_tables([write_table("probe.csv", rows[1])]).records


def test_traits_are_those_of_the_graph_and_the_picture(model, records, rows):
    (rows[0] / "gone.png").write_bytes(b"")
    broken = replace(records[3], path=rows[0] / "gone.png")
    chosen = [*records[:3], broken, *records[4:10]]
    kept, traits = collect_traits(model, chosen)
    assert kept == [one for one in chosen if one is not broken]
    views = [prepare_record(record, model.card.preprocess) for record in kept]
    assert {name: values.shape for name, values in traits.items()} == {
        "malignancy": (9, 1),
        "outputs": (9, 6),
        "picture": (9, len(PICTURE_TRAITS)),
        "features": (9, 1),
    }
    said = [one.scores.malignant for one in score_records(model, kept)]
    assert 1 / (1 + np.exp(-traits["malignancy"][:, 0])) == pytest.approx(said, abs=1e-5)
    # What the last layer of this graph takes in is the mean grey value of the frame.
    means = [view.pixels.mean() / 255 for view in views]
    assert traits["features"][:, 0] == pytest.approx(means, abs=1e-5)
    assert traits["picture"][2] == pytest.approx(picture_traits(views[2]))
    named = dict(zip(PICTURE_TRAITS, picture_traits(views[0]), strict=True))
    assert named["share of the frame"] == pytest.approx(views[0].mask.mean())
    assert named["5th percentile"] <= named["median"] <= named["95th percentile"]


def test_a_section_probes_sources_and_machines(model, records):
    made = [
        replace(
            record,
            dataset="first" if record.patient_id < "p06" else "second",
            machine=record.view_position.value,
        )
        for record in records
    ]
    apart = [replace(record, patient_id=f"{record.patient_id}{n}") for n, record in enumerate(made)]
    found = source_section(model, apart, draws=50)
    assert (
        set(found["source"])
        == set(found["traits"])
        == {*("malignancy", "outputs", "picture", "features")}
    )
    assert found["source"]["outputs"]["classes"] == {"first": 24, "second": 24}
    assert found["machine"]["first"]["picture"]["classes"] == {"CC": 12, "MLO": 12}
    assert found["n_refused"] == 0
    json.dumps(found, allow_nan=False)


def test_where_nothing_can_be_read_there_is_an_error_by_name(model, records, rows):
    (rows[0] / "gone.png").write_bytes(b"")
    with pytest.raises(ModelError, match="none of the images"):
        collect_traits(model, [replace(records[0], path=rows[0] / "gone.png")])
