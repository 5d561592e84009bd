"""Peers and routes asked whether they are there: a clear line for each, and nothing is stored."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.serve.checks import Reached, check_destinations
from mammolens.serve.settings import NodeSettings

CAPABLE = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
}
CAD_SR = "1.2.840.10008.5.1.4.1.1.88.50"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class Server:
    """An HTTP server that answers by method and path without its query; else 404."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.asked: list[str] = []
        self.bodies = b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                outer.bodies += self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = f"{self.command} {self.path.partition('?')[0]}"
                outer.asked.append(asked)
                status, body = answers.get(asked, (404, None))
                content = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_OPTIONS = do_POST = do_PUT = answer

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def start(**answers: tuple[int, Any]) -> Server:
            server = Server({key.replace("_", " ", 1): value for key, value in answers.items()})
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def archive() -> Iterator[Any]:
    """Give a function that starts a storage SCP that takes some classes."""
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    with contextlib.ExitStack() as stack:

        def start(*classes: str, title: str = "PACS", calling: tuple[str, ...] = ()) -> int:
            ae = AE(title)
            ae.require_called_aet, ae.require_calling_aet = True, list(calling)
            for abstract in (Verification, *classes):
                ae.add_supported_context(abstract)
            server = ae.start_server(("127.0.0.1", 0), block=False)
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def one(to: str, *sinks: str, **more: Any) -> Reached:
    route = {"name": "a", "to": to, "sinks": sinks or ("json",), "timeout_s": 5.0}
    (found,) = check_destinations(NodeSettings(routes=[route], **more))
    assert str(found).startswith("ok    route a, " if found.sound else "FAIL  route a, ")
    return found


def test_a_dicom_peer_is_called_and_told_what_it_would_take(archive):
    port = archive(CAD_SR, SECONDARY_CAPTURE)
    address = f"dicom://PACS@127.0.0.1:{port}"
    found = list(check_destinations(NodeSettings(dimse={"peers": {"pacs": address}})))
    assert [(r.what, r.address, r.sound, r.said) for r in found] == [
        ("peer pacs", address, True, "C-ECHO answered")
    ]
    assert one(address, "dicom-cad-sr", "dicom-sc").said == (
        "C-ECHO answered, takes all 2 kinds of objects"
    )
    refused = one(address, "dicom-cad-sr", "dicom-seg")
    assert not refused.sound
    assert "does not take Segmentation Storage" in refused.said
    assert "CAD SR" not in refused.said


def test_every_way_in_which_a_dicom_peer_cannot_be_called_is_told(archive, closed_port):
    port = archive(CAD_SR, calling=("SOMEBODY",))
    told = {
        f"dicom://PACS@127.0.0.1:{port}": "refused the association (calling ae title not recog",
        f"dicom://OTHER@127.0.0.1:{port}": "not recognised",
        f"dicom://PACS@127.0.0.1:{closed_port}": "it cannot be reached (connection refused)",
        "dicom://PACS@nowhere.invalid:104": "it cannot be reached (",
        "dicom://nonsense": "not the address of a DICOM node",
    }
    for address, words in told.items():
        found = one(address, "dicom-cad-sr")
        assert not found.sound
        assert words in found.said, found


def test_a_dicomweb_server_is_searched_for_a_study_that_nobody_has(serve):
    ready = serve(**{"GET_/rs/studies": (200, [])})
    assert one(f"stow+http://127.0.0.1:{ready.port}/rs", "dicom-sc").said == "HTTP 200 to a search"
    peers = {"peers": {"archive": f"http://127.0.0.1:{ready.port}/rs"}}
    (found,) = check_destinations(NodeSettings(web=peers))
    assert (found.what, found.sound) == ("peer archive", True)
    assert ready.bodies == b""


@pytest.mark.parametrize(
    ("answers", "sound", "words"),
    [
        ({"GET_/rs/studies": (405, None)}, True, "whether it stores shows only when"),
        ({"OPTIONS_/rs/studies": (200, None)}, True, "HTTP 404 to a search; whether it stores"),
        ({}, False, "HTTP 404. Check the base address"),
        ({"GET_/rs/studies": (401, None)}, False, "HTTP 401: access is denied"),
        ({"GET_/rs/studies": (302, None)}, False, "HTTP 302"),
        ({"GET_/rs/studies": (500, None)}, False, "HTTP 500"),
    ],
)
def test_what_a_dicomweb_server_answers_is_judged(serve, answers, sound, words):
    found = one(f"stow+http://127.0.0.1:{serve(**answers).port}/rs", "dicom-sc")
    assert (found.sound, words in found.said) == (sound, True), found


def test_a_server_of_procedure_steps_need_not_have_studies(serve):
    steps = serve(**{"GET_/rs/workitems": (204, None)})
    address = f"http://127.0.0.1:{steps.port}/rs"
    for settings in (
        NodeSettings(ups={"server": "ris"}, web={"peers": {"ris": address}}),
        NodeSettings(ups={"server": address}),
    ):
        (found,) = check_destinations(settings)
        assert found.sound, found


