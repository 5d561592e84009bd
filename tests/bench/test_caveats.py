"""What is said before all figures: whom the model knows already."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mammolens.bench.caveats import caveats, known_patient_warnings
from mammolens.bench.evidence import Evidence
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_digest
from mammolens.model import KnownPatients, patient_digests


@pytest.fixture
def whole():
    sides = [Split.TRAIN] * 5 + [Split.VALIDATION] * 3 + [Split.TEST] * 2
    return Manifest.of(
        Record("clinic", str(n), f"p{n}", Path(f"{n}.png"), split=side)
        for n, side in enumerate(sides)
    )


def card(digest, dataset):
    training = SimpleNamespace(split_digest=digest, datasets=[SimpleNamespace(name=dataset)])
    return SimpleNamespace(name="model", training=training)


@pytest.mark.parametrize(
    ("side", "said"),
    [
        (Split.TRAIN, "learned from 5 of the 5 judged"),
        (Split.VALIDATION, "were chosen on 3 of the 3 judged"),
        (Split.TEST, None),
    ],
)
def test_a_split_that_the_card_names_tells_whom_the_model_knows(whole, side, said):
    found = known_patient_warnings(
        whole.select(split=side), whole, card(split_digest(whole), "clinic")
    )
    assert len(found) == (said is not None)
    assert all(note.startswith("WARNING: ") and said in note for note in found)


def test_another_split_of_a_data_set_that_taught_is_warned_of(whole):
    (note,) = known_patient_warnings(
        whole.select(split=Split.TEST), whole, card("0" * 64, "clinic")
    )
    assert "trained on clinic by another split" in note
    assert known_patient_warnings(whole, whole, card("0" * 64, "elsewhere")) == []


def test_patients_whom_a_package_names_are_known_in_any_table(whole):
    judged = whole.select(split=Split.TEST)
    first, second = (record.patient for record in judged.records)
    known = KnownPatients(patient_digests([first]), patient_digests([second]))
    taught, chosen = known_patient_warnings(judged, whole, card("0" * 64, "clinic"), known)
    assert "learned from 1 of the 2 judged" in taught
    assert "were chosen on 1 of the 2 judged" in chosen
    others = KnownPatients(patient_digests([("clinic", "p0")]), frozenset())
    assert known_patient_warnings(judged, whole, card("0" * 64, "clinic"), others) == []
    strangers = KnownPatients(patient_digests([("clinic", "x")]), frozenset())
    (note,) = known_patient_warnings(judged, whole, card("0" * 64, "clinic"), strangers)
    assert "trained on clinic by another split" in note


def test_sources_of_the_same_women_are_warned_of():
    def said(*names):
        records = [Record(name, "1", "p", Path("x.png"), split=Split.TEST) for name in names]
        return caveats(Evidence(()), Manifest.of(records), Split.TEST)

    assert said("synthetic-demo", "mias")[0].startswith("WARNING: SYNTHETIC data (synthetic-demo)")
    assert not any("SYNTHETIC" in one for one in said("mias"))
    assert any(
        "cbis-ddsm and ddsm show the same patients" in one for one in said("ddsm", "cbis-ddsm")
    )
    assert not any("same patients" in one for one in said("ddsm", "mias"))
