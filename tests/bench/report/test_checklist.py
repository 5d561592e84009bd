"""The checklists: official numbers, and no claim that the run cannot make."""

from __future__ import annotations

import pytest

from mammolens.bench.report.checklist import (
    CHECKLISTS,
    DEVELOPMENT,
    OPEN,
    PARTLY,
    REPORTED,
    Known,
    fill,
    read_checklist,
)
from mammolens.bench.report.evaluation_document import build_document
from mammolens.bench.report.run_folder import read_run

TRIPOD_AI, CLAIM = map(read_checklist, CHECKLISTS.values())

PARTS = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}
"""Parts of the items of TRIPOD+AI, Collins et al. 2024, table 2; the others have none."""

STUDIES = {
    "D": {"9a", "12a", "12b", "12c", "15", "22", "27a", "27b"},
    "E": {"12f", "12g", "20c", "24"},
}
"""Items of TRIPOD+AI that are asked of development or of evaluation alone, in the same table."""

NEVER_KNOWN = {
    "TRIPOD+AI": ("5b", "6a", "6b", "8b", "8c", "17", "18a", "18b", "19", "25"),
    "CLAIM 2024": ("5", "11", "13", "15", "16", "17", "18", "21", "32", "33", "34", "44"),
}


def test_tripod_has_27_items_and_52_with_their_parts():
    expected = [f"{n}{part}" for n in range(1, 28) for part in PARTS.get(n, [""])]
    assert [item.number for item in TRIPOD_AI.items] == expected
    assert len(expected) == 52


def test_tripod_says_which_studies_an_item_is_asked_of():
    for studies, numbers in STUDIES.items():
        assert {i.number for i in TRIPOD_AI.items if i.studies == studies} == numbers
    assert {item.studies for item in TRIPOD_AI.items} == {"D", "E", "D;E"}


def test_claim_has_44_items():
    assert [item.number for item in CLAIM.items] == [str(n) for n in range(1, 45)]


@pytest.mark.slow
@pytest.mark.parametrize("checklist", [TRIPOD_AI, CLAIM], ids=lambda one: one.name)
def test_items_are_filled_from_the_run_or_open(checklist, evaluation):
    run = read_run(evaluation)
    document = build_document(run)
    places = {section.anchor: section.title for section in document.sections}
    filled = {one.item.number: one for one in fill(checklist.items, Known(run.metrics, places))}
    left = {OPEN, DEVELOPMENT} if checklist is TRIPOD_AI else {OPEN}
    assert {one.state for one in filled.values()} == {REPORTED, PARTLY, *left}
    for one in filled.values():
        assert (one.state in left) == (one.words == "") == (one.place == "")
        assert one.place in {"", *places.values()}
    assert all(filled[number].state == OPEN for number in NEVER_KNOWN[checklist.name])


@pytest.mark.parametrize("checklist", [TRIPOD_AI, CLAIM], ids=lambda one: one.name)
def test_nothing_is_claimed_of_a_report_without_sections(checklist, evaluation):
    filled = fill(checklist.items, Known(read_run(evaluation).metrics, {}))
    assert {one.state for one in filled} <= {OPEN, DEVELOPMENT}


def test_subgroups_make_performance_whole(evaluation):
    metrics = read_run(evaluation).metrics
    places = {"discrimination": "Discrimination"}
    for more, state in (({}, PARTLY), ({"subgroups": "S"}, REPORTED)):
        known = Known(metrics, places | more)
        (item,) = [one for one in fill(TRIPOD_AI.items, known) if one.item.number == "23a"]
        assert item.state == state


def test_recalibration_that_could_not_be_fitted_is_not_reported(evaluation):
    metrics = read_run(evaluation).metrics
    lacking = {"calibration": {"recalibration": {"patient": {"note": "no recalibration"}}}}
    for datasets, state in ((metrics["datasets"], REPORTED), ({"made": lacking}, OPEN)):
        known = Known({**metrics, "datasets": datasets}, {"recalibration": "Recalibration"})
        (item,) = [one for one in fill(TRIPOD_AI.items, known) if one.item.number == "24"]
        assert item.state == state
