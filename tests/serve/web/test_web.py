"""The HTTP server: STOW-RS, who may come in, health and metrics."""

from __future__ import annotations

import errno
import json
import random
import re
import shutil
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from mammolens.errors import ConfigError
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.holdings import store as store_module
from mammolens.serve.record import AUDIT, INSTANCES, audit, present
from mammolens.serve.record.refusals import ROWS_OF_A_KIND
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import serving
from mammolens.serve.web.app import build_app

testclient = pytest.importorskip("starlette.testclient")

STUDIES = "/dicom-web/studies"
BOUNDARY = "a-boundary"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
TOKEN = "0123456789abcdef-token"


def multipart(*parts: bytes, kind: str = "application/dicom", end: bytes = b"--") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{BOUNDARY}".encode() + end


def items(answer: dict, tag: str) -> list[dict]:
    return answer.get(tag, {}).get("Value", [])


def reasons(answer: dict) -> list[int]:
    failed = [*items(answer, "00081198"), *items(answer, "0008119A")]
    return [item["00081197"]["Value"][0] for item in failed]


@pytest.fixture
def make_state(tmp_path, database):
    def make(**changes) -> NodeState:
        changes.setdefault("intake", {"min_free_mb": 0, "max_mb": 4})
        settings = NodeSettings(data=tmp_path / "node", **changes)
        stores = (Store(settings.data / name) for name in ("received", "results"))
        return NodeState(settings, database, *stores)

    return make


@pytest.fixture
def client(make_state):
    return testclient.TestClient(build_app(make_state()), base_url="http://127.0.0.1")


@pytest.fixture
def post(client):
    def post(body: bytes, path: str = STUDIES, **headers: str):
        sent = {"content-type": RELATED} | {k.replace("_", "-"): v for k, v in headers.items()}
        return client.post(path, content=body, headers=sent)

    return post


def test_every_instance_is_received_and_named(post, mammogram, rows):
    done = post(multipart(*map(mammogram, range(4))))
    assert done.status_code == 200
    assert done.headers["content-type"] == "application/dicom+json"
    named = [i["00081155"]["Value"][0] for i in items(done.json(), "00081199")]
    assert named == [f"1.2.3.4.{n}" for n in range(4)]
    found = rows(INSTANCES)
    assert [(r.role, r.sender) for r in found] == [("input", "web:anybody")] * 4


def test_what_is_received_is_what_was_sent(post, make_state, mammogram, rows):
    content = mammogram(0)
    post(multipart(content))
    (row,) = rows(INSTANCES)
    assert make_state().received.read(row.digest) == content


def test_a_repeat_is_a_success_and_changes_nothing(post, mammogram, rows):
    first, again = (post(multipart(mammogram(0))) for _ in range(2))
    assert first.json() == again.json()
    assert again.status_code == 200
    assert len(rows(INSTANCES)) == 1


def test_a_single_part_needs_no_boundary(post, mammogram):
    assert post(mammogram(0), content_type="application/dicom").status_code == 200


def test_some_are_refused_each_with_its_reason(post, mammogram, rows):
    nameless = mammogram(1, StudyInstanceUID=None)
    done = post(multipart(mammogram(0), b"no DICOM at all", nameless))
    assert done.status_code == 202
    (failed,) = items(done.json(), "00081198")
    assert failed["00081155"]["Value"] == ["1.2.3.4.1"]
    assert failed["00081197"]["Value"] == [0xA900]
    assert reasons(done.json()) == [0xA900, 0xC000]
    assert [r.sop_instance_uid for r in rows(INSTANCES)] == ["1.2.3.4.0"]
    assert [r.action for r in rows(AUDIT)].count("rejected") == 2


def test_all_refused_is_a_conflict(post):
    done = post(multipart(b"no DICOM at all"))
    assert (done.status_code, reasons(done.json())) == (409, [0xC000])


