"""Fetching from a DICOMweb server: a small peer that can misbehave, and Orthanc."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.commands import pull
from mammolens.serve.dimse import Method, StudyQuery
from mammolens.serve.holdings import NodeState, Store, open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import EXAMS, INSTANCES, PRIORS, WAITS
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import (
    find_web_peer,
    find_web_studies,
    list_instances,
    pull_web_studies,
    serving,
)

from ..conftest import free_port
from ..image_peer import Peer, running


@pytest.fixture
def views(mammogram):
    study = {"StudyInstanceUID": "1.2.840.77", "SeriesInstanceUID": "1.2.840.77.1"}
    return [mammogram(n, AccessionNumber="A7", StudyDate="20240501", **study) for n in range(4)]


@pytest.fixture
def peer(views, mammogram):
    return Peer([*views, mammogram(5, StudyInstanceUID="1.9", AccessionNumber="A9")])


@pytest.fixture
def make_state(tmp_path, database):
    def make(address: str, **changes) -> NodeState:
        web = {"peers": {"pacs": address}, "timeout_s": 5} | changes.pop("web", {})
        settings = NodeSettings(
            data=tmp_path / "node", intake={"min_free_mb": 0}, web=web, **changes
        )
        stores = (Store(settings.data / name) for name in ("received", "results"))
        return NodeState(settings, database, *stores)

    return make


QUERY = StudyQuery(accession_number="A7")


def fetch(state: NodeState):
    server = find_web_peer("pacs", state.settings)
    return list(pull_web_studies(state, server, find_web_studies(server, QUERY)))


def test_a_pull_gives_what_a_push_gives(peer, views, make_state, rows, tmp_path):
    with running(peer) as address:
        (report,) = fetch(make_state(address))
    assert (report.completed, report.failed, report.is_whole) == (4, 0, True)
    pulled = sorted((r.sop_instance_uid, r.digest, r.role, r.view) for r in rows(INSTANCES))
    (exam,) = rows(EXAMS)
    pushed = NodeSettings(data=tmp_path / "other", intake={"min_free_mb": 0})
    with open_state(pushed) as other:
        for content in views:
            receive(other, content, "test")
        with other.database.read() as connection:
            found = connection.execute(INSTANCES.select()).all()
            (same,) = connection.execute(EXAMS.select()).all()
    assert pulled == sorted((r.sop_instance_uid, r.digest, r.role, r.view) for r in found)
    assert (exam.identity, exam.four_views) == (same.identity, same.four_views)
    assert {r.sender for r in rows(INSTANCES)} == {"pull:pacs"}
    accepted = [h["Accept"] for path, h in peer.asked if "/instances/" in path]
    assert all("transfer-syntax=*" in accept for accept in accepted)


def test_a_server_that_ignores_keys_is_held_to_the_question(peer, make_state):
    peer.ignores_keys = True
    with running(peer) as address:
        server = find_web_peer("pacs", make_state(address).settings)
        found = find_web_studies(server, QUERY)
    assert [(s.study_instance_uid, s.study_date) for s in found] == [
        ("1.2.840.77", date(2024, 5, 1))
    ]


def test_only_mammography_is_fetched(views, mammogram, make_state):
    study = {"StudyInstanceUID": "1.2.840.77", "SeriesInstanceUID": "1.2.840.77.1"}
    report = mammogram(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.50", **study)
    with running(Peer([views[0], report])) as address:
        state = make_state(address)
        listed = list_instances(state, find_web_peer("pacs", state.settings), "1.2.840.77")
    assert [i.sop_instance_uid for i in listed] == ["1.2.3.4.0"]


def test_an_object_that_is_damaged_or_another_is_not_received(peer, make_state, rows):
    def change(path, status, kind, body):
        if path.endswith("/1.2.3.4.0"):
            return 404, "text/plain", b"gone"
        if path.endswith("/1.2.3.4.1"):
            return status, kind, body[:-10]
        if path.endswith("/1.2.3.4.2"):
            return status, kind, body.replace(b"1.2.3.4.2", b"1.2.3.4.8")
        return status, kind, body

    peer.misbehave = change
    with running(peer) as address:
        (report,) = fetch(make_state(address))
    assert (report.completed, report.failed, report.is_whole) == (1, 3, False)
    assert [r.sop_instance_uid for r in rows(INSTANCES)] == ["1.2.3.4.3"]


@pytest.mark.parametrize(
    "answer",
    [(500, "text/plain", b"no"), (200, "text/html", b"<html>"), (302, "text/plain", b"")],
)
def test_a_server_that_does_not_answer_is_named(peer, make_state, answer):
    peer.misbehave = lambda *_: answer
    with running(peer) as address:
        state = make_state(address)
        with pytest.raises(DeliveryError, match="pacs"):
            fetch(state)
    with pytest.raises(DeliveryError, match="cannot be reached"):
        fetch(state)


def test_a_server_that_breaks_off_is_named(peer, make_state, rows):
    with running(peer) as address:
        state = make_state(address)
        server = find_web_peer("pacs", state.settings)
        studies = find_web_studies(server, QUERY)
        peer.n = 1 << 20
        with pytest.raises(DeliveryError, match="hung up"):
            list(pull_web_studies(state, server, studies))
    assert rows(INSTANCES) == []


def test_secrets_go_out_by_https_or_on_loopback_only(peer, make_state):
    with running(peer) as address:
        state = make_state(address.replace("//", "//ai@"), secrets={"pacs": "word"})
        fetch(state)
        assert peer.asked[0][1]["Authorization"] == "Basic YWk6d29yZA=="
    state = make_state("http://pacs.example/base", secrets={"pacs": "a-token"})
    with pytest.raises(ConfigError, match="in the clear"):
        find_web_peer("pacs", state.settings)
    for wrong in ("ftp://a/b", "http://", "https://a:b@c/d", "nothing"):
        with pytest.raises(ConfigError, match="not a DICOMweb server"):
            find_web_peer("pacs", make_state(wrong).settings)


def test_the_door_fetches_priors_as_such(peer, mammogram, tmp_path):
    old = {"StudyInstanceUID": "1.2.840.70", "SeriesInstanceUID": "1.2.840.70.1"}
    content = mammogram(0, StudyDate="20220501", SOPInstanceUID="1.2.3.9", **old)
    earlier = Peer([*(c for _, c in peer.objects.values()), content])
    with running(earlier) as address:
        settings = NodeSettings(
            data=tmp_path / "node", intake={"min_free_mb": 0}, web={"peers": {"pacs": address}}
        )
        done = list(pull(settings, "pacs", QUERY, Method.MOVE, True))
    assert [(r.study_instance_uid, r.completed) for r in done] == [
        ("1.2.840.77", 4),
        ("1.2.840.70", 1),
    ]
    with open_state(settings) as state, state.database.read() as connection:
        priors = connection.execute(PRIORS.select()).all()
    assert [p.study_instance_uid for p in priors] == ["1.2.840.70"]


def test_priors_are_known_where_identity_is_taken_off(mammogram, tmp_path):
    told = {"BurnedInAnnotation": "NO"}
    now = {"StudyInstanceUID": "1.2.840.77", "SeriesInstanceUID": "1.2.840.77.1"}
    now |= {"AccessionNumber": "A7", "StudyDate": "20240501"}
    new = [mammogram(n, **now, **told) for n in range(4)]
    old = {"StudyInstanceUID": "1.2.840.70", "SeriesInstanceUID": "1.2.840.70.1"}
    new.append(mammogram(0, StudyDate="20220501", SOPInstanceUID="1.2.3.9", **old, **told))
    with running(Peer(new)) as address:
        settings = NodeSettings(
            data=tmp_path / "node",
            intake={
                "min_free_mb": 0,
                "deidentify": {"key": "k" * 32, "scratch": str(tmp_path)},
            },
            web={"peers": {"pacs": address}},
        )
        done = list(pull(settings, "pacs", QUERY, Method.MOVE, True))
    assert [r.is_whole for r in done] == [True, True]
    with open_state(settings) as state, state.database.read() as connection:
        assert len(connection.execute(EXAMS.select()).all()) == 2
        (waits,) = connection.execute(EXAMS.select().where(WAITS))
        assert waits.study_instance_uid == state.kept_as("1.2.840.77")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    found = shutil.which("Orthanc")
    if found is None:
        pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc)")
    plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    if not Path(plugin).exists():
        pytest.skip("its DICOMweb is not installed (Debian: apt-get install orthanc-dicomweb)")
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    (folder / "orthanc.json").write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "db"),
                "IndexDirectory": str(folder / "db"),
                "RemoteAccessAllowed": False,
                "HttpPort": port,
                "DicomServerEnabled": False,
                "AuthenticationEnabled": True,
                "RegisteredUsers": {"ai": "word"},
                "Plugins": [plugin],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
        )
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([found, "orthanc.json"], cwd=folder, stdout=log, stderr=log)
    for _ in range(200):
        with contextlib.suppress(OSError):
            ask(port, "/system")
            break
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(30)


def ask(port: int, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    request.add_header("Authorization", "Basic YWk6d29yZA==")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@pytest.mark.pacs
def test_what_orthanc_holds_comes_as_it_is_stored(orthanc, mammogram, make_dicom, make_state, rows):
    study = {"StudyInstanceUID": "1.2.840.77", "SeriesInstanceUID": "1.2.840.77.1"}
    for number, syntax in enumerate((make_dicom.EXPLICIT, make_dicom.RLE)):
        made = mammogram(number, syntax, AccessionNumber="A7", **study)
        ask(orthanc, "/instances", made)
    state = make_state(f"http://ai@127.0.0.1:{orthanc}/dicom-web", secrets={"pacs": "word"})
    (report,) = fetch(state)
    assert (report.completed, report.failed) == (2, 0)
    received = [dcmread(state.received.path(r.digest)) for r in rows(INSTANCES)]
    assert {d.file_meta.TransferSyntaxUID for d in received} == {
        make_dicom.EXPLICIT,
        make_dicom.RLE,
    }


@pytest.mark.pacs
def test_an_independent_client_stores_here(make_state, views, rows):
    api = pytest.importorskip("dicomweb_client.api")
    state = make_state("http://127.0.0.1:1", web={"port": 0})
    with serving(state) as port:
        client = api.DICOMwebClient(f"http://127.0.0.1:{port}/dicom-web")
        answer = client.store_instances([dcmread(BytesIO(content)) for content in views])
    assert len(answer.ReferencedSOPSequence) == 4
    assert [r.role for r in rows(INSTANCES)] == ["input"] * 4
