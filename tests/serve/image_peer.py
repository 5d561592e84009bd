"""A DICOMweb server of a few objects for tests, which can be made to misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.dataset import Dataset

QIDO = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID")
QIDO += ("StudyDate", "AccessionNumber", "PatientBirthDate", "Modality")


class Peer:
    """A DICOMweb server of a few objects."""

    def __init__(self, objects: list[bytes]) -> None:
        self.objects = {}
        for content in objects:
            data = dcmread(BytesIO(content), stop_before_pixels=True)
            told = {k: str(data.get(k) or "") for k in QIDO}
            self.objects[told["SOPInstanceUID"]] = told, content
        self.asked: list[tuple[str, dict]] = []
        self.misbehave = lambda _path, status, kind, body: (status, kind, body)
        self.ignores_keys = False

    def answer(self, path: str, headers: dict) -> tuple[int, str, bytes]:
        url = urlsplit(path)
        parts = url.path.removeprefix("/base/").split("/")
        self.asked.append((path, headers))
        keys = {k: v[0] for k, v in parse_qs(url.query).items()}
        if parts[-1] in ("studies", "instances"):
            return self.search(parts, keys)
        told, content = self.objects[parts[-1]]
        assert parts[1::2] == [told[k] for k in QIDO[2:4]] + [parts[-1]]
        assert headers["Accept"].startswith('multipart/related; type="application/dicom"')
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--"
        return 200, 'multipart/related; type="application/dicom"; boundary="b"', body

    def search(self, parts: list[str], keys: dict) -> tuple[int, str, bytes]:
        found = {}
        for told, _ in self.objects.values():
            level = "StudyInstanceUID" if parts[-1] == "studies" else "SOPInstanceUID"
            wanted = {"StudyInstanceUID": parts[1]} if parts[-1] == "instances" else {}
            wanted |= {k: v for k, v in keys.items() if k in QIDO and k != "StudyDate"}
            if self.ignores_keys or all(told[k] == v for k, v in wanted.items()):
                found[told[level]] = told
        page = list(found.values())[int(keys["offset"]) :][: min(2, int(keys["limit"]))]
        answers = []
        for told in page:
            data = Dataset()
            for keyword, value in told.items():
                setattr(data, keyword, value)
            data.ModalitiesInStudy = told["Modality"]
            answers.append(data.to_json_dict())
        return 200 if answers else 204, "application/dicom+json", json.dumps(answers).encode()


@contextlib.contextmanager
def running(peer: Peer):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, kind, body = peer.answer(self.path, dict(self.headers))
            status, kind, body = peer.misbehave(self.path, status, kind, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status != 204:
                self.send_header("Content-Length", str(max(len(body), peer.__dict__.get("n", 0))))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)
                self.close_connection = bool(peer.__dict__.get("n"))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/base"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