def test_another_study_is_refused(post, mammogram, rows):
    study = f"{STUDIES}/1.2.3"
    mine = mammogram(0, StudyInstanceUID="1.2.3")
    done = post(multipart(mine, mammogram(1, StudyInstanceUID="1.2.4")), study)
    assert (done.status_code, reasons(done.json())) == (202, [0xA900])
    assert len(rows(INSTANCES)) == 1
    assert post(multipart(mine), f"{STUDIES}/none").status_code == 422


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("text/plain", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', 415),
        ("multipart/form-data; boundary=x", 415),
        ("multipart/related", 400),
        ("multipart/related; boundary=" + "x" * 71, 400),
        ("nonsense", 415),
        ("", 415),
    ],
)
def test_other_bodies_are_not_read(post, mammogram, kind, status, rows):
    assert post(multipart(mammogram(0)), content_type=kind).status_code == status
    assert rows(INSTANCES) == []


def test_a_packed_body_is_not_read(post):
    assert post(b"", content_encoding="gzip").status_code == 415


def test_a_part_of_another_kind_is_refused(post, mammogram):
    done = post(multipart(mammogram(0), kind="image/jpeg"))
    assert (done.status_code, reasons(done.json())) == (409, [0xC001])


def test_a_body_without_its_last_boundary_keeps_what_was_whole(post, mammogram, rows):
    body = multipart(mammogram(0), mammogram(1))
    done = post(body[: len(body) - len(mammogram(1)) // 2])
    assert (done.status_code, reasons(done.json())) == (202, [0xC000])
    assert [r.sop_instance_uid for r in rows(INSTANCES)] == ["1.2.3.4.0"]


def test_a_body_of_nothing_is_bad(post):
    for body in (b"", b"--", b"text", multipart(), f"--{BOUNDARY}\r\n".encode()):
        assert post(body).status_code == 400


def test_a_huge_part_is_refused_and_leaves_nothing(post, mammogram, tmp_path, rows):
    huge = mammogram(0) + bytes(5 << 20)
    done = post(multipart(huge, mammogram(1)))
    assert (done.status_code, reasons(done.json())) == (202, [0xC001])
    assert [r.sop_instance_uid for r in rows(INSTANCES)] == ["1.2.3.4.1"]
    assert not [*(tmp_path / "node/received/partial").iterdir()]


def test_a_huge_request_is_refused(make_state, mammogram):
    app = build_app(make_state(web={"max_request_mb": 1}))
    client = testclient.TestClient(app, base_url="http://127.0.0.1")
    headers = {"content-type": RELATED}
    assert client.post(STUDIES, content=bytes(2 << 20), headers=headers).status_code == 413
    unsized = iter([multipart(mammogram(0), end=b"\r\n\r\n"), *[bytes(1 << 20)] * 3])
    done = client.post(STUDIES, content=unsized, headers=headers)
    assert done.status_code == 202
    assert len(items(done.json(), "00081199")) == 1


def test_a_full_disk_is_507_and_says_when_to_come_again(post, mammogram, monkeypatch, rows):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    done = post(multipart(mammogram(0)))
    assert (done.status_code, reasons(done.json())) == (507, [0xA703])
    assert items(done.json(), "00081198")[0]["00081155"]["Value"] == ["1.2.3.4.0"]
    assert done.headers["retry-after"] == "30"
    monkeypatch.undo()
    assert post(multipart(mammogram(0))).status_code == 200
    assert len(rows(INSTANCES)) == 1


def test_answers_in_xml(post, mammogram):
    done = post(multipart(mammogram(0)), accept="application/dicom+xml")
    assert done.headers["content-type"] == "application/dicom+xml"
    tree = ElementTree.fromstring(done.content)
    path = "DicomAttribute[@keyword='ReferencedSOPSequence']/Item/DicomAttribute[@tag='00081155']"
    assert tree.findtext(f"{path}/Value") == "1.2.3.4.0"
    assert post(b"", accept="image/png").status_code == 406


def test_other_results_do_not_hide_a_fault(post, mammogram, monkeypatch):
    monkeypatch.setattr("mammolens.serve.intake.partial_object.receive", lambda *_: 1 / 0)
    done = post(multipart(mammogram(0)))
    assert (done.status_code, reasons(done.json())) == (500, [0x0110])


def test_damaged_bodies_never_break_the_server(post, mammogram, rows):
    whole = multipart(mammogram(0), mammogram(1))
    draw = random.Random(1)
    for _ in range(25):
        body = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            at = draw.choice([draw.randrange(300), draw.randrange(len(body))])
            match draw.randrange(3):
                case 0:
                    body[at] = draw.randrange(256)
                case 1:
                    del body[at : at + draw.randrange(200)]
                case _:
                    body[at:at] = draw.randbytes(draw.randrange(200))
        done = post(bytes(body))
        assert done.status_code in (200, 202, 400, 409), done.text
        if done.status_code == 200:
            assert len(items(done.json(), "00081199")) >= 1
    assert all(re.fullmatch(r"[\d.]{1,64}", r.sop_instance_uid) for r in rows(INSTANCES))


class TestWhoMayCome:
    @pytest.fixture
    def client(self, make_state):
        state = make_state(web={"tokens": {"alice": TOKEN, "bob": TOKEN[::-1]}})
        return testclient.TestClient(build_app(state), base_url="http://127.0.0.1")

    def test_a_token_says_who_sent(self, post, mammogram, rows):
        done = post(multipart(mammogram(0)), authorization=f"Bearer {TOKEN[::-1]}")
        assert done.status_code == 200
        assert rows(INSTANCES)[0].sender == "web:bob"

    @pytest.mark.parametrize(
        "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
    )
    def test_without_one_nothing_is_read(self, post, mammogram, rows, given):
        done = post(multipart(mammogram(0)), authorization=given.encode("latin-1"))
        assert done.status_code == 401
        assert done.headers["www-authenticate"] == "Bearer"
        assert rows(INSTANCES) == []
        assert [r.action for r in rows(AUDIT)] == ["refused_request"]

    def test_a_flood_of_refused_requests_is_counted(self, post, rows, database):
        for _ in range(50):
            post(b"", authorization="Bearer again")
        audit.write_counted_refusals(database)
        assert len(rows(AUDIT)) == ROWS_OF_A_KIND + 1
        assert json.loads(rows(AUDIT)[-1].detail)["count"] == 50 - ROWS_OF_A_KIND

    def test_a_flood_of_empty_parts_is_counted(self, post, rows, database):
        parts = [b""] * 500
        assert post(multipart(*parts), authorization=f"Bearer {TOKEN}").status_code != 200
        audit.write_counted_refusals(database)
        assert len(rows(AUDIT)) <= ROWS_OF_A_KIND + 1

    def test_metrics_are_guarded_and_health_is_not(self, client):
        assert client.get("/metrics").status_code == 401
        assert client.get("/health/live").json() == {"status": "alive"}

    def test_a_foreign_name_is_refused(self, client, make_state):
        assert client.get("/metrics", headers={"host": "evil.example"}).status_code == 421
        state = make_state(web={"names": ["node.example"]})
        named = testclient.TestClient(build_app(state), base_url="http://node.example:8080")
        assert named.get("/metrics").status_code == 200


def test_health_names_what_is_wrong(client, database, monkeypatch):
    assert client.get("/health/ready").json()["worker"] == "silent"
    with present(database, "worker"):
        for _ in range(100):
            done = client.get("/health/ready")
            if done.status_code == 200:
                break
            time.sleep(0.05)
        assert done.json() == {
            "status": "ready",
            "database": "ok",
            "disk": "ok",
            "worker": "ok",
        }
        monkeypatch.setattr(
            "mammolens.serve.holdings.store.Draft",
            lambda *_: (_ for _ in ()).throw(OSError(28, "full")),
        )
        assert client.get("/health/ready").json()["disk"] == "full_or_away"
    assert client.get("/health/ready").json()["worker"] == "silent"


def test_health_without_a_database(client, database, monkeypatch):
    def away(*_):
        raise sa.exc.OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(database.engine, "begin", away)
    done = client.get("/health/ready")
    assert (done.status_code, done.json()["database"]) == (503, "away")
    assert "mammolens_database_up 0.0" in client.get("/metrics").text


def test_metrics_count_and_name_nobody(client, post, mammogram):
    post(multipart(*(mammogram(n, PatientName="Secret^Person") for n in range(2))))
    post(b"", f"{STUDIES}/1.2.3.99")
    text = client.get("/metrics").text
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["mammolens_received", "input"] == 2
    assert found["mammolens_exams_waiting",] == 1
    assert found["mammolens_database_up",] == 1
    route = f"{STUDIES}/{{study}}"
    assert found["mammolens_http_request_seconds_count", "POST", route, "400"] == 1
    assert not re.search(r"(?i)secret|P1\b|1\.2\.3", text)


def test_only_so_many_write_at_a_time(make_state, mammogram):
    """One who sends nothing takes no place; more than there are places for wait, and get in."""
    state = make_state(web={"max_requests": 1, "port": 0, "timeout_s": 5})
    with serving(state) as port, socket.create_connection(("127.0.0.1", port)) as held:
        head = f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {RELATED}\r\n"
        held.sendall(f"{head}Content-Length: 100\r\n\r\n".encode())
        with ThreadPoolExecutor(4) as pool:
            bodies = [multipart(mammogram(number)) for number in range(4)]
            assert [status for status, _ in pool.map(partial(ask, port), bodies)] == [200] * 4
        held.sendall(bytes(100))
        assert b" 400 " in held.recv(100)


def test_silence_is_ended_and_nothing_is_left(make_state, mammogram, tmp_path, rows):
    state = make_state(web={"port": 0, "timeout_s": 0.2})
    body = multipart(mammogram(0))
    with serving(state) as port, socket.create_connection(("127.0.0.1", port)) as held:
        head = f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {RELATED}\r\n"
        held.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-100])
        assert b" 408 " in held.recv(100)
    assert rows(INSTANCES) == []
    partial = tmp_path / "node/received/partial"
    assert not partial.exists() or not [*partial.iterdir()]


