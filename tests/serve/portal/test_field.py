"""Community health workers: exams only with a consent, nothing of the AI; the model, and links."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from mammolens.core import ImageRef, SourceHeader
from mammolens.errors import NotAnImage
from mammolens.serve.holdings.encryption import open_seal
from mammolens.serve.record import AUDIT, CONSENTS, EXAMS, UPLOADS, ReadingMode
from mammolens.serve.settings import DeidentifySettings
from mammolens.serve.uploads import Consent
from mammolens.serve.uploads.patients import contradiction, refuse_other_patient
from mammolens.serve.uploads.receiving import tidy

from .test_uploads import begin, put, result

WORKER = "north-worker"
PATIENTS = Path(__file__).parents[3] / "web" / "tests" / "golden" / "patients.json"
"""The page compares in the same way, and its tests read the same table."""
CONSENT = {
    "id": "consent-0123456789abcdef",
    "text_version": "1",
    "text_digest": "a" * 64,
    "language": "en",
    "name": "Jane Doe",
    "patient_id": "P1",
    "birth_year": 1960,
    "given_at": "2026-01-01T08:00:00Z",
}


@pytest.fixture
def stage(make_empty_stage):
    return make_empty_stage()


def consent(**changes) -> str:
    return json.dumps(CONSENT | changes)


def send(stage, film, **changes):
    place = begin(stage, len(film), WORKER, consent=consent(**changes)).headers["location"]
    assert put(stage, place, 0, film, WORKER).status_code == 204
    return result(stage, place, WORKER)["members"][0]["exam_id"]


def count(stage, table) -> int:
    with stage.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_health_worker_sends_only_with_a_consent(stage):
    refused = begin(stage, 5, WORKER)
    assert (refused.status_code, refused.json()["code"]) == (422, "consent")
    assert count(stage, UPLOADS) == 0
    assert not list((stage.state.settings.data / "uploads").glob("*"))


def test_the_consent_comes_with_every_image_and_counts_once(stage, mammogram):
    exams = {send(stage, mammogram(n)) for n in range(2)}
    assert len(exams) == 1
    (exam,) = exams
    assert count(stage, CONSENTS) == 1
    (found,) = stage.ask("north-reader", "GET", f"/exams/{exam}/consents").json()
    assert (found["name"], found["patient_id"], found["birth_year"]) == ("Jane Doe", "P1", 1960)
    assert (found["text_version"], found["asked_by"]) == ("1", "north-worker")
    assert stage.ask("south-reader", "GET", f"/exams/{exam}/consents").status_code == 404
    with stage.database.read() as connection:
        actions = list(connection.execute(sa.select(AUDIT.c.action)).scalars())
        details = " ".join(connection.execute(sa.select(AUDIT.c.detail)).scalars())
    assert actions.count("consent_entered") == 1
    assert "consents_seen" in actions
    assert "Jane" not in details


def test_another_consent_of_the_same_name_is_refused(stage, mammogram):
    send(stage, mammogram(0))
    for who, changes in ((WORKER, {"name": "Another"}), ("north-uploader", {})):
        done = begin(stage, 5, who, consent=consent(**changes))
        assert (done.status_code, done.json()["code"]) == (422, "key_reused")


@pytest.mark.parametrize(
    "changes", [{"patient_id": "P2"}, {"name": "John Roe"}, {"birth_year": 1961}]
)
def test_an_image_of_another_patient_is_rejected_and_not_kept(stage, mammogram, changes):
    film = mammogram(0, PatientName="Doe^Jane", PatientBirthDate="19600101")
    place = begin(stage, len(film), WORKER, consent=consent(**changes)).headers["location"]
    assert put(stage, place, 0, film, WORKER).status_code == 204
    (member,) = result(stage, place, WORKER)["members"]
    assert (member["outcome"], member["exam_id"]) == ("rejected", None)
    assert member["reason"].startswith("the image is not of the patient who agreed")
    assert "Doe" not in member["reason"]
    assert count(stage, EXAMS) == 0
    # With a consent of that patient the same image is received.
    assert send(stage, film, id="consent-of-the-right-one") is not None


def test_page_and_server_compare_patients_alike():
    table = json.loads(PATIENTS.read_text("utf-8"))
    agreed = CONSENT | table["agreed"]
    given = Consent(**agreed)
    for image in table["images"]:
        stated = image["patient_id"], image["name"], image["birth_date"]
        assert contradiction(given, *stated) == image["other"], stated
        if image["other"] is not None:
            header = SourceHeader(patient_name=stated[1], patient_birth_date=stated[2])
            with pytest.raises(NotAnImage, match=image["other"]):
                refuse_other_patient(given, ImageRef("a", patient_id=stated[0]), header)


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_year": 1800},
        {"name": ""},
        {"name": "a\nb"},
        {"text_digest": "x"},
        {"given_at": "yesterday"},
        {"given_at": "2199-01-01T00:00:00Z"},
        {"more": 1},
    ],
)
def test_what_is_no_consent_is_refused(stage, changes):
    done = begin(stage, 5, WORKER, consent=consent(**changes))
    assert done.status_code == 422
    assert "Jane" not in done.text
    assert count(stage, UPLOADS) == count(stage, CONSENTS) == 0


def test_where_identity_is_taken_off_the_consent_is_encrypted(make_empty_stage, mammogram):
    pytest.importorskip("cryptography")
    stage = make_empty_stage()
    seal = open_seal(stage.database, DeidentifySettings(key="k" * 32))
    app = stage.client.app.app
    sealed = replace(stage.state, results=replace(stage.state.results, seal=seal))
    app.state.portal = replace(app.state.portal, state=sealed)
    exam = send(stage, mammogram(0))
    with stage.database.read() as connection:
        assert b"Jane" not in connection.execute(sa.select(CONSENTS.c.said)).scalar_one()
    (found,) = stage.ask("north-reader", "GET", f"/exams/{exam}/consents").json()
    assert found["name"] == "Jane Doe"


def test_a_consent_whose_images_never_came_is_forgotten(stage):
    begin(stage, 5, WORKER, consent=consent())
    for _ in range(2):
        stage.clock.turn(40 * 86400)
        tidy(stage.state)
    assert count(stage, CONSENTS) == count(stage, UPLOADS) == 0


@pytest.mark.parametrize("mode", list(ReadingMode))
def test_a_health_worker_is_shown_nothing_of_the_ai(make_stage, mode):
    stage = make_stage()
    exam = stage.cast.things["exam_id"]
    site = stage.cast.sites["north"]
    body = {"reading_mode": mode.value}
    assert stage.ask("north-head", "PATCH", f"/sites/{site}", body).status_code == 200
    with stage.database.write() as connection:
        values = {"category": "low", "score": 0.01}
        connection.execute(EXAMS.update().where(EXAMS.c.id == exam).values(values))
    row = stage.ask(WORKER, "GET", f"/exams/{exam}").json()
    assert (row["ai"], row["ai_hidden"]) == (None, True)
    assert stage.ask(WORKER, "GET", f"/exams/{exam}/ai").json()["code"] == "ai_locked"
    listed = stage.ask(WORKER, "GET", "/exams?category=low").json()
    assert listed["items"] == []


def test_the_model_is_given_by_its_digest_to_whoever_is_signed_in(stage):
    said = stage.ask(WORKER, "GET", "/model").json()
    for file in (said["card"], said["graph"]):
        got = stage.ask(WORKER, "GET", file["url"].removeprefix("/api/v1"))
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"]
        assert len(got.content) == file["bytes"]
        assert got.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert stage.ask("stranger", "GET", file["url"].removeprefix("/api/v1")).status_code == 401
    assert stage.ask(WORKER, "GET", f"/model/files/{'0' * 64}").status_code == 404


def test_a_model_that_is_missing_says_so(make_empty_stage):
    stage = make_empty_stage(model={"name": "/nowhere"})
    done = stage.ask(WORKER, "GET", "/model")
    assert (done.status_code, done.json()["code"]) == (503, "no_model")


def test_a_link_is_made_once_listed_and_revoked(make_stage):
    stage = make_stage()
    signed = stage.cast.things["signed_id"]
    exam = stage.ask("north-reader", "GET", f"/readings/{signed}").json()["exam_id"]
    made = stage.ask("north-reader", "POST", f"/exams/{exam}/shares", {"reading_id": signed})
    assert made.status_code == 201
    listed = stage.ask("north-head", "GET", f"/exams/{exam}/shares")
    assert [one["id"] for one in listed.json()] == [made.json()["share"]["id"]]
    assert made.json()["token"] not in listed.text
    assert made.json()["code"] not in listed.text
    number = made.json()["share"]["id"]
    assert stage.ask("south-head", "DELETE", f"/exams/{exam}/shares/{number}").status_code == 404
    assert stage.ask("north-head", "DELETE", f"/exams/{exam}/shares/{number}").status_code == 204
    opening = {"token": made.json()["token"], "code": made.json()["code"]}
    assert stage.ask("stranger", "POST", "/shares/opening", opening).status_code == 404


def test_a_stranger_with_a_link_reaches_nothing_else(make_stage):
    stage = make_stage()
    signed = stage.cast.things["signed_id"]
    exam = stage.ask("north-reader", "GET", f"/readings/{signed}").json()["exam_id"]
    body = {"reading_id": signed}
    token = stage.ask("north-reader", "POST", f"/exams/{exam}/shares", body).json()["token"]
    for place in (f"/exams/{exam}", f"/readings/{signed}/report", f"/exams/{exam}/shares"):
        bearer = {"authorization": f"Bearer {token}"}
        assert stage.ask("stranger", "GET", place, **bearer).status_code == 401
    wrong = stage.ask("stranger", "POST", "/shares/opening", {"token": token, "code": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "code")
    assert wrong.headers["cache-control"] == "no-store"
    assert wrong.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in wrong.headers["x-robots-tag"]


def test_openings_of_one_address_are_limited(stage):
    body = {"token": "t" * 43, "code": "12345678"}
    heard = [stage.ask("stranger", "POST", "/shares/opening", body) for _ in range(101)]
    assert {one.status_code for one in heard[:100]} == {404}
    assert heard[100].status_code == 429
    assert int(heard[100].headers["retry-after"]) > 0
