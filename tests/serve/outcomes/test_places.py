"""Where a biopsy lies in the views of its exam, and the findings of the AI there."""

from __future__ import annotations

import json

import pytest

from mammolens.serve.holdings import retention
from mammolens.serve.outcomes.places import places_of
from mammolens.serve.record import INSTANCES, JOBS, OUTCOMES, OVERLAYS, PICTURES, REPORTS, RESULTS
from mammolens.serve.viewer import pack

from .conftest import NOW, message

PLACED = "Right breast, 9 o'clock, 4 cm from the nipple, core biopsy: fibroadenoma. B2."
SPACING = {"imager": [0.5, 0.5], "magnification": None, "calibrated": None, "documented": None}


def add(connection, table, row, key):
    return connection.execute(table.insert().values(row).returning(key)).scalar_one()


@pytest.fixture
def with_findings(database):
    """Give a function that gives an exam a right CC view with these boxes of findings."""

    def enter(exam, boxes):
        with database.write() as connection:
            image = {"sop_instance_uid": "1.2.3", "sop_class_uid": "1", "digest": "a" * 64}
            image |= {"size": 1, "role": "input", "view": "RCC", "exam_id": exam}
            image |= {"exam_version": 1, "sender": "x", "received_at": NOW}
            number = add(connection, INSTANCES, image, INSTANCES.c.id)
            facts = {"breastBox": [0, 0, 400, 200], "spacing": SPACING}
            facts |= {"orientation": {"chestWallEdge": "left"}}
            picture = {"instance_id": number, "state": "made", "attempts": 1, "not_before": NOW}
            picture |= {"digest": "b" * 64, "facts": pack(facts)}
            add(connection, PICTURES, picture, PICTURES.c.instance_id)
            job = {"exam_id": exam, "version": 1, "state": "done", "attempts": 1}
            job |= dict.fromkeys(("not_before", "created_at", "finished_at"), NOW)
            result = {"exam_id": exam, "job_id": add(connection, JOBS, job, JOBS.c.id)}
            result |= {"revision": 1, "category": "high", "malignancy": 0.9, "tumour": 0.9}
            result |= {"n_images": 1, "n_unreadable": 0, "cautions": "", "model_name": "m"}
            result |= {"model_version": "1", "model_digest": "d", "created_at": NOW}
            made = add(connection, RESULTS, result, RESULTS.c.id)
            images = [{"sopInstanceUid": "1.2.3", "findings": [{"box": box} for box in boxes]}]
            overlay = {"result_id": made, "body": pack({"images": images})}
            add(connection, OVERLAYS, overlay, OVERLAYS.c.result_id)

    return enter


INSIDE, OUTSIDE = [100, 120, 140, 160], [340, 100, 380, 140]


def test_a_biopsy_finds_the_finding_of_its_region(add_exam, with_findings, take, rows, database):
    exam = add_exam()
    with_findings(exam, [OUTSIDE, INSIDE])
    take(message(PLACED))
    (row,) = rows(OUTCOMES)
    assert row.state == "settled"
    with database.read() as connection:
        (place,) = places_of(connection, exam, json.loads(row.proposed))
    assert (place.view, place.findings) == ("RCC", (1,))


def test_several_findings_in_the_region_wait_for_a_person(add_exam, with_findings, take, rows):
    exam = add_exam()
    with_findings(exam, [INSIDE, [120, 130, 150, 170]])
    take(message(PLACED))
    (row,) = rows(OUTCOMES)
    assert json.loads(row.reasons) == [["several_findings", ""]]


def test_reports_go_with_their_exam(add_exam, take, rows, database):
    first, second = add_exam(), add_exam("P2")
    take(message())
    take(message(patient="P2", report="PATH-2"))
    with database.write() as connection:
        retention._delete_exam_rows(connection, [first])
    assert [row.exam_id for row in rows(OUTCOMES)] == [second]
    assert len(rows(REPORTS)) == 1