def ask(port: int, body: bytes) -> tuple[int, dict]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", STUDIES, body, {"Content-Type": RELATED})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def test_over_tls_nothing_goes_in_the_clear(make_state, tmp_path):
    crypto = shutil.which("openssl")
    if crypto is None:
        pytest.skip("openssl is not installed")
    pair = {"certificate": tmp_path / "node.pem", "key": tmp_path / "node.key"}
    command = [crypto, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(pair["key"]), "-out", str(pair["certificate"])]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=pair["certificate"])
    state = make_state(web={"host": "0.0.0.0", "port": 0, "tokens": {"a": TOKEN}} | pair)
    with serving(state) as port:
        secure = HTTPSConnection("localhost", port, timeout=30, context=trust)
        secure.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert secure.getresponse().read()
        assert secure.sock.version() in ("TLSv1.2", "TLSv1.3")
        secure.close()
        old = ssl.create_default_context(cafile=pair["certificate"])
        with socket.create_connection(("localhost", port)) as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP" not in plain.recv(100)
        old.set_ciphers("AES128-SHA256")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        weak = HTTPSConnection("localhost", port, timeout=30, context=old)
        with pytest.raises(ssl.SSLError):
            weak.request("GET", "/metrics")
        weak.close()


@pytest.mark.parametrize(
    ("web", "said"),
    [
        ({"host": "0.0.0.0"}, "must list the callers"),
        ({"host": "0.0.0.0", "tokens": {"a": TOKEN}}, "TLS is needed"),
        ({"tokens": {"a": "short"}}, "16 characters"),
        ({"certificate": "a.pem"}, "certificate and key"),
    ],
)
def test_unsafe_settings_are_refused(web, said):
    with pytest.raises(ValueError, match=said):
        NodeSettings(web=web)


def test_a_port_in_use_and_a_certificate_that_is_none_are_named(make_state, tmp_path):
    with serving(make_state(web={"port": 0})) as port:
        taken = make_state(web={"port": port})
        with pytest.raises(ConfigError, match=r"cannot listen.*web\.port"), serving(taken):
            pass
    (tmp_path / "a.pem").write_text("nothing")
    wrong = {"certificate": tmp_path / "a.pem", "key": tmp_path / "a.pem", "port": 0}
    with pytest.raises(ConfigError, match=r"a\.pem"), serving(make_state(web=wrong)):
        pass
