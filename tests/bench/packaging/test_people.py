"""Who was in the training data: what the cards say, counted by hand."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from mammolens.bench.packaging.card_text import people_groups
from mammolens.data.manifest import Record
from mammolens.model import list_models, read_card
from mammolens.model.package_writer import card_markdown


def record(number, patient, **facts):
    return Record("rsna", str(number), patient, Path(f"{number}.png"), **facts)


RECORDS = [
    record(1, "a", age_years=39.9, density="D", malignant=True, machine="49"),
    record(2, "a", age_years=40.0, density="D", malignant=False, machine="49"),
    record(3, "b", malignant=None, machine="21"),
    record(4, "b", malignant=None, machine="21"),
]


def counts(axis):
    rows = people_groups(RECORDS)
    return {one.group: (one.patients, one.images) for one in rows if one.axis == axis}


def test_people_are_counted_by_patient_and_image():
    assert counts("cancer") == {"malignant": (1, 1), "not malignant": (1, 1), "unknown": (1, 2)}
    assert counts("machine") == {"rsna: 21": (1, 2), "rsna: 49": (1, 2)}
    assert counts("country") == {"Australia or United States": (2, 4)}
    assert counts("age") == {
        "under 40": (1, 1),
        "40–49": (1, 1),
        "50–59": (0, 0),
        "60–69": (0, 0),
        "70 and over": (0, 0),
        "unknown": (1, 2),
    }


def test_what_no_image_says_is_unknown_and_never_zero():
    assert counts("sex") == counts("implant") == {"unknown": (2, 4)}


@pytest.mark.parametrize("name", list_models())
def test_every_card_that_is_shipped_says_who_was_in_the_data(name):
    folder = files("mammolens") / "models" / name
    card = read_card((folder / "card.json").read_text("utf-8"), name)
    people = card.training.people
    for axis in ("source", "country"):
        rows = [one for one in people if one.axis == axis]
        assert sum(one.images for one in rows) == sum(d.images for d in card.training.datasets)
    assert {one.axis for one in people} >= {"sex", "age", "density", "implant", "machine", "cancer"}
    assert (folder / "CARD.md").read_text("utf-8") == card_markdown(card)
    assert "Who was in the data, and who was not" in card_markdown(card)
