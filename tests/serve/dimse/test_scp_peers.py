"""The listener and what it asks for, against DCMTK and Orthanc on loopback."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pydicom import dcmread

from mammolens.serve.dimse import (
    Method,
    StudyQuery,
    find_peer,
    find_studies,
    pull_studies,
    request_commitment,
)
from mammolens.serve.holdings import open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import INSTANCES
from mammolens.serve.settings import NodeSettings

pytestmark = pytest.mark.pacs

MG = "1.2.840.10008.5.1.4.1.1.1.2"
JPEG = "1.2.840.10008.1.2.4."
PROPOSALS = {
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.5": "-xr",
    JPEG + "70": "-xs",
    JPEG + "80": "-xt",
    JPEG + "90": "-xv",
}
"""Lossless transfer syntaxes, and how storescu proposes them."""
LOSSY = {JPEG + "50": "-xy", JPEG + "51": "-xx", JPEG + "81": "-xu", JPEG + "91": "-xw"}
ORTHANC = "TESTPACS"


@pytest.fixture(scope="session")
def dcmtk():
    """Give a function that runs one of DCMTK's programs against a port."""
    for name in ("echoscu", "storescu"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (Debian: apt-get install dcmtk)")

    def run(program: str, port: int, *words: str | Path, called: str = "MAMMOLENS"):
        command = [program, *map(str, words[:-1] if program == "storescu" else words)]
        last = [str(words[-1])] if program == "storescu" else []
        where = ["-aet", "MODALITY", "-aec", called, "localhost", str(port)]
        return subprocess.run(
            [*command, *where, *last], capture_output=True, text=True, timeout=120, check=False
        )

    return run


def rows(listener_or_state):
    state = getattr(listener_or_state, "state", listener_or_state)
    with state.database.read() as connection:
        return connection.execute(sa.select(INSTANCES).order_by(INSTANCES.c.id)).all()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            # A probe may meet itself where its own port is drawn to be the one that is free.
            if probe.connect_ex(("127.0.0.1", port)) == 0 and probe.getsockname()[1] != port:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


def test_lossless_copies_in_every_syntax_are_the_same_picture(listen, dcmtk, mammogram, tmp_path):
    listener = listen()
    for syntax, proposal in PROPOSALS.items():
        (tmp_path / "one.dcm").write_bytes(mammogram(0, syntax))
        done = dcmtk("storescu", listener.port, proposal, tmp_path / "one.dcm")
        assert done.returncode == 0, (syntax, done.stderr)
    found = rows(listener)
    assert [row.role for row in found] == ["input"] + ["copy"] * (len(PROPOSALS) - 1)
    for row, syntax in zip(found, PROPOSALS, strict=True):
        kept = dcmread(BytesIO(listener.state.received.read(row.digest)))
        assert kept.file_meta.TransferSyntaxUID == syntax


def test_lossy_syntaxes_are_taken_as_they_come(listen, dcmtk, make_dicom, tmp_path):
    listener = listen()
    for number, (syntax, proposal) in enumerate(LOSSY.items()):
        bits = 8 if syntax == JPEG + "50" else 12
        changes = {"SOPInstanceUID": f"1.2.3.4.{number}"}
        if bits == 8:
            changes |= {"BitsStored": 8, "HighBit": 7}
        made = make_dicom.dataset(make_dicom.picture(bits=bits), **changes)
        (tmp_path / "one.dcm").write_bytes(make_dicom.file_bytes(made, syntax))
        done = dcmtk("storescu", listener.port, proposal, tmp_path / "one.dcm")
        assert done.returncode == 0, (syntax, done.stderr)
    assert [row.role for row in rows(listener)] == ["input"] * len(LOSSY)


def test_film_of_the_sample_exams_comes_through(tmp_path, dcmtk, sample_dir):
    from mammolens.serve.dimse import listening

    settings = NodeSettings(
        data=tmp_path / "node", intake={"min_free_mb": 0, "film": True}, dimse={"port": 0}
    )
    files = sorted(sample_dir.glob("*/*.dcm"))[:2]
    with open_state(settings) as state, listening(state) as listener:
        for file in files:
            done = dcmtk("storescu", listener.port, "-xr", file)
            assert done.returncode == 0, done.stderr
        for row, file in zip(rows(state), files, strict=True):
            kept = dcmread(BytesIO(state.received.read(row.digest)))
            assert row.role == "input"
            assert np.array_equal(kept.pixel_array, dcmread(file).pixel_array)


def test_dcmtk_is_refused_where_it_may_not_call(listen, dcmtk, told):
    listener = listen(calling=["PACS"])
    stranger = dcmtk("echoscu", listener.port)
    assert "Calling AE Title Not Recognized" in stranger.stderr
    wrong = dcmtk("echoscu", listener.port, called="OTHER")
    assert "Called AE Title Not Recognized" in wrong.stderr
    reasons = [detail["reason"] for _, detail in told(listener, "refused_association")]
    assert reasons == ["calling_ae", "called_ae"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    new = ["-newkey", "rsa:2048", "-nodes"]
    run("req", "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem", *new)
    for name in ("node", "modality"):
        run("req", "-subj", "/CN=localhost", "-keyout", f"{name}.key", "-out", f"{name}.csr", *new)
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder


def test_dcmtk_speaks_tls_with_its_certificate_and_not_without(listen, dcmtk, told, certificates):
    listener = listen(
        certificate=certificates / "node.pem",
        key=certificates / "node.key",
        authority=certificates / "ca.pem",
    )
    trusting = ["+cf", certificates / "ca.pem"]
    shown = ["+tls", certificates / "modality.key", certificates / "modality.pem", *trusting]
    sound = dcmtk("echoscu", listener.port, *shown)
    assert sound.returncode == 0, sound.stderr
    assert dcmtk("echoscu", listener.port, "+tla", *trusting).returncode != 0
    assert dcmtk("echoscu", listener.port).returncode != 0
    time.sleep(0.5)
    reasons = {detail["reason"] for _, detail in told(listener, "refused_association")}
    assert reasons == {"no_certificate", "not_tls"}


def test_two_hundred_senders_at_once(listen, dcmtk, mammogram, tmp_path):  # noqa: ARG001
    listener = listen()
    senders = []
    for number in range(200):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(mammogram(number, StudyInstanceUID=f"1.2.{number}", picture=0))
        command = ["storescu", "-aec", "MAMMOLENS", "127.0.0.1", str(listener.port), str(path)]
        senders.append(subprocess.Popen(command, stderr=subprocess.PIPE))
    for sender in senders:
        _, said = sender.communicate(timeout=120)
        assert sender.returncode == 0, said
    assert len(rows(listener)) == 200


class Node:
    """A node of its own, as a process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.config = folder / "node.toml"
        self.settings = NodeSettings(data=folder / "node", intake={"min_free_mb": 0})
        self.config.write_text(
            f'data = "{folder / "node"}"\n[intake]\nmin_free_mb = 0\n[dimse]\nport = {self.port}\n',
            "utf-8",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        door = "from mammolens.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", door, "node", "--config", str(self.config)],
            stderr=subprocess.PIPE,
        )
        wait_for(self.port)

    def end(self, how: signal.Signals) -> bytes:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.communicate(timeout=60)[1]


def test_a_node_killed_in_the_middle_holds_each_object_once_after_a_resend(
    tmp_path, dcmtk, make_dicom
):
    files = []
    for number in range(6):
        picture = make_dicom.picture(2000, 1500, seed=number)
        made = make_dicom.dataset(picture, SOPInstanceUID=f"1.2.3.4.{number}")
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(make_dicom.file_bytes(made))
        files.append(path)
    node = Node(tmp_path)
    node.start()
    command = ["storescu", "-v", "-aec", "MAMMOLENS", "127.0.0.1", str(node.port)]
    sender = subprocess.Popen(
        [*command, *map(str, files)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert sender.stdout is not None
    said = ""
    for line in sender.stdout:
        said += line
        if "2.dcm" in line:
            break
    partial = tmp_path / "node" / "received" / "partial"
    deadline = time.monotonic() + 20
    while not any(partial.glob("*")) and sender.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    node.end(signal.SIGKILL)
    said += sender.communicate(timeout=60)[0]
    assert sender.returncode != 0
    acknowledged = said.count("Received Store Response (Success)")
    assert 2 <= acknowledged < len(files)
    with open_state(node.settings) as state:
        before = rows(state)
        assert acknowledged <= len(before) <= acknowledged + 1
        assert all(state.received.path(row.digest).is_file() for row in before)
    node.start()
    for file in files:
        assert dcmtk("storescu", node.port, "-v", file).returncode == 0
    assert b'"event": "stopped"' in node.end(signal.SIGTERM)
    with open_state(node.settings) as state:
        found = rows(state)
        assert sorted(row.sop_instance_uid for row in found) == [
            f"1.2.3.4.{number}" for number in range(6)
        ]
        assert all(state.received.path(row.digest).is_file() for row in found)


class Orthanc:
    """A PACS of our own on loopback, in a folder of its own; `node_port` is where it sends to."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("Orthanc")
        if program is None:
            pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc orthanc-gdcm)")
        self.rest, self.dicom, self.node_port = free_port(), free_port(), free_port()
        node = {"AET": "MAMMOLENS", "Host": "127.0.0.1", "Port": self.node_port}
        allowed = {f"Allow{what}": True for what in ("Echo", "Store", "Find", "Move", "Get")}
        modality = {"AET": "MODALITY", "Host": "127.0.0.1", "Port": free_port()}
        config = {
            "Name": ORTHANC,
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"ai": "ai"},
            "HttpPort": self.rest,
            "DicomAet": ORTHANC,
            "DicomPort": self.dicom,
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "Plugins": [],
            "DicomModalities": {
                "node": {**node, **allowed, "AllowStorageCommitment": True},
                "modality": {**modality, **allowed},
            },
        }
        (folder / "orthanc.json").write_text(json.dumps(config), "utf-8")
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=self.log, stderr=self.log
        )
        for port in (self.rest, self.dicom):
            wait_for(port)

    def call(self, path: str, body: object = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}{path}", data)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"ai:ai").decode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, file: bytes) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}/instances", file)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"ai:ai").decode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(json.load(answer)["ID"])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    started = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield started
    started.stop()


