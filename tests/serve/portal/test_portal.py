"""The portal over HTTP: the first sign-in, cookies, problems, floods, and the page."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pyotp
import pytest
import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.holdings import open_state
from mammolens.serve.people import Refusal, passwords
from mammolens.serve.portal import open_portal, pages, problems
from mammolens.serve.record import AUDIT
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import serving

PASSWORD = "a calm grey morning"


def test_the_first_sign_in_from_the_invitation_to_the_list(stage):
    roles = [{"site": stage.cast.sites["north"], "role": "reader"}]
    form = {"name": "Alice", "display_name": "Dr Alice", "roles": roles}
    invited = stage.ask("admin", "POST", "/people", form).json()
    client, headers = stage.client, {}
    client.cookies.clear()

    def post(path: str, **body: str) -> dict:
        done = client.post(f"/api/v1{path}", json=body, headers=headers)
        assert done.status_code == 200, done.text
        return done.json()

    session = post("/sign-in", name="alice", password=invited["one_time_password"])
    headers["x-csrf-token"] = session["csrf_token"]
    assert session["stage"] == "password"
    session = post("/session/password", new=PASSWORD)
    headers["x-csrf-token"] = session["csrf_token"]
    assert session["stage"] == "second_factor"
    offer = post("/session/second-factor")
    assert offer["uri"].startswith("otpauth://totp/mammolens:alice?secret=")
    session = post("/session/code", code=pyotp.TOTP(offer["secret"]).at(stage.clock.now))
    assert session["stage"] == "open"
    assert client.get("/api/v1/sites").json()[0]["key"] == "north"
    headers["x-csrf-token"] = session["csrf_token"]
    assert client.delete("/api/v1/session", headers=headers).status_code == 204
    assert client.get("/api/v1/session").status_code == 401


def test_the_page_learns_whether_somebody_is_signed_in(stage):
    told = {who: stage.ask(who, "GET", "/sign-in").json() for who in ("stranger", "admin", "stale")}
    assert {who: ways["signed_in"] for who, ways in told.items()} == {
        "stranger": False,
        "admin": True,
        "stale": True,
    }
    assert {ways["provider"] for ways in told.values()} == {None}
    assert stage.ask("revoked", "GET", "/sign-in").json()["signed_in"] is False


def test_the_cookie_is_closed_to_pages_and_other_sites(stage):
    form = {"name": "newcomer", "password": stage.cast.one_time["newcomer"]}
    cookie = stage.ask("stranger", "POST", "/sign-in", form).headers["set-cookie"].lower()
    assert cookie.startswith("mammolens=")
    assert {"httponly", "path=/", "samesite=strict"} <= {p.strip() for p in cookie.split(";")}


def test_behind_a_proxy_with_tls_the_cookie_is_bound_to_the_host(make_stage):
    stage = make_stage(web={"proxied": True})
    form = {"name": "newcomer", "password": stage.cast.one_time["newcomer"]}
    cookie = stage.ask("stranger", "POST", "/sign-in", form).headers["set-cookie"]
    assert cookie.startswith("__Host-mammolens=")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    stage.client.cookies.clear()
    name, _, value = cookie.partition(";")[0].partition("=")
    for sent, status in ((name, 200), ("mammolens", 401)):
        done = stage.client.get("/api/v1/session", headers={"cookie": f"{sent}={value}"})
        assert done.status_code == status


@pytest.mark.parametrize(
    ("proxied", "sent", "noted"),
    [
        (False, "10.9.9.9", "testclient"),
        (True, "10.9.9.9", "10.9.9.9"),
        (True, "1.1.1.1, 10.9.9.9", "10.9.9.9"),
        (True, "nonsense", "testclient"),
        (True, "", "testclient"),
    ],
)
def test_the_address_is_the_proxys_last_word(make_stage, proxied, sent, noted):
    stage = make_stage(web={"proxied": proxied})
    form = {"name": "nobody", "password": "x"}
    stage.ask("stranger", "POST", "/sign-in", form, x_forwarded_for=sent)
    with stage.database.read() as connection:
        last = sa.select(AUDIT.c.detail).order_by(AUDIT.c.number.desc()).limit(1)
        assert json.loads(connection.execute(last).scalar_one())["host"] == noted


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a"},
        {"name": "a", "password": ""},
        {"name": "a", "password": "s3cret" * 1000},
        {"name": "a" * 129, "password": "s3cret"},
        {"name": {"s3cret": 1}, "password": "s3cret"},
        {"name": "a", "password": "s3cret", "s3cret": 1},
        ["s3cret"],
        "s3cret",
    ],
)
def test_what_cannot_be_understood_is_not_repeated(stage, body):
    done = stage.ask("stranger", "POST", "/sign-in", body)
    assert done.status_code == 422
    assert done.json()["code"] == "invalid"
    assert done.json()["errors"]
    assert "s3cret" not in json.dumps([e["detail"] for e in done.json()["errors"]])


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\0b", "x" * 129, "a\x7fb"])
def test_texts_of_one_line_have_no_control_characters(stage, text):
    path = f"/people/{stage.cast.people['newcomer']}"
    assert stage.ask("admin", "PATCH", path, {"display_name": text}).status_code == 422


@pytest.mark.parametrize("number", ["0", "-1", "2147483648", "1e3", "x", "1%00", "9" * 400])
@pytest.mark.parametrize("place", ["/people/{}", "/sites/{}"])
def test_numbers_that_cannot_be_are_refused(stage, place, number):
    assert stage.ask("admin", "GET", place.format(number)).status_code in (404, 422)


def test_every_refusal_has_its_status():
    assert {*problems.STATUSES} == {*Refusal}


def test_a_body_is_small(stage):
    done = stage.client.post("/api/v1/sign-in", content=b" " * 65537)
    assert (done.status_code, done.json()["code"]) == (413, "request_entity_too_large")


def test_while_the_database_is_away_people_hear_so(stage, monkeypatch):
    def away(*_):
        raise StorageError("the database is away")

    monkeypatch.setattr(type(stage.database), "read", away)
    for who in ("admin", "admin by token"):
        done = stage.ask(who, "GET", "/session")
        assert (done.status_code, done.json()["code"]) == (503, "away")
    form = {"name": "admin", "password": "x"}
    assert stage.ask("stranger", "POST", "/sign-in", form).status_code == 503


def test_what_nobody_foresaw_is_a_problem_too(make_stage, monkeypatch):
    stage = make_stage()
    client = type(stage.client)(stage.client.app, "http://127.0.0.1", raise_server_exceptions=False)
    monkeypatch.setattr("mammolens.serve.people.list_sites", lambda *_: 1 / 0)
    done = client.get("/api/v1/sites", headers=stage.headers("admin"))
    assert (done.status_code, done.json()["code"]) == (500, "fault")
    assert done.headers["x-content-type-options"] == "nosniff"


def test_names_and_secrets_are_tried_so_often(stage):
    told = []
    for name in ("admin", "nobody"):
        form = {"name": name, "password": "x"}
        told.append([stage.ask("stranger", "POST", "/sign-in", form) for _ in range(12)])
    for done in told:
        assert [answer.status_code for answer in done] == [401] * 10 + [429] * 2
        assert int(done[-1].headers["retry-after"]) > 0
    known, unknown = ([answer.json() for answer in done] for done in told)
    assert known == unknown


def test_the_document_describes_every_route(stage):
    told = stage.ask("admin by token", "GET", "/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    named = {f"{way.upper()} {path}" for path, ways in told["paths"].items() for way in ways}
    assert {"POST /api/v1/sign-in", "PUT /api/v1/people/{person_id}/sites/{site_id}"} <= named
    assert all(path.startswith("/api/v1/") for path in told["paths"])
    assert told["paths"]["/api/v1/sign-in"]["post"]["security"] == []
    assert told["components"]["schemas"]["Problem"]["properties"]["code"]


def test_time_is_noted_by_route_and_not_by_address(stage):
    stage.ask("admin", "GET", f"/people/{stage.cast.people['admin']}")
    told = stage.client.get("/metrics", headers=stage.headers("machine")).text
    assert "/people/{person_id}" in told
    assert f"/people/{stage.cast.people['admin']}" not in told


@pytest.fixture
def page(tmp_path, monkeypatch, no_page):  # noqa: ARG001
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "app-1a2b.js").write_text("script")
    (folder / "assets" / "codec-3c4d.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr("mammolens.serve.web.app.find_page", lambda: folder)
    return folder


@pytest.mark.usefixtures("page")
def test_a_stranger_gets_the_page_and_nothing_beside_it(make_stage):
    stage = make_stage()
    index = stage.client.get("/")
    assert index.text.endswith("the page")
    assert index.headers["cache-control"] == "no-cache"
    assert "script-src 'self' 'wasm-unsafe-eval'" in index.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in index.headers["content-security-policy"]
    assert index.headers["x-content-type-options"] == "nosniff"
    script = stage.client.get("/assets/app-1a2b.js")
    assert script.headers["cache-control"].endswith("immutable")
    assert script.headers["content-type"].startswith("text/javascript")
    codec = stage.client.get("/assets/codec-3c4d.wasm")
    assert codec.headers["content-type"] == "application/wasm"
    for path in (
        "/index.html",
        "/assets/",
        "/assets/../../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/app-1a2b.js/",
    ):
        assert stage.client.get(path).status_code == 401, path
    for method in ("POST", "PUT", "DELETE"):
        assert stage.client.request(method, "/").status_code == 401


def test_the_page_is_compressed_for_who_accepts_it_and_never_stale(make_stage, page):
    stage, place = make_stage(), "/assets/app-1a2b.js"
    for number in range(2):
        text = f"script {number} " * 900
        (page / place[1:]).write_text(text)
        os.utime(page / place[1:], ns=(number, number))
        packed = stage.client.get(place, headers={"accept-encoding": "gzip, br"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < 200
        assert packed.headers["vary"] == "accept-encoding"
        plain = stage.client.get(place, headers={"accept-encoding": "gzip;q=0"})
        assert "content-encoding" not in plain.headers
        assert packed.text == plain.text == text


def test_a_page_is_found_in_the_package_or_the_checkout():
    found = pages.find_page()
    assert found is None or (found / "index.html").is_file()


def test_without_tokens_a_portal_lets_no_machine_in(make_stage):
    stage = make_stage(web={"tokens": {}})
    assert stage.client.post("/dicom-web/studies").status_code == 401
    assert stage.client.get("/metrics").status_code == 401


@pytest.mark.slow
@pytest.mark.longest
def test_a_flood_of_sign_ins_stops_nobody(tmp_path, monkeypatch):
    """Many attempts at once, from everywhere: others are answered meanwhile."""
    settings = NodeSettings(
        data=tmp_path / "node",
        intake={"min_free_mb": 0},
        web={"port": 0, "proxied": True},
    )
    compared = []
    is_password = passwords.is_password

    def counted(*given):
        compared.append(1)
        return is_password(*given)

    monkeypatch.setattr("mammolens.serve.people.sign_in.is_password", counted)
    body = json.dumps({"name": "nobody", "password": "x"})
    end, statuses = threading.Event(), []

    def storm(thread: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        number = 0
        while not end.is_set():
            number += 1
            headers = {
                "content-type": "application/json",
                # Half of them from one address, half from ever another one.
                "x-forwarded-for": f"10.{thread}.{number // 250}.{number % 250}"
                if number % 2
                else "10.0.0.1",
            }
            connection.request("POST", "/api/v1/sign-in", body, headers)
            with connection.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
        connection.close()

    with open_state(settings) as state, serving(state, open_portal(state)) as port:
        with ThreadPoolExecutor(16) as pool:
            storms = [pool.submit(storm, thread) for thread in range(16)]
            waits = []
            stop_at = time.monotonic() + 60
            while len(statuses) < 1500 and time.monotonic() < stop_at:
                began = time.monotonic()
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/api/v1/sign-in")
                with connection.getresponse() as answer:
                    assert (answer.status, bool(answer.read())) == (200, True)
                connection.close()
                waits.append(time.monotonic() - began)
                time.sleep(0.1)
            end.set()
            for done in storms:
                done.result()
        with state.database.read() as connection:
            rows = connection.execute(sa.select(sa.func.count()).select_from(AUDIT)).scalar_one()

    assert set(statuses) <= {401, 429, 503}
    assert len(compared) <= 100 + 2, "one name is compared so often, from wherever it is tried"
    assert rows <= 200
    assert max(waits) < 30
