"""A reading over HTTP from its first draft to the referring doctor's report."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammolens.serve.people import set_reading
from mammolens.serve.record import EXAMS, ReadingMode

ANSWER = {
    "density": {"right": "b", "left": "b"},
    "assessments": {"right": {"birads": "1"}, "left": {"birads": "4"}},
    "recall": True,
    "comment": "Two lines\nof words",
    "findings": [
        {
            "image": "1.2.3.4.1",
            "shape": "ellipse",
            "points_source_px": [[10, 12.5], [40, 60]],
            "descriptors": {"type": "mass", "answers": {"margin": "spiculated"}},
        }
    ],
}


@pytest.fixture
def exam(stage, send_views) -> int:
    """An exam of four views at the site, which reads before it sees the AI."""
    send_views(stage.state, range(4), PatientID="P9", PatientName="Doe^Jane")
    admin = _person(stage, "admin")
    north = stage.cast.sites["north"]
    set_reading(stage.database, admin, north, reading_mode=ReadingMode.SECOND_READER)
    with stage.database.write() as connection:
        here = EXAMS.update().where(EXAMS.c.patient_id == "P9")
        connection.execute(here.values(site_id=north))
        row = connection.execute(EXAMS.select().where(EXAMS.c.patient_id == "P9")).one()
    return row.id


def _person(stage, name):
    from mammolens.serve.people import find_person

    with stage.database.read() as connection:
        found = find_person(connection, stage.cast.people[name])
    assert found is not None
    return found


def test_from_draft_to_report(stage, exam):
    who = "north-reader"

    def ask(method, path, body=None, status=200, etag=None):
        headers = {} if etag is None else {"if_match": etag}
        done = stage.ask(who, method, path, body, **headers)
        assert done.status_code == status, done.text
        return done

    made = ask("POST", f"/exams/{exam}/readings", status=201)
    assert ask("POST", f"/exams/{exam}/readings").json() == made.json()
    path, etag = f"/readings/{made.json()['id']}", made.headers["etag"]
    assert made.json()["etag"] == etag == '"1"'
    assert ask("PUT", path, ANSWER, 428).json()["code"] == "if_match_needed"
    saved = ask("PUT", path, ANSWER, etag=etag).json()
    assert {key: saved[key] for key in ANSWER} | {"findings": 0} == ANSWER | {"findings": 0}
    assert saved["findings"][0]["points_source_px"] == [[10, 12.5], [40, 60]]
    for stale in (etag, "*", '"x"'):
        assert ask("PUT", path, ANSWER, 412, stale).json()["code"] == "stale"
    wrong = ANSWER | {"findings": [ANSWER["findings"][0] | {"image": "1.9"}]}
    assert ask("PUT", path, wrong, 422, saved["etag"]).json()["errors"] == [
        {"field": "findings.image", "detail": "incomplete"}
    ]
    half = ask("PUT", path, ANSWER | {"recall": None}, etag=saved["etag"]).json()
    said = ask("POST", f"{path}/lock", status=422, etag=half["etag"]).json()
    assert (said["code"], said["errors"][0]["field"]) == ("incomplete", "recall")
    saved = ask("PUT", path, ANSWER, etag=half["etag"]).json()
    locked = ask("POST", f"{path}/lock", etag=saved["etag"]).json()
    assert (locked["state"], locked["blinded"]) == ("locked", True)
    said = ask("POST", f"{path}/sign", status=409, etag=locked["etag"]).json()
    assert said["code"] == "not_locked"
    both = {"agree": True, "changes": ANSWER}
    ask("POST", f"{path}/revise", both, 422, locked["etag"])
    ask("POST", f"{path}/revise", {"agree": False}, 422, locked["etag"])
    changes = ANSWER | {"comment": "Changed"}
    changed = ask(
        "POST", f"{path}/revise", {"agree": False, "changes": changes}, etag=locked["etag"]
    ).json()
    assert changed["after_ai"]["agreed"] is False
    assert (changed["comment"], changed["first_answer"]["comment"]) == (
        "Changed",
        ANSWER["comment"],
    )
    signed = ask("POST", f"{path}/sign", etag=changed["etag"]).json()
    assert (signed["state"], signed["slot"]) == ("signed", "first")
    added = ask("POST", f"{path}/addenda", {"text": " One more "}, 201).json()
    assert added["addenda"][0]["text"] == "One more"
    ask("POST", f"{path}/addenda", {"text": " "}, 422)
    _reports(ask, path)
    rows = stage.ask("north-head", "GET", f"/sites/{stage.cast.sites['north']}/readings.csv")
    found = [row for row in csv.DictReader(io.StringIO(rows.text)) if row["patient_id"] == "P9"]
    assert [(row["path"], row["birads"]) for row in found][:2] == [
        ("images/1.2.3.4.0.dcm", "1"),
        ("images/1.2.3.4.1.dcm", "4"),
    ]
    store = stage.ask("north-head", "GET", rows.request.url.path[7:] + "?paths=store")
    assert store.status_code == 403


def _reports(ask, path):
    page = ask("GET", f"{path}/report?lang=de")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "sha256-" in page.headers["content-security-policy"]
    assert "sandbox" in page.headers["content-security-policy"]
    assert "Jane Doe" in page.text
    assert page.text.count("data:image/png") == 4
    made = ask("GET", f"{path}/report?format=pdf")
    assert made.content.startswith(b"%PDF-")
    assert "attachment" in made.headers["content-disposition"]
    report = pydicom.dcmread(io.BytesIO(ask("GET", f"{path}/sr").content))
    assert str(report.PatientName) == "Doe^Jane"
    with zipfile.ZipFile(io.BytesIO(ask("GET", f"{path}/gsps").content)) as archive:
        assert len(archive.namelist()) == 1
    bundle = ask("GET", f"{path}/fhir").json()
    assert bundle["entry"][-1]["resource"]["resourceType"] == "DiagnosticReport"
    assert ask("GET", f"{path}/hl7").text.startswith("MSH|")
    ask("GET", f"{path}/report?lang=xx", status=422)


def test_a_program_drafts_and_does_not_sign(stage, exam):
    who = "north-reader by token"
    made = stage.ask(who, "POST", f"/exams/{exam}/readings").json()
    saved = stage.ask(who, "PUT", f"/readings/{made['id']}", ANSWER, if_match=made["etag"])
    assert saved.status_code == 200
    for step in ("lock", "sign"):
        done = stage.ask(who, "POST", f"/readings/{made['id']}/{step}", if_match='"2"')
        assert (done.status_code, done.json()["code"]) == (403, "session_needed")


def test_how_a_site_reads_is_set_by_its_administrator(stage):
    address = f"/sites/{stage.cast.sites['north']}"
    changes = {"reading_mode": "triage_only", "order": "triage", "double_reading": True}
    done = stage.ask("north-head", "PATCH", address, changes | {"language": "de"})
    assert {key: done.json()[key] for key in changes} == changes
    assert done.json()["language"] == "de"
    assert stage.ask("north-head", "PATCH", address, {"name": "N"}).json()["order"] == "triage"
    assert stage.ask("north-head", "PATCH", address, {"language": "xx"}).status_code == 422


def test_lists_are_paged_by_their_last_row(stage):
    for name in ("notices", "recalls", "opinions", "readers"):
        page = stage.ask("north-reader", "GET", f"/{name}?limit=1").json()
        assert len(page["items"]) == 1
        if page["next"] is not None:
            after = stage.ask("north-reader", "GET", f"/{name}?before={page['next']}").json()
            assert page["items"][0] not in after["items"]
        assert stage.ask("north-reader", "GET", f"/{name}?limit=0").status_code == 422


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*ANSWER, *ANSWER["findings"][0], "x"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(junk=JUNK, kind=st.sampled_from(["PUT", "lock", "revise", "look", "sign", "addenda"]))
def test_whatever_is_sent_is_no_fault_of_ours(stage, junk, kind):
    number = stage.cast.things["reading_id"]
    now = stage.ask("north-reader", "GET", f"/readings/{number}").json()
    method, path = ("PUT", "") if kind == "PUT" else ("POST", f"/{kind}")
    sent = stage.headers("north-reader") | {
        "if-match": now["etag"],
        "content-type": "application/json",
    }
    stage.client.cookies.clear()
    done = stage.client.request(
        method,
        f"/api/v1/readings/{number}{path}",
        content=json.dumps(junk, ensure_ascii=True).encode(),
        headers=sent,
    )
    assert done.status_code < 500, (done.status_code, done.text)
    if done.status_code >= 400:
        assert done.headers["content-type"] == "application/problem+json"


HOSTILE = '<script>alert(1)</script>#import "x" =cmd()'


def test_hostile_words_stay_words(stage, exam):
    who = "north-reader"
    answer = ANSWER | {"comment": HOSTILE, "urgent": HOSTILE}
    answer["findings"] = [ANSWER["findings"][0] | {"text": HOSTILE}]
    made = stage.ask(who, "POST", f"/exams/{exam}/readings").json()
    for step, body in (
        ("", answer),
        ("/lock", None),
        ("/revise", {"agree": True}),
        ("/sign", None),
    ):
        method = "PUT" if not step else "POST"
        path = f"/readings/{made['id']}{step}"
        made = stage.ask(who, method, path, body, if_match=made["etag"]).json()
    page = stage.ask(who, "GET", f"/readings/{made['id']}/report").text
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    made_pdf = stage.ask(who, "GET", f"/readings/{made['id']}/report?format=pdf")
    assert made_pdf.status_code == 200
    for kind in ("sr", "gsps", "fhir", "hl7"):
        assert stage.ask(who, "GET", f"/readings/{made['id']}/{kind}").status_code == 200


def test_who_is_asked_about_one_exam_sees_no_other_of_the_patient(stage, send_views):
    north, guest = stage.cast.sites["north"], "south-reader"
    for number, study in enumerate(("1.7", "1.8")):
        tags = {"StudyInstanceUID": study, "StudyDate": f"202{number}0101"}
        tags |= {"SOPInstanceUID": f"{study}.1", "PatientBirthDate": "19600201"}
        send_views(stage.state, [0], PatientID="P7", PatientName="Roe^Ann", **tags)
    with stage.database.write() as connection:
        here = EXAMS.c.patient_id == "P7"
        connection.execute(EXAMS.update().where(here).values(site_id=north))
        rows = connection.execute(EXAMS.select().where(here).order_by(EXAMS.c.id)).all()
    old, new = (row.id for row in rows)
    asked = {"person_id": stage.cast.people[guest], "question": "?"}
    assert stage.ask("north-reader", "POST", f"/exams/{new}/opinions", asked).status_code == 201
    seen = {
        name: stage.ask(name, "GET", f"/exams/{new}").json() for name in ("north-reader", guest)
    }
    assert [one["id"] for one in seen["north-reader"]["priors"]] == [old]
    assert seen[guest]["priors"] == []
    assert stage.ask(guest, "GET", f"/exams/{new}/viewer").json()["priors"] == []
    assert stage.ask(guest, "GET", f"/exams/{old}").status_code == 404
    listed = stage.ask(guest, "GET", "/exams").json()["items"]
    assert new in [one["id"] for one in listed]
    assert old not in [one["id"] for one in listed]
