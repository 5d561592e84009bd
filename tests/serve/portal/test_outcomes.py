"""The queue of outcomes, an exam's outcomes under blinding, and the audit beside the command's."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mammolens.cli_outcomes import app as command
from mammolens.serve.outcomes import outcomes_table
from mammolens.serve.record import (
    AUDIT,
    DECISIONS,
    EXAMS,
    INSTANCES,
    OUTCOMES,
    READINGS,
    REPORTS,
    ROLES,
    ROUNDS,
    SITES,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DECISION = {"version": 1, "outcome": "in_situ", "laterality": "L", "size_mm": 8.5}


def read(stage, table):
    with stage.database.read() as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()


def outcome(stage):
    return stage.cast.things["outcome_id"]


def test_a_person_sees_the_text_with_its_proof_and_corrects_it(stage):
    exam, number = stage.cast.things["exam_id"], outcome(stage)
    (row,) = stage.ask("north-reader", "GET", "/outcomes?state=waiting").json()["items"]
    assert (row["id"], row["reasons"]) == (number, [["malignant", ""]])
    shown = stage.ask("north-reader", "GET", f"/outcomes/{number}").json()
    proofs = {field: shown["text"][start:end] for field, start, end in shown["evidence"]}
    assert "invasive ductal carcinoma" in proofs["outcome"]
    done = stage.ask("north-reader", "PUT", f"/outcomes/{number}", DECISION | {"exam_id": exam})
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["decided"]["outcome"]) == ("decided", "in_situ")
    shown = stage.ask("north-head", "GET", f"/outcomes/{number}").json()
    (kept,) = shown["decisions"]
    assert (kept["proposed"]["outcome"], kept["decided"]["outcome"]) == ("invasive", "in_situ")
    assert len(read(stage, DECISIONS)) == 1
    noted = [row for row in read(stage, AUDIT) if row.action == "outcome_decided"]
    assert json.loads(noted[0].detail)["corrected"] == "outcome size_mm"
    assert stage.ask("north-reader", "GET", "/outcomes?state=waiting").json()["items"] == []


def test_two_people_do_not_overwrite_each_other(stage):
    body = DECISION | {"exam_id": None}
    place = f"/outcomes/{outcome(stage)}"
    assert stage.ask("north-reader", "PUT", place, body).status_code == 200
    second = stage.ask("north-head", "PUT", place, body)
    assert (second.status_code, second.json()["code"]) == (409, "changed")


def test_an_exam_of_another_site_cannot_be_chosen(stage):
    south = stage.cast.sites["south"]
    with stage.database.write() as connection:
        other = EXAMS.c.id != stage.cast.things["exam_id"]
        connection.execute(EXAMS.update().where(other).values(site_id=south))
        moved = connection.execute(sa.select(EXAMS.c.id).where(other)).scalar_one()
    body = DECISION | {"exam_id": moved}
    done = stage.ask("north-reader", "PUT", f"/outcomes/{outcome(stage)}", body)
    assert done.status_code == 404


@pytest.mark.parametrize("mode", ["second_reader", "triage_only"])
def test_an_outcome_is_hidden_until_the_first_answer_is_locked(stage, mode):
    exam = stage.cast.things["exam_id"]
    with stage.database.write() as connection:
        connection.execute(SITES.update().values(reading_mode=mode))
        connection.execute(READINGS.update().values(mode=mode))
    found = stage.ask("north-reader", "GET", f"/exams/{exam}/outcomes").json()
    assert found == {"hidden": True, "items": []}
    assert stage.ask("north-reader", "GET", "/outcomes").json()["items"] == []
    assert stage.ask("north-reader", "GET", f"/outcomes/{outcome(stage)}").status_code == 404
    lock = f"/readings/{stage.cast.things['reading_id']}/lock"
    assert stage.ask("north-reader", "POST", lock, if_match='"2"').status_code == 200
    found = stage.ask("north-reader", "GET", f"/exams/{exam}/outcomes").json()
    assert [one["row"]["proposed"]["outcome"] for one in found["items"]] == ["invasive"]


@pytest.mark.parametrize("mode", ["second_reader", "triage_only"])
def test_an_outcome_is_hidden_again_when_later_images_must_be_read(stage, mode):
    exam = stage.cast.things["exam_id"]
    with stage.database.write() as connection:
        connection.execute(SITES.update().values(reading_mode=mode))
        connection.execute(READINGS.update().values(mode=mode))
    lock = f"/readings/{stage.cast.things['reading_id']}/lock"
    assert stage.ask("north-reader", "POST", lock, if_match='"2"').status_code == 200
    with stage.database.write() as connection:
        version = sa.select(EXAMS.c.version).where(EXAMS.c.id == exam).scalar_subquery()
        decided = {"state": "decided", "version": version, "decided_at": NOW}
        connection.execute(ROUNDS.update().where(ROUNDS.c.exam_id == exam).values(decided))
    assert not stage.ask("north-reader", "GET", f"/exams/{exam}/outcomes").json()["hidden"]
    with stage.database.write() as connection:
        more = EXAMS.update().where(EXAMS.c.id == exam).values(version=EXAMS.c.version + 1)
        connection.execute(more)
    found = stage.ask("north-reader", "GET", f"/exams/{exam}/outcomes").json()
    assert found == {"hidden": True, "items": []}
    assert stage.ask("north-reader", "GET", f"/outcomes/{outcome(stage)}").status_code == 404


def test_a_report_counts_once_and_its_text_is_in_no_answer(stage):
    text = "Patient ID: P7\nReport No: 5\nLeft breast, core biopsy: invasive ductal carcinoma."
    sent = {"authorization": stage.headers("north-uploader by token")["authorization"]}
    answers = [
        stage.client.post("/api/v1/pathology", content=text.encode(), headers=sent)
        for _ in range(2)
    ]
    assert [(a.status_code, a.json()["new"]) for a in answers] == [(201, 1), (201, 0)]
    assert "carcinoma" not in answers[0].text


def test_an_outcome_without_an_exam_is_seen_by_those_of_its_site_alone(stage):
    """It comes from a patient who has no exam here yet, and nothing else of it is known."""
    text = "Patient ID: P77\nReport No: 8\nLeft breast, core biopsy: invasive ductal carcinoma."
    sent = {"authorization": stage.headers("north-uploader by token")["authorization"]}
    assert stage.client.post("/api/v1/pathology", content=text.encode(), headers=sent).json()["new"]
    (row,) = [one for one in read(stage, OUTCOMES) if one.exam_id is None]
    assert (row.state, row.site_id) == ("settled", stage.cast.sites["north"])
    for who in ("north-reader", "north-arbiter", "north-head", "admin"):
        items = stage.ask(who, "GET", "/outcomes?state=settled").json()["items"]
        assert [one["id"] for one in items] == [row.id], who
        assert stage.ask(who, "GET", f"/outcomes/{row.id}").status_code == 200, who
    for who in ("south-reader", "south-head", "north-uploader"):
        items = stage.ask(who, "GET", "/outcomes").json()["items"]
        assert row.id not in [one["id"] for one in items], who
        assert stage.ask(who, "GET", f"/outcomes/{row.id}").status_code == 404, who


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7 /Font", "PDF"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (b'{"resourceType": "Observation"}', "DiagnosticReport"),
        (b"\x00\x01\x02\x03" * 50, "not text"),
    ],
)
def test_what_is_no_report_is_refused_with_a_remedy(stage, content, words):
    sent = {"authorization": stage.headers("north-uploader by token")["authorization"]}
    done = stage.client.post("/api/v1/pathology", content=content, headers=sent)
    assert (done.status_code, done.json()["code"]) == (422, "report_unreadable")
    assert words in done.json()["detail"]


@pytest.fixture
def audited(make_empty_stage):
    """A site with 60 decided exams, of which some had a cancer, some of them after a miss."""
    stage = make_empty_stage()
    site, reader = stage.cast.sites["north"], stage.cast.people["north-reader"]
    now = stage.clock.now
    with stage.database.write() as connection:
        for number in range(60):
            day = date(2024, 1, 1) + timedelta(number)
            exam = {
                "study_instance_uid": f"1.9.{number}",
                "identity": f"{number + 100:064x}",
                "patient_id": f"P{number}",
                "study_date": day.isoformat(),
                "first_received_at": now,
                "last_received_at": now,
                "version": 1,
                "queued_version": 1,
                "four_views": True,
                "site_id": site,
                "age_years": 40 + number % 30,
                "machine": "ACME" if number % 2 else "Other",
                "category": "high" if number % 5 == 0 else "low",
            }
            exam_id = _insert(connection, EXAMS, exam)
            for view in ("RCC", "LCC"):
                one = {"sop_instance_uid": f"1.9.{number}.{view[0] == 'R':d}", "view": view}
                one |= {"sop_class_uid": "1.2", "digest": f"{number}{view}", "size": 1}
                one |= {"role": "input", "exam_id": exam_id, "exam_version": 1}
                _insert(connection, INSTANCES, one | {"sender": "dimse:X", "received_at": now})
            called = number % 6 == 0
            answer = json.dumps(
                {
                    "assessments": {
                        "left": {"birads": "4" if called else "1"},
                        "right": {"birads": "1"},
                    },
                    "density": {"left": "b", "right": "b"},
                    "recall": called,
                }
            )
            a_round = {"exam_id": exam_id, "number": 1, "is_double": False, "state": "decided"}
            a_round |= {"version": 1, "recall": called, "opened_at": now, "decided_at": now}
            reading = {"exam_id": exam_id, "round_id": _insert(connection, ROUNDS, a_round)}
            reading |= {"person_id": reader, "role": "reader", "state": "signed", "slot": "first"}
            reading |= {"mode": "concurrent", "exam_version": 1, "edition": 1, "answer": answer}
            reading |= {"first_answer": answer, "first_version": 1, "blinded": True}
            reading |= {"created_at": now, "changed_at": now, "locked_at": now, "signed_at": now}
            _insert(connection, READINGS, reading)
            if number % 10 == 0:
                kind = "invasive" if number % 20 == 0 else "benign"
                _biopsy(connection, site, exam_id, day + timedelta(30), kind, now)
    return stage


def _insert(connection, table, row):
    return connection.execute(table.insert().values(row).returning(table.c.id)).scalar_one()


def _biopsy(connection, site, exam, day, kind, now):
    report = {"site_id": site, "key": f"k{exam}", "patient": f"p{exam}", "digest": f"d{exam}"}
    report |= {"body": b"{}", "sender": "mllp:x", "received_at": now}
    row = {"report_id": _insert(connection, REPORTS, report), "key": f"k{exam}", "specimen": 0}
    values = {"outcome": kind, "laterality": "L", "tissue": "breast", "size_mm": 8.0}
    row |= {"site_id": site, "exam_id": exam, "state": "settled", "version": 1, "reasons": "[]"}
    row |= {"taken": day.isoformat(), "proposed": json.dumps(values), "candidates": "[]"}
    _insert(connection, OUTCOMES, row | {"changed_at": now})


PERIOD = {"from": "2024-01-01", "to": "2024-02-20"}


def test_the_page_gives_the_same_figures_as_the_command(audited, tmp_path):
    site = audited.cast.sites["north"]
    query = f"?complete_until=2025-12-31&from={PERIOD['from']}&to={PERIOD['to']}"
    page = audited.ask("north-head", "GET", f"/sites/{site}/audit{query}").json()
    assert page["counts"]["exams"] == 51
    assert page["readers"]["sensitivity"]["n"] == 3
    assert page["comparison"]["ai"]["sensitivity"]["n"] == 3
    exams, outcomes = tmp_path / "exams.csv", tmp_path / "outcomes.csv"
    exams.write_text(audited.ask("north-head", "GET", f"/sites/{site}/readings.csv").text)
    with audited.database.read() as connection:
        outcomes.write_text(outcomes_table(connection, site))
    words = ["audit", "--exams", exams, "--outcomes", outcomes, "--out", tmp_path / "out"]
    words += ["--complete-until", "2025-12-31", "--by", "reader,machine,density,age"]
    words += ["--from", PERIOD["from"], "--to", PERIOD["to"]]
    done = CliRunner().invoke(command, [*map(str, words)])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / "outcomes.json").read_text())
    assert {name: page[name] for name in told if name != "interval_cancers"} == {
        name: told[name] for name in told if name != "interval_cancers"
    }
    table = audited.ask("north-head", "GET", f"/sites/{site}/audit{query}&format=csv").text
    assert table == (tmp_path / "out" / "figures.csv").read_text()
    (row,) = [
        one
        for one in csv.DictReader(io.StringIO(table))
        if (one["who"], one["figure"], one["axis"]) == ("readers", "recall_rate", "all")
    ]
    assert (row["numerator"], row["denominator"]) == ("9", "51")


def test_an_interval_cancer_names_the_earlier_exam(audited):
    site = audited.cast.sites["north"]
    found = audited.ask("north-head", "GET", f"/sites/{site}/audit?complete_until=2025-12-31")
    missed = found.json()["interval_cancers"]
    assert missed
    assert all(isinstance(one["exam_id"], int) for one in missed)


def test_a_look_back_is_for_who_looks_after_the_site_and_is_noted(stage):
    exam = stage.cast.things["exam_id"]
    place = f"/exams/{exam}/viewer?look_back=true"
    for who, status in (("north-head", 200), ("admin", 200), ("north-reader", 403)):
        assert stage.ask(who, "GET", place).status_code == status, who
    assert stage.ask("south-head", "GET", place).status_code == 404
    noted = [row for row in read(stage, AUDIT) if row.action == "exam_looked_back"]
    assert [(row.exam_id, row.actor) for row in noted] == [
        (exam, "person:north-head"),
        (exam, "person:admin"),
    ]


def test_a_look_back_shows_the_ai_only_to_whom_it_may_be_shown(stage):
    """A reader who also looks after the site sees no outline before the own answer is locked."""
    exam, reader = stage.cast.things["exam_id"], stage.cast.people["north-reader"]
    with stage.database.write() as connection:
        connection.execute(SITES.update().values(reading_mode="second_reader"))
        connection.execute(READINGS.update().values(mode="second_reader"))
        role = {"person_id": reader, "site_id": stage.cast.sites["north"], "role": "administrator"}
        connection.execute(ROLES.insert().values(role))
    place = f"/exams/{exam}/viewer?look_back=true"
    assert stage.ask("north-reader", "GET", place).json()["ai"]["state"] == "withheld"


def test_subgroups_over_time_stand_in_the_page_the_table_and_the_print(audited, tmp_path):
    """Of all times, whatever the period; the AI calls each fifth exam, so machines differ."""
    site = audited.cast.sites["north"]
    whole = f"/sites/{site}/audit?complete_until=2025-12-31"
    page = audited.ask("north-head", "GET", whole).json()["fairness"]
    part = audited.ask("north-head", "GET", f"{whole}&to=2024-01-20").json()["fairness"]
    assert part == page
    exams, outcomes = tmp_path / "exams.csv", tmp_path / "outcomes.csv"
    exams.write_text(audited.ask("north-head", "GET", f"/sites/{site}/readings.csv").text)
    with audited.database.read() as connection:
        outcomes.write_text(outcomes_table(connection, site))
    rows = []
    for who in ("ai", "readers"):
        words = ["fairness", "--exams", exams, "--outcomes", outcomes, "--out", tmp_path / who]
        words += ["--complete-until", "2025-12-31", "--by", "machine,density,age", "--who", who]
        done = CliRunner().invoke(command, [*map(str, words)])
        assert done.exit_code == 0, done.output
        told = json.loads((tmp_path / who / "fairness.json").read_text())
        assert page[who] == told
        rows += (tmp_path / who / "fairness.csv").read_text().splitlines()[1:]
    table = audited.ask("north-head", "GET", f"{whole}&format=fairness")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[1:] == rows
    first = next(csv.DictReader(io.StringIO(table.text)))
    assert (first["who"], first["axis"], int(first["n"]) > 0) == ("ai", "machine", True)
    assert float(first["low"]) <= float(first["value"]) <= float(first["high"])
    pypdf = pytest.importorskip("pypdf")
    pdf = audited.ask("north-head", "GET", f"{whole}&format=pdf").content
    assert "Subgroups over time" in " ".join(
        page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages
    )


def test_the_audit_is_printed(audited):
    site = audited.cast.sites["north"]
    made = audited.ask(
        "north-head", "GET", f"/sites/{site}/audit?complete_until=2025-12-31&format=pdf"
    )
    assert made.content.startswith(b"%PDF")
    assert [row.action for row in read(audited, AUDIT)][-1] == "audit_made"


def test_an_audit_without_outcomes_says_so(make_empty_stage):
    stage = make_empty_stage()
    done = stage.ask("north-head", "GET", f"/sites/{stage.cast.sites['north']}/audit")
    assert (done.status_code, done.json()["code"]) == (409, "no_outcomes")


def test_what_waits_is_never_counted_as_no_cancer(audited):
    site = audited.cast.sites["north"]
    with audited.database.write() as connection:
        connection.execute(OUTCOMES.update().values(state="waiting"))
    done = audited.ask("north-head", "GET", f"/sites/{site}/audit?complete_until=2025-12-31").json()
    assert done["excluded"]["tissue was taken, and the outcome is not known"] == 6
    assert done["waiting_outcomes"] == 6
