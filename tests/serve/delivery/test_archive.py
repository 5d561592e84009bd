"""Results of a real exam, made by the worker, into archives that are no code of ours."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pydicom
import pytest
import sqlalchemy as sa

from mammolens.serve.delivery import deliver, delivering
from mammolens.serve.intake import receive
from mammolens.serve.record import DELIVERIES, FILES

from ..in_process import work_once

pytestmark = pytest.mark.pacs

ROOT = Path(__file__).parents[3]
SINKS = ["dicom-cad-sr", "dicom-sc", "dicom-pr", "dicom-seg", "dicom-sr"]
QUICK = {"exams": {"quiet_time_s": 0.01}, "intake": {"min_free_mb": 0}}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def hospital() -> ModuleType:
    return load(ROOT / "deploy" / "loopback" / "peers.py")


@pytest.fixture(scope="module")
def exam(tmp_path_factory, sample_dir) -> list[bytes]:
    pytest.importorskip("highdicom", reason="pip install 'mammolens[dicom]'")
    make = load(ROOT / "tests" / "make_exam.py").make_exam
    case = sorted(path for path in sample_dir.iterdir() if path.is_dir())[0]
    return [path.read_bytes() for path in make(case, tmp_path_factory.mktemp("exam"), every=8)]


@pytest.fixture
def orthanc(tmp_path, hospital, port) -> Iterator[object]:
    try:
        started = hospital.Orthanc(tmp_path / "orthanc", port)
    except hospital.MissingPeer as missing:
        pytest.skip(str(missing))
    started.start()
    yield started
    started.program.end()


@pytest.fixture
def analysed(make_node, exam, package):
    """Give a function that makes a node with routes, and the results of the exam."""

    def make(*routes, **more):
        node = make_node(*routes, model=str(package), **{**QUICK, **more})
        for content in exam:
            receive(node.state, content, "dimse:X")
        time.sleep(0.05)
        assert work_once(node.state) == 1
        return node

    return make


def ways(orthanc) -> list[dict[str, object]]:
    http = f"stow+http://127.0.0.1:{orthanc.http}/dicom-web"
    return [
        {"name": "pacs", "to": f"dicom://PACS@127.0.0.1:{orthanc.port}", "sinks": SINKS},
        {"name": "web", "to": http, "sinks": SINKS, "user": "demo"},
    ]


def now(node) -> int:
    return deliver(node.state, threading.Event(), once=True)


def sent(node) -> dict[str, bytes]:
    """The objects of the results, as they lie in the store."""
    with node.database.read() as connection:
        rows = connection.execute(sa.select(FILES).where(FILES.c.sop_instance_uid.is_not(None)))
        return {row.sop_instance_uid: node.state.results.read(row.digest) for row in rows}


def queue_again(node) -> None:
    """As if the sender had been killed before it could note anything."""
    with node.database.write() as connection:
        fresh = {"state": "queued", "attempts": 0, "finished_at": None, "error": None}
        connection.execute(DELIVERIES.update().values(**fresh))


def body(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content))


@pytest.mark.parametrize("which", [0, 1], ids=["C-STORE", "STOW-RS"])
def test_orthanc_holds_each_result_once_and_unchanged(analysed, orthanc, which):
    route = ways(orthanc)[which]
    node = analysed(route, secrets={"web": "demo"} if which else {})
    results = sent(node)
    assert len(results) >= 10
    assert now(node) == len(results)
    assert sorted(orthanc.held()) == sorted(results)
    queue_again(node)
    assert now(node) == len(results)
    assert sorted(orthanc.held()) == sorted(results)
    study = body(next(iter(results.values()))).StudyInstanceUID
    kept = {str(body(file).SOPInstanceUID): file for file in orthanc.files(study)}
    assert {uid: body(file) for uid, file in kept.items()} == {
        uid: body(file) for uid, file in results.items()
    }


def test_a_wrong_password_keeps_everything_until_it_is_right(analysed, orthanc):
    node = analysed(ways(orthanc)[1], secrets={"web": "wrong"})
    assert now(node) == 0
    assert {*node.states()} == {"queued"}
    assert "HTTP 401" in {row.error for row in node.deliveries()}


def test_orthanc_that_was_stopped_for_a_while_holds_each_once(analysed, orthanc, until):
    node = analysed(*ways(orthanc), secrets={"web": "demo"})
    results = sent(node)
    orthanc.program.end()
    with delivering(node.state):
        until(lambda: len(node.trail("put_off")) > 2 * len(results))
        orthanc.start()
        until(node.finished, 60)
    assert {*node.states()} == {"done"}
    assert sorted(orthanc.held()) == sorted(results)


def test_orthanc_killed_in_the_middle_holds_each_once(analysed, orthanc, until):
    node = analysed(*ways(orthanc), secrets={"web": "demo"})
    results = sent(node)
    with delivering(node.state):
        until(lambda: node.trail("delivered"))
        orthanc.program.end(signal.SIGKILL)
        orthanc.start()
        until(node.finished, 60)
    assert {*node.states()} == {"done"}
    assert sorted(orthanc.held()) == sorted(results)


def test_orthanc_commits_itself_to_every_object(analysed, orthanc):
    from mammolens.serve.dimse import listening

    route = {**ways(orthanc)[0], "commitment": True, "timeout_s": 20}
    peers = {"pacs": f"dicom://PACS@127.0.0.1:{orthanc.port}"}
    dimse = {"ae_title": "MAMMOLENS", "port": orthanc.node_port, "peers": peers}
    node = analysed(route, dimse=dimse)
    results = sent(node)
    with listening(node.state):
        assert now(node) == len(results)
    assert {row["receipt"] for row in node.trail("delivered")} == {"C-STORE, committed"}
    assert sum(row["objects"] for row in node.trail("commitment_asked")) == len(results)


@pytest.fixture
def storescp(tmp_path, port) -> Iterator[object]:
    """Give a function that starts DCMTK's receiver with options."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("storescp is not installed (Debian: apt-get install dcmtk)")
    folder = tmp_path / "storescp"
    folder.mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> tuple[int, Path]:
        for one in started:
            one.kill()
            one.wait()
        command = [program, "+xa", *options, "-aet", "PACS", "-od", str(folder), str(port)]
        said = subprocess.DEVNULL
        started.append(subprocess.Popen(command, stdout=said, stderr=said))
        time.sleep(0.5)
        return port, folder

    yield start
    for one in started:
        one.kill()
        one.wait()


@pytest.mark.parametrize("refusal", ["--refuse", "--abort-after", "--abort-during"])
def test_dcmtk_that_refuses_or_aborts_gets_everything_later(analysed, storescp, until, refusal):
    port, folder = storescp(refusal)
    to = f"dicom://PACS@127.0.0.1:{port}"
    node = analysed({"name": "pacs", "to": to, "sinks": SINKS, "timeout_s": 10})
    results = sent(node)
    with delivering(node.state):
        until(lambda: len(node.trail("put_off")) >= 3, 30)
        storescp()
        until(node.finished, 60)
    assert {*node.states()} == {"done"}
    held = [
        str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in folder.iterdir()
    ]
    assert sorted(held) == sorted(results)
