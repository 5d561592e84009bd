"""Every route of the application, and what each kind of caller hears there.

A route that the table does not name fails the first test: whoever adds one says here who may call
it. "elsewhere" administers another site, "wrong" has another role at the same site (that of the
row), "right" may do
it, "token" is the right person's program with an API token.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from mammolens.serve.record import UPLOADS

pytestmark = pytest.mark.slow

CALLERS = (
    *("stranger", "elsewhere", "wrong", "right", "machine", "forged"),
    *("revoked", "expired", "unfinished", "token"),
)
NODE = "{node}"


class Row(NamedTuple):
    """Who is the right one, what is sent, and the status for each of `CALLERS` in their order."""

    right: str
    said: str
    body: Any = None
    wrong: str = "north-reader"


FOR_ALL = "200 200 200 200 200 200 200 200 200 200"
FOR_MACHINES = "401 403 403 403 {} 401 401 401 403 403"
OWN = "401 {0} {0} {0} 403 401 401 401 403 403"
"""Everybody's own, in a browser."""
OWN_SESSION = "401 {0} {0} {0} 403 401 401 401 {1} 403"
"""The same, also for somebody who has not finished the sign-in."""
LIST = "401 200 200 200 403 401 401 401 403 200"
OWN_READING = "401 404 404 {} 403 401 401 401 403 {}"
"""What only the reader of a reading may do, in a browser and by a program."""
NEW = {"name": "new.person", "display_name": "New", "roles": [{"site": 1, "role": "reader"}]}
OF_EXAM = "401 404 {0} {1} 403 401 401 401 403 {1}"
"""What belongs to an exam; the site shows the AI to everybody (test_exams hides it)."""
LOOKED_AFTER = "401 200 403 {0} 403 401 401 401 403 {1}"
"""For who looks after a site; another sees a list of its own."""
MONITORED = "401 404 403 {0} 403 401 401 401 403 {1}"
AUDITED = "401 403 403 200 403 401 401 401 403 200"
UPLOADED = "401 404 404 {0} 403 401 401 401 403 {0}"
NO_PROVIDER = "404 404 404 404 404 404 404 404 404 404"

NO_STUDY = "401 404 404 404 404 401 401 401 403 404"
"""DICOMweb reads: people of any site, and the machines that the settings name; no such study."""
NO_ROWS = "401 204 204 204 204 401 401 401 403 204"
DICOMWEB = "/dicom-web/studies/{study}"
IN_SERIES = f"{DICOMWEB}/series/{{series}}"
ONE = f"{IN_SERIES}/instances/{{instance}}"
SEARCHES = (
    *("/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances"),
    *(f"{DICOMWEB}/series", f"{DICOMWEB}/instances", f"{IN_SERIES}/instances"),
)
RETRIEVALS = (
    *(f"{place}{what}" for place in (DICOMWEB, IN_SERIES, ONE) for what in ("", "/metadata")),
    *(f"{place}/thumbnail" for place in (DICOMWEB, IN_SERIES, ONE)),
    *(f"{ONE}/bulkdata/{{tag}}", f"{ONE}/rendered", f"{ONE}/frames/{{numbers}}"),
    *(f"{ONE}/frames/{{numbers}}/{what}" for what in ("rendered", "thumbnail")),
)

REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "status": "final",
    "subject": {"identifier": {"value": "P1"}},
    "effectiveDateTime": "2026-01-20",
    "conclusion": "Right breast, core biopsy: fibroadenoma.",
}