@pytest.mark.parametrize(
    ("capability", "counted", "sound", "words"),
    [
        ((200, CAPABLE), 200, True, "FHIR 4.0.1"),
        ((200, CAPABLE | {"rest": []}), 200, True, "does not say whether it accepts transactions"),
        ((200, CAPABLE), 401, False, "HTTP 401: access is denied"),
        ((200, CAPABLE), 404, True, "FHIR 4.0.1"),
        ((200, CAPABLE | {"fhirVersion": "5.0.0"}), 200, False, "not a FHIR R4 server (5.0.0)"),
        ((200, ["else"]), 200, False, "not a FHIR R4 server"),
        (
            (200, CAPABLE | {"rest": [{"interaction": [{"code": "batch"}]}]}),
            200,
            False,
            "does not accept transactions",
        ),
        ((503, None), 200, False, "HTTP 503"),
    ],
)
def test_a_fhir_server_is_asked_what_it_can_do(serve, capability, counted, sound, words):
    server = serve(**{"GET_/fhir/metadata": capability, "GET_/fhir/Device": (counted, None)})
    found = one(f"fhir+http://127.0.0.1:{server.port}/fhir", "fhir")
    assert (found.sound, words in found.said) == (sound, True), found
    assert {asked.partition(" ")[0] for asked in server.asked} == {"GET"}


def test_a_listener_of_messages_is_connected_to_and_told_nothing(closed_port):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = one(f"mllp://127.0.0.1:{port}", "hl7")
        assert (found.sound, found.said) == (True, "connected, and sent nothing")
        connected, _ = listener.accept()
        assert connected.recv(10) == b""
        connected.close()
    assert "connection refused" in one(f"mllp://127.0.0.1:{closed_port}", "hl7").said


def test_a_server_that_does_not_speak_what_is_asked_is_told(serve):
    plain = serve()
    for to, sink in (("mllps", "hl7"), ("fhir+https", "fhir"), ("stow+https", "dicom-sc")):
        found = one(f"{to}://127.0.0.1:{plain.port}/x", sink)
        assert not found.sound
        assert "TLS fails (" in found.said, found
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hang_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hang_up.start()
        found = one(f"fhir+http://127.0.0.1:{listener.getsockname()[1]}/x", "fhir")
        hang_up.join()
    assert "does not answer in HTTP" in found.said


def test_a_folder_is_tried_and_left_as_it_was(tmp_path, monkeypatch):
    assert one(str(tmp_path)).said == "the folder can be written"
    assert list(tmp_path.iterdir()) == []
    assert "does not exist" in one(str(tmp_path / "absent")).said

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mammolens.serve.checks.tempfile.TemporaryFile", refuse)
    found = one(str(tmp_path))
    assert (found.sound, "Permission denied" in found.said) == (False, True)


def test_a_setting_that_is_wrong_is_one_answer_among_the_others(tmp_path):
    routes = [
        {"name": "bad", "to": "ftp://x", "sinks": ["json"]},
        {"name": "mixed", "to": "mllp://127.0.0.1:1", "sinks": ["fhir"]},
        {"name": "good", "to": str(tmp_path), "sinks": ["json"]},
    ]
    found = list(check_destinations(NodeSettings(routes=routes)))
    assert [(r.what, r.sound) for r in found] == [
        ("route bad", False),
        ("route mixed", False),
        ("route good", True),
    ]
    assert "mllp cannot send" in found[1].said


def test_the_door_gives_a_line_for_each_and_fails_if_one_does(tmp_path):
    config = tmp_path / "node.toml"
    route = '[[routes]]\nname = "{}"\nto = "{}"\nsinks = ["json"]\n'
    (tmp_path / "share").mkdir()
    good = route.format("share", tmp_path / "share")
    config.write_text(good, "utf-8")
    call = lambda *words: CliRunner().invoke(app, ["node", "check", "-c", str(config), *words])  # noqa: E731
    assert call().exit_code == 0
    config.write_text(good + route.format("gone", tmp_path / "gone"), "utf-8")
    done = call()
    assert done.exit_code == 1
    assert [line[:18] for line in done.stdout.splitlines()] == [
        "ok    route share,",
        "FAIL  route gone, ",
    ]
    told = json.loads(call("--json").stdout)
    assert [(one["what"], one["sound"]) for one in told] == [
        ("route share", True),
        ("route gone", False),
    ]
    config.write_text("", "utf-8")
    assert (call().exit_code, "no peer and no route" in call().stdout) == (0, True)


@pytest.mark.pacs
def test_orthanc_is_reached_by_every_way(tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[2] / "deploy" / "loopback"))
    try:
        from peers import DICOM_SINKS, MissingPeer, Orthanc, free_port
    finally:
        sys.path.pop(0)
    try:
        orthanc = Orthanc(tmp_path / "orthanc", free_port())
    except MissingPeer as missing:
        pytest.skip(str(missing))
    orthanc.start()
    try:
        address = f"dicom://PACS@127.0.0.1:{orthanc.port}"
        settings = NodeSettings(
            dimse={"peers": {"pacs": address}},
            routes=[
                {"name": "pacs", "to": "pacs", "sinks": DICOM_SINKS},
                {
                    "name": "web",
                    "to": f"stow+http://127.0.0.1:{orthanc.http}/dicom-web",
                    "sinks": DICOM_SINKS,
                    "user": "demo",
                },
            ],
            secrets={"web": "demo"},
        )
        found = list(check_destinations(settings))
        wrong = settings.model_copy(update={"secrets": NodeSettings(secrets={"web": "x"}).secrets})
        refused = list(check_destinations(wrong))[-1]
        assert orthanc.held() == []
    finally:
        orthanc.program.end()
        shutil.rmtree(tmp_path / "orthanc")
    assert [r.sound for r in found] == [True, True, True], found
    assert "takes all 6 kinds" in found[1].said
    assert "HTTP 401" in refused.said