@pytest.fixture
def node(listen, orthanc):
    """A listener at the port that Orthanc sends to, which knows Orthanc as a peer."""
    address = f"dicom://{ORTHANC}@127.0.0.1:{orthanc.dicom}"
    return listen(port=orthanc.node_port, peers={"pacs": address}, network_timeout_s=30.0)


@pytest.fixture
def exam(orthanc, mammogram):
    """Four views in Orthanc, each in another syntax."""
    files = [
        mammogram(number, syntax, StudyInstanceUID="1.2.77", SOPInstanceUID=f"1.2.77.{number}")
        for number, syntax in enumerate([*list(PROPOSALS)[:2], JPEG + "70", JPEG + "90"])
    ]
    return files, [orthanc.upload(file) for file in files]


def told_of(listener):
    """What stays the same however an exam came."""
    return [(row.sop_instance_uid, row.role, row.view, row.sop_class_uid) for row in rows(listener)]


def test_orthanc_sends_and_the_node_holds_the_exam(node, orthanc, exam):
    _, ids = exam
    orthanc.call("/modalities/node/store", {"Resources": ids, "Synchronous": True})
    assert [row.role for row in rows(node)] == ["input"] * 4


@pytest.mark.parametrize("method", Method)
def test_a_pull_from_orthanc_brings_the_same_exam_as_a_push(listen, node, exam, method):
    files, _ = exam
    pushed = listen(folder="pushed")
    state = pushed.state
    for file in files:
        receive(state, file, "test")
    peer = find_peer("pacs", node.state.settings.dimse)
    studies = find_studies(node.state, peer, StudyQuery(study_instance_uid="1.2.77"))
    assert [study.modalities for study in studies] == [("MG",)]
    (report,) = pull_studies(node.state, peer, studies, method)
    assert (report.completed, report.is_whole) == (4, True)
    assert sorted(told_of(node)) == sorted(told_of(pushed))
    for ours, theirs in zip(by_uid(node), by_uid(pushed), strict=True):
        assert np.array_equal(ours.pixel_array, theirs.pixel_array)


