"""A second model scores after the exam's own result, and is shown to nobody."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import insert

from mammolens.errors import InvalidManifest
from mammolens.serve.holdings import open_state
from mammolens.serve.outcomes import compare_shadow
from mammolens.serve.record import (
    EXAMS,
    FILES,
    JOBS,
    OUTCOMES,
    REPORTS,
    RESULTS,
    SHADOW_SCORES,
    ensure_site,
)
from mammolens.serve.settings import NodeSettings
from mammolens.serve.work import work


def settings_of(tmp_path, package, shadow):
    return NodeSettings(
        data=tmp_path / "node",
        model={"name": str(package), "shadow": str(shadow)},
        intake={"min_free_mb": 0},
        exams={"quiet_time_s": 0.01},
        log={"level": "error"},
    )


def read(state, table):
    with state.database.read() as connection:
        return connection.execute(table.select()).all()


@pytest.mark.slow
def test_the_second_model_scores_silently(tmp_path, package, make_package, send_views):
    with open_state(settings_of(tmp_path, package, make_package())) as state:
        send_views(state, range(4))
        work(state, 1, threading.Event(), once=True)
        (result,) = read(state, RESULTS)
        (score,) = read(state, SHADOW_SCORES)
        assert (score.category, score.version) == (result.category, 4)
        assert score.malignancy == pytest.approx(result.malignancy)
        assert json.loads(result.breasts).keys() == {"L", "R"}
        assert {row.sink for row in read(state, FILES)} == {"json"}
        assert len(read(state, JOBS)) == 1


@pytest.mark.slow
def test_a_second_model_that_cannot_be_loaded_stops_nothing(tmp_path, package, send_views):
    with open_state(settings_of(tmp_path, package, tmp_path / "absent")) as state:
        send_views(state, range(4))
        work(state, 1, threading.Event(), once=True)
        assert len(read(state, RESULTS)) == 1
        assert read(state, SHADOW_SCORES) == []


def fill(state, n=60):
    """Enter exams with scores of both models, of which the second ranks the cancers better."""
    database = state.database
    with database.write() as connection:
        site, now = ensure_site(database, connection, "north"), database.now(connection)
        for number in range(n):
            cancer, day = number % 4 == 0, date(2024, 1, 1) + timedelta(number)
            exam = {"study_instance_uid": f"1.{number}", "identity": f"{number:064x}"}
            exam |= {"patient_id": f"P{number}", "study_date": day.isoformat(), "site_id": site}
            exam |= dict.fromkeys(("first_received_at", "last_received_at"), now)
            exam |= {"version": 1, "queued_version": 1, "four_views": True}
            exam_id = add(connection, EXAMS, exam)
            job = {"exam_id": exam_id, "version": 1, "state": "done", "attempts": 1}
            job |= dict.fromkeys(("not_before", "created_at", "finished_at"), now)
            result = {"exam_id": exam_id, "job_id": add(connection, JOBS, job), "revision": 1}
            result |= {"category": "low", "malignancy": (number % 7) / 10, "tumour": 0.5}
            result |= {"n_images": 4, "n_unreadable": 0, "cautions": "", "model_name": "old"}
            result |= {"model_version": "1", "model_digest": "d", "created_at": now}
            add(connection, RESULTS, result)
            score = {"exam_id": exam_id, "version": 1, "model": "new 2", "model_digest": "e"}
            score |= {"category": "high" if cancer else "low", "malignancy": 0.2 + 0.6 * cancer}
            add(connection, SHADOW_SCORES, score | {"created_at": now})
            if cancer:
                biopsy(connection, site, exam_id, day + timedelta(20), now)


def biopsy(connection, site, exam_id, day, now):
    report = {"site_id": site, "key": f"k{exam_id}", "patient": "p", "digest": f"{exam_id}"}
    report |= {"body": b"{}", "sender": "x", "received_at": now}
    said = {"outcome": "invasive", "laterality": "L", "tissue": "breast"}
    row = {"report_id": add(connection, REPORTS, report), "key": f"k{exam_id}", "specimen": 0}
    row |= {"site_id": site, "exam_id": exam_id, "state": "settled", "version": 1}
    row |= {"taken": day.isoformat(), "proposed": json.dumps(said), "reasons": "[]"}
    add(connection, OUTCOMES, row | {"candidates": "[]", "changed_at": now})


def add(connection, table, row):
    return connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one()


def test_both_models_are_compared_on_the_sites_own_outcomes(state):
    fill(state)
    found = compare_shadow(state, "north", date(2026, 2, 1), date(2026, 1, 1))
    assert (found["exams"], found["cancers"], found["shadow"]) == (60, 15, "new 2")
    assert found["auc"]["new 2"]["value"] == 1.0
    assert found["auc"]["difference"]["low"] > 0.2
    assert found["rate_differences"]["sensitivity"]["value"] == 1.0
    assert "never shown" in found["notice"]


def test_without_both_scores_there_is_nothing_to_compare(state):
    fill(state)
    with state.database.write() as connection:
        connection.execute(SHADOW_SCORES.delete())
    with pytest.raises(InvalidManifest, match="scores of both models"):
        compare_shadow(state, "north", date(2026, 2, 1), date(2026, 1, 1))