TABLE = {
    **{f"GET {path}": Row("admin", NO_ROWS) for path in SEARCHES},
    **{f"GET {path}": Row("admin", NO_STUDY) for path in RETRIEVALS},
    "GET /": Row("admin", FOR_ALL),
    "GET /health/live": Row("admin", FOR_ALL),
    "GET /health/ready": Row("admin", FOR_ALL.replace("200", "503")),
    "GET /metrics": Row("admin", FOR_MACHINES.format(200)),
    "POST /dicom-web/studies": Row("admin", FOR_MACHINES.format(415)),
    "POST /dicom-web/studies/{study}": Row("admin", FOR_MACHINES.format(415)),
    "GET /api/v1/openapi.json": Row("admin", LIST),
    "GET /api/v1/sign-in": Row("admin", FOR_ALL),
    "POST /api/v1/sign-in": Row(
        "admin", FOR_ALL.replace("200", "401"), {"name": "nobody", "password": "x"}
    ),
    "GET /api/v1/sign-in/oidc": Row("admin", NO_PROVIDER),
    "GET /api/v1/sign-in/oidc/callback": Row("admin", NO_PROVIDER),
    "GET /api/v1/session": Row("admin", OWN_SESSION.format(200, 200)),
    "DELETE /api/v1/session": Row("admin", OWN_SESSION.format(204, 204)),
    "POST /api/v1/session/code": Row("admin", OWN_SESSION.format(409, 409), {"code": "000000"}),
    "POST /api/v1/session/password": Row(
        "admin", OWN_SESSION.format(401, 200), {"new": "a red evening sky", "present": "x"}
    ),
    "POST /api/v1/session/second-factor": Row("admin", OWN_SESSION.format(409, 409)),
    "GET /api/v1/sessions": Row("admin", OWN.format(200)),
    "DELETE /api/v1/sessions": Row("admin", OWN.format(200)),
    "DELETE /api/v1/sessions/{session_id}": Row(
        "north-head", "401 404 404 204 403 401 401 401 403 403"
    ),
    "GET /api/v1/tokens": Row("admin", OWN.format(200)),
    "POST /api/v1/tokens": Row("admin", OWN.format(201), {"name": "script", "days": 9}),
    "DELETE /api/v1/tokens/{token_id}": Row(
        "north-head", "401 404 404 204 403 401 401 401 403 403"
    ),
    "GET /api/v1/devices": Row("admin", OWN.format(200)),
    "POST /api/v1/devices": Row("admin", OWN.format(201), {"wrapped_key": "k" * 60}),
    "GET /api/v1/devices/{device_id}/key": Row("admin", OWN.format(404)),
    "DELETE /api/v1/devices/{device_id}": Row("admin", OWN.format(404)),
    "DELETE /api/v1/people/{person_id}/devices": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403"
    ),
    "GET /api/v1/people": Row("admin", LIST),
    "POST /api/v1/people": Row("north-head", "401 403 403 201 403 401 401 401 403 403", NEW),
    "GET /api/v1/people/{person_id}": Row("north-head", "401 404 404 200 403 401 401 401 403 200"),
    "PATCH /api/v1/people/{person_id}": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403", {"display_name": "Other"}
    ),
    "PUT /api/v1/people/{person_id}/sites/{site_id}": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403", {"roles": ["reader"]}
    ),
    "PUT /api/v1/people/{person_id}/administrator": Row(
        "admin", "401 404 404 200 403 401 401 401 403 403", {"administrator": True}
    ),
    "PUT /api/v1/people/{person_id}/active": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403", {"active": False}
    ),
    "POST /api/v1/people/{person_id}/password": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403"
    ),
    "DELETE /api/v1/people/{person_id}/sessions": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 403"
    ),
    "GET /api/v1/sites": Row("north-head", LIST),
    "POST /api/v1/sites": Row(
        "admin", "401 403 403 201 403 401 401 401 403 403", {"key": "west", "name": "West"}
    ),
    "GET /api/v1/sites/{site_id}": Row("north-head", "401 404 200 200 403 401 401 401 403 200"),
    "PATCH /api/v1/sites/{site_id}": Row(
        "north-head", "401 404 403 200 403 401 401 401 403 403", {"name": "Other"}
    ),
    "GET /api/v1/exams": Row("north-head", LIST),
    "GET /api/v1/exams/{exam_id}": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/exams/{exam_id}/viewer": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/exams/{exam_id}/quality": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/exams/{exam_id}/ai": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/exams/{exam_id}/previews/{sop_instance_uid}": Row(
        "north-head", OF_EXAM.format(404, 404)
    ),
    "GET /api/v1/exams/{exam_id}/artefacts": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/exams/{exam_id}/artefacts/{sink}/{name:path}": Row(
        "north-head", OF_EXAM.format(404, 404)
    ),
    "GET /api/v1/exams/{exam_id}/clinical": Row("north-head", OF_EXAM.format(200, 200)),
    "PUT /api/v1/exams/{exam_id}/clinical": Row(
        "north-uploader",
        "401 404 403 200 403 401 401 401 403 200",
        {"items": [{"name": "density", "value": "c"}]},
        "north-head",
    ),
    "POST /api/v1/clinical": Row("north-uploader", "401 422 422 422 403 401 401 401 403 422"),
    "PUT /api/v1/exams/{exam_id}/site": Row(
        "admin", "401 404 403 200 403 401 401 401 403 403", {"site_id": None}
    ),
    "POST /api/v1/exams/{exam_id}/shares": Row(
        "north-reader",
        "401 404 409 409 403 401 401 401 403 403",
        lambda cast: {"reading_id": cast.things["reading_id"]},
        "north-reader",
    ),
    "GET /api/v1/exams/{exam_id}/shares": Row(
        "north-reader", "401 404 200 200 403 401 401 401 403 403", None, "north-head"
    ),
    "DELETE /api/v1/exams/{exam_id}/shares/{share_id}": Row(
        "north-reader", "401 404 204 204 403 401 401 401 403 403", None, "north-head"
    ),
    "POST /api/v1/shares/opening": Row(
        "admin", FOR_ALL.replace("200", "404"), {"token": "t" * 43, "code": "12345678"}
    ),
    "GET /api/v1/exams/{exam_id}/consents": Row("north-worker", OF_EXAM.format(200, 200)),
    "GET /api/v1/model": Row("north-worker", LIST),
    "GET /api/v1/model/files/{digest}": Row("north-worker", LIST.replace("200", "404")),
    "GET /api/v1/patients/{key}/exams": Row("north-head", OF_EXAM.format(404, 404)),
    "GET /api/v1/audit": Row("admin", AUDITED),
    "GET /api/v1/audit/verification": Row("admin", AUDITED),
    "GET /api/v1/me/filters": Row("admin", LIST),
    "PUT /api/v1/me/filters": Row("admin", OWN.format(204), []),
    "GET /api/v1/me/email": Row("admin", OWN.format(200)),
    "PUT /api/v1/me/email": Row("admin", OWN.format(200), {"email": "a@b.example"}),
    "GET /api/v1/monitor": Row("north-head", LOOKED_AFTER.format(200, 200)),
    "GET /api/v1/monitor/alarms": Row("north-head", LOOKED_AFTER.format(200, 200)),
    "GET /api/v1/monitor/{monitor_id}": Row("north-head", MONITORED.format(200, 200)),
    "GET /api/v1/monitor/{monitor_id}/measures/{measure}": Row(
        "north-head", MONITORED.format(200, 200)
    ),
    "PUT /api/v1/monitor/{monitor_id}/mute": Row(
        "north-head", MONITORED.format(200, 403), {"until": None}
    ),
    "POST /api/v1/monitor/{monitor_id}/restart": Row(
        "north-head", MONITORED.format(200, 403), {"measures": ["score"]}
    ),
    "POST /api/v1/monitor/alarms/{alarm_id}/acknowledgement": Row(
        "north-head", MONITORED.format(200, 403)
    ),
    "GET /api/v1/me/settings": Row("admin", LIST),
    "PUT /api/v1/me/settings": Row("admin", OWN.format(204), {}),
    "OPTIONS /api/v1/uploads": Row("north-uploader", LIST.replace("200", "204")),
    "GET /api/v1/uploads": Row("north-uploader", LIST),
    "POST /api/v1/uploads": Row("north-uploader", "401 403 403 201 403 401 401 401 403 201"),
    "HEAD /api/v1/uploads/{upload_id}": Row("north-uploader", UPLOADED.format(200)),
    "PATCH /api/v1/uploads/{upload_id}": Row("north-uploader", UPLOADED.format(409)),
    "DELETE /api/v1/uploads/{upload_id}": Row("north-uploader", UPLOADED.format(204)),
    "GET /api/v1/uploads/{upload_id}/result": Row("north-uploader", UPLOADED.format(200)),
    "POST /api/v1/exams/{exam_id}/readings": Row(
        "north-reader", "401 404 403 200 403 401 401 401 403 200", None, "north-head"
    ),
    "GET /api/v1/exams/{exam_id}/readings": Row(
        "north-reader", "401 404 200 200 403 401 401 401 403 200", None, "north-head"
    ),
    "GET /api/v1/readings/{reading_id}": Row(
        "north-reader", OWN_READING.format(200, 200), None, "north-head"
    ),
    "PUT /api/v1/readings/{reading_id}": Row(
        "north-reader", OWN_READING.format(200, 200), {"recall": False}, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/lock": Row(
        "north-reader", OWN_READING.format(200, 403), None, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/revise": Row(
        "north-reader", OWN_READING.format(409, 403), {"agree": True}, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/look": Row(
        "north-reader", OWN_READING.format(200, 200), {"exam_version": 1}, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/sign": Row(
        "north-reader", OWN_READING.format(200, 403), None, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/addenda": Row(
        "north-reader", OWN_READING.format(409, 403), {"text": "More"}, "north-head"
    ),
    "POST /api/v1/readings/{reading_id}/notices": Row(
        "north-reader", OWN_READING.format(201, 403), {"text": "Call"}, "north-head"
    ),
    **{
        f"GET /api/v1/readings/{{reading_id}}/{kind}": Row(
            "north-reader", OWN_READING.format(409, 409), None, "north-head"
        )
        for kind in ("report", "sr", "gsps", "fhir", "hl7")
    },
    "GET /api/v1/sites/{site_id}/readings.csv": Row(
        "north-head", "401 404 403 200 403 401 401 401 403 200"
    ),
    "GET /api/v1/exams/{exam_id}/arbitration": Row(
        "north-arbiter", "401 404 403 409 403 401 401 401 403 409"
    ),
    "POST /api/v1/exams/{exam_id}/arbitration": Row(
        "north-arbiter", "401 404 403 409 403 401 401 401 403 403"
    ),
    "POST /api/v1/exams/{exam_id}/opinions": Row(
        "north-reader",
        "401 404 403 201 403 401 401 401 403 403",
        lambda cast: {"person_id": cast.people["south-reader"], "question": "?"},
        "north-head",
    ),
    "GET /api/v1/opinions": Row("north-reader", LIST),
    "DELETE /api/v1/opinions/{opinion_id}": Row(
        "north-reader", "401 404 404 204 403 401 401 401 403 403", None, "north-arbiter"
    ),
    "GET /api/v1/readers": Row(
        "north-reader", "401 403 403 200 403 401 401 401 403 200", None, "north-head"
    ),
    "GET /api/v1/notices": Row("north-head", LIST),
    "POST /api/v1/notices/{notice_id}/acknowledgement": Row(
        "north-head", "401 404 403 200 403 401 401 401 403 403"
    ),
    "GET /api/v1/recalls": Row("north-head", LIST),
    "POST /api/v1/pathology": Row(
        "north-uploader", "401 201 403 201 403 401 401 401 403 201", REPORT
    ),
    "GET /api/v1/outcomes": Row("north-head", LIST),
    "GET /api/v1/outcomes/{outcome_id}": Row(
        "north-head", "401 404 404 200 403 401 401 401 403 200", None, "north-uploader"
    ),
    "PUT /api/v1/outcomes/{outcome_id}": Row(
        "north-head",
        "401 404 404 200 403 401 401 401 403 403",
        {"version": 1, "exam_id": None, "outcome": "benign", "laterality": "R"},
        "north-uploader",
    ),
    "GET /api/v1/exams/{exam_id}/outcomes": Row("north-head", OF_EXAM.format(200, 200)),
    "GET /api/v1/sites/{site_id}/audit": Row(
        "north-head", "401 404 403 409 403 401 401 401 403 409"
    ),
    "PATCH /api/v1/recalls/{recall_id}": Row(
        "north-head",
        "401 404 200 200 403 401 401 401 403 403",
        {"closed": True, "reason": "seen"},
    ),
}
UPLOAD = "u" * 43
TUS = {
    "tus-resumable": "1.0.0",
    "upload-length": "5",
    "upload-offset": "0",
    "content-type": "application/offset+octet-stream",
}
STREAMS = {"GET /api/v1/events": "401 200 200 200 403 401 401 401 403 200"}
"""Answers that never end, which a client of its own reads (test_events)."""


