"""What holds for every route: who may call, from which page, and what every answer says."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web.app import build_app

testclient = pytest.importorskip("starlette.testclient")

STUDIES = "/dicom-web/studies"
TOKEN = "0123456789abcdef-token"
KNOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def make_client(tmp_path, database):
    def make(**web):
        settings = NodeSettings(data=tmp_path / "node", intake={"min_free_mb": 0}, web=web)
        stores = (Store(settings.data / name) for name in ("received", "results"))
        app = build_app(NodeState(settings, database, *stores))
        return testclient.TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    return make


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/unknown"),
        ("GET", STUDIES),
        ("POST", f"{STUDIES}/"),
        ("POST", f"{STUDIES}/no-uid"),
        ("POST", f"{STUDIES}/{'1' * 2000}"),
        ("GET", "/metrics/"),
        ("GET", "//metrics"),
        ("GET", "/health/live/"),
        ("GET", "/health/live%00"),
        ("POST", "/health/live"),
        ("DELETE", "/health/ready"),
        ("OPTIONS", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("BREW", "/metrics"),
    ],
)
def test_a_stranger_learns_nothing(make_client, method, path):
    client = make_client(tokens={"alice": TOKEN})
    done = client.request(method, path)
    assert (done.status_code, done.headers["www-authenticate"]) == (401, "Bearer")
    known = client.request(method, path, headers=KNOWN)
    # Only machines that the settings name read over DICOMweb.
    expected = (403,) if (method, path) == ("GET", STUDIES) else (404, 405, 422)
    assert known.status_code in expected, "nor does anybody get a redirect"
    assert "location" not in known.headers


def test_the_health_is_for_everybody(make_client):
    client = make_client(tokens={"alice": TOKEN})
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").json()["database"] == "ok"
    assert client.head("/health/live").status_code == 405


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none", "origin": "http://evil.example"},
    ],
)
@pytest.mark.parametrize("kind", ["multipart/related; boundary=x", "text/plain"])
def test_a_page_of_another_site_changes_nothing(make_client, sent, kind):
    done = make_client().post(STUDIES, content=b"", headers={"content-type": kind} | sent)
    assert (done.status_code, done.json()["detail"]) == (403, "other_site")


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"origin": "http://127.0.0.1"},
        {"origin": "https://127.0.0.1", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
def test_an_own_page_and_other_programs_may(make_client, sent):
    done = make_client().post(STUDIES, content=b"", headers={"content-type": "text/plain"} | sent)
    assert done.status_code == 415


def test_a_proxy_may_call_by_another_name(make_client):
    client = make_client(names=["127.0.0.1", "node.example"])
    for origin, status in (("https://node.example", 415), ("https://evil.example", 403)):
        assert client.post(STUDIES, headers={"origin": origin}).status_code == status
    reading = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert client.get("/health/live", headers=reading).status_code == 200


def test_every_answer_has_its_guards(make_client, monkeypatch):
    client = make_client()
    answers = [
        client.get("/health/live"),
        client.get("/unknown"),
        client.get(STUDIES),
        client.post(f"{STUDIES}/none"),
        client.get("/metrics", headers={"host": "evil.example"}),
        client.post(STUDIES, headers={"origin": "null"}),
    ]
    client = testclient.TestClient(client.app, "http://127.0.0.1", raise_server_exceptions=False)
    monkeypatch.setattr("mammolens.serve.web.app.generate_latest", lambda *_: 1 / 0)
    answers.append(client.get("/metrics"))
    assert [done.status_code for done in answers] == [200, 404, 403, 422, 421, 403, 500]
    for done in answers:
        assert "default-src 'none'" in done.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in done.headers["content-security-policy"]
        assert done.headers["x-content-type-options"] == "nosniff"
        assert done.headers["x-frame-options"] == "DENY"
        assert done.headers["referrer-policy"] == "no-referrer"
        assert done.headers["cross-origin-resource-policy"] == "same-origin"
        assert done.headers["cache-control"] == "no-store"


def test_over_tls_browsers_are_asked_to_come_so_for_a_year(make_client):
    header = "strict-transport-security"
    assert header not in make_client().get("/health/live").headers
    behind_proxy = make_client(proxied=True).get("/health/live")
    assert behind_proxy.headers[header] == "max-age=31536000"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([("content-length", "9" * 100_000)], 400),
        ([("content-length", "-1")], 400),
        ([("content-length", "²")], 400),
        ([("content-type", "a/b"), ("content-type", "application/dicom")], 400),
        ([("accept", "*/*," * 1000), ("content-type", "application/dicom")], 406),
        ([("content-type", 'a/b; x="' + ";" * 60_000)], 415),
    ],
)
def test_headers_that_are_refused(make_client, sent, status):
    raw = [(name.encode(), value.encode("utf-8")) for name, value in sent]
    assert make_client().post(STUDIES, headers=raw).status_code == status


def test_the_health_is_asked_for_once_at_a_time(make_client, monkeypatch):
    """Anybody may ask, and each answer costs a transaction and a file."""
    going, count = threading.Event(), []

    def slow(_):
        count.append(1)
        going.wait(20)
        raise AssertionError("unused")

    monkeypatch.setattr("mammolens.serve.web.app.check_health", slow)
    app = make_client().app

    async def ask_all() -> list[object]:
        async def nothing() -> dict[str, object]:
            await asyncio.sleep(60)
            return {}

        async def unseen(_: object) -> None: ...

        scope = {
            "type": "http", "method": "GET", "path": "/health/ready", "headers": [],
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
            "scheme": "http", "http_version": "1.1", "root_path": "", "raw_path": b"",
        }  # fmt: skip
        asking = [asyncio.ensure_future(app(dict(scope), nothing, unseen)) for _ in range(50)]
        await asyncio.sleep(0.5)
        going.set()
        return await asyncio.gather(*asking, return_exceptions=True)

    assert len(asyncio.run(ask_all())) == 50
    assert len(count) == 1