def by_uid(listener):
    kept = sorted(rows(listener), key=lambda row: row.sop_instance_uid)
    return [dcmread(BytesIO(listener.state.received.read(row.digest))) for row in kept]


@pytest.mark.usefixtures("node")
def test_the_node_commits_itself_to_orthanc(orthanc, exam):
    _, ids = exam
    orthanc.call("/modalities/node/store", {"Resources": ids, "Synchronous": True})
    asked = [[MG, f"1.2.77.{number}"] for number in range(5)]
    told = orthanc.call("/modalities/node/storage-commitment", {"DicomInstances": asked})
    deadline = time.monotonic() + 30
    while (report := orthanc.call(told["Path"]))["Status"] == "Pending":
        assert time.monotonic() < deadline, report
        time.sleep(0.2)
    assert report["Status"] == "Failure"
    assert {i["SOPInstanceUID"] for i in report["Success"]} == {f"1.2.77.{n}" for n in range(4)}
    assert [(i["SOPInstanceUID"], i["FailureReason"]) for i in report["Failures"]] == [
        ("1.2.77.4", 0x0112)
    ]


def test_orthanc_commits_itself_to_the_node(node, exam):  # noqa: ARG001
    references = [(MG, f"1.2.77.{number}") for number in range(4)]
    outcome = request_commitment(node.state, "pacs", references, 30)
    assert {uid for _, uid in references} <= outcome.kept
    missing = request_commitment(node.state, "pacs", [*references, (MG, "1.2.78")], 30)
    assert missing.answered
    assert missing.failed.keys() == {"1.2.78"}
    assert not {uid for _, uid in [(MG, "1.2.78")]} <= missing.kept