@pytest.fixture
def with_upload(make_stage):
    """Give a function that makes a portal with what is left of one upload."""

    def make():
        stage = make_stage()
        site, now = stage.cast.sites["north"], stage.clock.now
        upload = {"id": UPLOAD, "person_id": stage.cast.people["north-uploader"], "site_id": site}
        upload |= {"name": "a.dcm", "length": 1, "received": 1, "state": "done"}
        with stage.database.write() as connection:
            times = {"created_at": now, "changed_at": now}
            connection.execute(UPLOADS.insert().values(**upload, **times))
        return stage

    return make


def routes(client) -> list[str]:
    app = client.app.app
    for route in app.routes:
        assert isinstance(route, APIRoute) or hasattr(route, "original_router"), "it is walked"
    found = list(iter_route_contexts(app.routes))
    return sorted(f"{method} {route.path}" for route in found for method in route.methods)


def test_the_table_names_every_route(stage):
    assert routes(stage.client) == sorted(TABLE | STREAMS)


def test_a_stranger_may_call_the_sign_in_and_the_page_alone(stage):
    opened = {path: sorted(ways) for path, ways in stage.client.app.open.items()}
    health = ["GET", "HEAD", "OPTIONS"]
    assert opened == {
        "/": ["GET", "HEAD"],
        "/health/live": health,
        "/health/ready": health,
        "/api/v1/sign-in": ["GET", "POST"],
        "/api/v1/sign-in/oidc": ["GET"],
        "/api/v1/sign-in/oidc/callback": ["GET"],
        "/api/v1/shares/opening": ["POST"],
    }


def test_every_row_says_something_of_every_caller():
    assert {len(row.said.split()) for row in TABLE.values()} == {len(CALLERS)}


@pytest.mark.parametrize("caller", CALLERS)
def test_each_caller_hears_what_the_table_says(with_upload, caller):
    heard, expected = {}, {}
    stage = with_upload()
    for name, row in TABLE.items():
        method, _, path = name.partition(" ")
        cast = stage.cast
        address = path.replace("{name:path}", "a.json").format(
            person_id=cast.people["newcomer"],
            site_id=cast.sites["north"],
            session_id=cast.known["north-head"].session,
            token_id=cast.known["north-head"].token_id,
            upload_id=UPLOAD,
            device_id="d" * 43,
            digest="f" * 64,
            sop_instance_uid="1.2.3",
            sink="json",
            key="1-x",
            study="1.2.3",
            series="1.2.3",
            instance="1.2.3",
            numbers="1",
            tag="7FE00010",
            measure="score",
            **cast.things,
        )
        who = {
            "elsewhere": "south-head",
            "wrong": row.wrong,
            "right": row.right,
            "token": f"{row.right} by token",
        }.get(caller, caller)
        body = row.body(cast) if callable(row.body) else row.body
        more = TUS if "/uploads" in path else {}
        done = stage.ask(who, method, f"/{address}", body, if_match='"2"', **more)
        heard[name] = done.status_code
        expected[name] = int(row.said.split()[CALLERS.index(caller)])
        if method != "GET" and done.status_code < 300:
            stage.database.close()
            stage = with_upload()
        if done.status_code >= 400 and not path.startswith("/health") and method != "HEAD":
            assert done.headers["content-type"] == "application/problem+json", name
            assert done.json()["status"] == done.status_code
    assert heard == expected


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"])
@pytest.mark.parametrize("path", ["/exams", "/exams/1", "/people/", "/../metrics", "/sign-in/"])
def test_a_stranger_does_not_learn_which_addresses_exist(stage, method, path):
    assert stage.ask("stranger", method, path).status_code == 401
    assert stage.ask("machine", method, path).status_code in (403, 404)


def test_who_changes_something_by_cookie_shows_the_token_of_the_session(stage):
    cast = stage.cast
    for sent in ("", "x" * 43, cast.known["north-head"].csrf):
        done = stage.ask("admin", "POST", "/tokens", {"name": "x"}, x_csrf_token=sent)
        assert (done.status_code, done.json()["code"]) == (403, "csrf")
    assert stage.ask("admin", "POST", "/tokens", {"name": "x"}).status_code == 201


def test_a_page_of_another_site_can_do_nothing(stage):
    for who in ("admin", "stranger"):
        done = stage.ask(
            who, "POST", "/sign-in", {"name": "a", "password": "b"}, origin="http://evil.example"
        )
        assert (done.status_code, done.json()["code"]) == (403, "other_site")


def test_a_header_of_authorization_counts_before_a_cookie(stage):
    done = stage.ask("admin", "GET", "/session", authorization="Bearer mlp_wrong")
    assert done.status_code == 401
    done = stage.ask(
        "admin", "GET", "/session", authorization=stage.headers("machine")["authorization"]
    )
    assert (done.status_code, done.json()["code"]) == (403, "for_people")
