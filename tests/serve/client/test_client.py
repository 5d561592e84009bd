"""``mammolens.client`` against the running service, over good lines and bad ones."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from pydicom import dcmread

from mammolens.client import ApiError, Client, Exam, NotAnswered
from mammolens.client import resources as resources_module
from mammolens.errors import ConfigError, MissingInput


@pytest.fixture
def exam_zip(tmp_path, mammogram) -> Path:
    path = tmp_path / "exam.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.dcm", mammogram(number, AccessionNumber="A7"))
    return path


class BadLine(httpx.HTTPTransport):
    """A line that breaks in about every third request: before it, or before its answer came."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance, self.breaks = random.Random(seed), 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        draw = self.chance.random()
        if draw < 0.17:
            self.breaks += 1
            raise httpx.ConnectError("broken")
        done = super().handle_request(request)
        if draw < 0.34 and request.method in ("PATCH", "HEAD", "GET"):
            done.read()
            self.breaks += 1
            raise httpx.ReadError("broken")
        return done


def test_from_sending_to_reading(service, exam_zip):
    service.mode("concurrent")
    steps = []
    with Client(service.address, service.token) as client:
        sent = client.upload(exam_zip, progress=lambda *step: steps.append(step))
        assert steps[-1] == (exam_zip.stat().st_size,) * 2
        found = client.wait_for_upload(sent.id, 60)
        assert [member.outcome for member in found.members] == ["input"] * 4
        (exam_id,) = found.exam_ids
        exam = client.wait_for_result(exam_id, 120)
        assert exam.is_analysed
        assert (exam.patient.id, exam.accession_number) == ("P1", "A7")
        assert exam.ai is not None
        assert exam.ai.score is not None
        assert [one.id for one in client.exams(q="A7")] == [exam_id]
        assert list(client.exams(status=["signed"])) == []
        assert client.result(exam_id)["state"] == "available"
        files = client.artefacts(exam_id)
        assert files
        for artefact in files:
            assert len(client.fetch(artefact)) == artefact.size
        assert client.readings(exam_id) == []


def test_what_is_hidden_is_said_to_be_hidden(service, exam_zip):
    service.mode("second_reader")
    with Client(service.address, service.token) as client:
        (exam_id,) = client.wait_for_upload(client.upload(exam_zip).id, 60).exam_ids
        exam = client.wait_for_result(exam_id, 120)
        assert (exam.ai, exam.ai_hidden) == (None, True)
        with pytest.raises(ApiError) as refused:
            client.result(exam_id)
        assert (refused.value.status, refused.value.code) == (403, "ai_locked")


@pytest.mark.parametrize("seed", range(4))
def test_an_upload_survives_a_bad_line(service, exam_zip, monkeypatch, seed):
    monkeypatch.setattr(resources_module, "PIECE_BYTES", 4000)
    line = BadLine(seed)
    client = Client(service.address, service.token, transport=line, sleep=lambda _: None)
    with client:
        # Beginning is not repeated by itself: nobody knows whether it has happened.
        while True:
            try:
                sent = client.upload(exam_zip)
                break
            except NotAnswered:
                continue
    assert line.breaks > 2
    with Client(service.address, service.token) as calm:
        found = calm.wait_for_upload(sent.id, 60)
    assert [member.outcome for member in found.members] == ["input"] * 4


def test_an_upload_is_gone_on_with_later(service, exam_zip, monkeypatch):
    monkeypatch.setattr(resources_module, "PIECE_BYTES", 4000)

    class Ends(httpx.HTTPTransport):
        left, last = 5, ""

        def handle_request(self, request):
            self.left -= 1
            if self.left < 0:
                raise httpx.ConnectError("gone")
            self.last = request.url.path.rpartition("/")[2]
            return super().handle_request(request)

    line = Ends()
    with Client(service.address, service.token, transport=line, sleep=lambda _: None) as client:
        with pytest.raises(NotAnswered) as broken:
            client.upload(exam_zip)
        assert line.last in broken.value.__notes__[0]
    with Client(service.address, service.token) as client:
        client.resume(line.last, exam_zip)
        assert client.wait_for_upload(line.last, 60).exam_ids


def test_the_address_for_a_dicomweb_client(service, exam_zip):
    api = pytest.importorskip("dicomweb_client.api")
    requests = pytest.importorskip("requests")
    with Client(service.address, service.token) as client:
        client.wait_for_upload(client.upload(exam_zip).id, 60)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {service.token}"
        archive = api.DICOMwebClient(client.dicomweb_address, session=session)
        (study,) = archive.search_for_studies()
        found = archive.retrieve_study(study["0020000D"]["Value"][0])
    with zipfile.ZipFile(exam_zip) as sent:
        uids = {dcmread(BytesIO(sent.read(name))).SOPInstanceUID for name in sent.namelist()}
    assert {one.SOPInstanceUID for one in found} >= uids


def test_refusals_are_exceptions(service, tmp_path):
    with Client(service.address, service.token) as client:
        with pytest.raises(ApiError) as refused:
            client.exam(999)
        assert (refused.value.status, refused.value.code) == (404, "unknown")
        with pytest.raises(MissingInput):
            client.upload(tmp_path / "nothing.zip")
    with Client(service.address, "mlp_wrong") as client, pytest.raises(ApiError) as refused:
        next(client.exams())
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "address",
    ["http://mammolens.example", "ftp://127.0.0.1", "127.0.0.1:80", "https://", "https://a:b@c"],
)
def test_a_token_never_goes_in_the_clear(address):
    with pytest.raises(ConfigError):
        Client(address, "token")


def answering(*answers: httpx.Response) -> tuple[Client, list[float]]:
    left, slept = list(answers), list[float]()
    transport = httpx.MockTransport(lambda _: left.pop(0))
    return Client("https://x", "t", transport=transport, sleep=slept.append), slept


def test_it_waits_as_long_as_it_is_asked_to():
    busy = httpx.Response(503, headers={"retry-after": "7"})
    client, slept = answering(busy, busy, httpx.Response(200, json=[]))
    assert client.readings(1) == []
    assert slept == [7.0, 7.0]
    client, slept = answering(httpx.Response(503))
    with pytest.raises(ApiError):
        client.readings(1)
    assert slept == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": 1}'])
def test_an_error_that_is_no_problem_document(body):
    client, _ = answering(httpx.Response(502, content=body))
    with pytest.raises(ApiError) as refused:
        client.exam(1)
    assert (refused.value.status, refused.value.code) == (502, "http")


def test_a_redirect_is_not_followed():
    client, _ = answering(httpx.Response(302, headers={"location": "http://evil.example"}))
    with pytest.raises(ApiError):
        client.exam(1)


def test_an_answer_that_is_not_an_exam_is_refused():
    client, _ = answering(httpx.Response(200, json={"id": 1}))
    with pytest.raises(ValidationError):
        client.exam(1)


def test_waiting_ends():
    row = {
        "id": 1,
        "study_instance_uid": "1.2",
        "accession_number": None,
        "patient": dict.fromkeys(("id", "name", "birth_date", "age_years", "sex")),
        "site": None,
        "received_at": "2026-03-01T12:00:00Z",
        "views": [],
        "complete": False,
        "ai": None,
        "ai_hidden": False,
        "status": "waiting",
        "reader": None,
        "has_priors": False,
        "revision": None,
        "of_a_newer_version": True,
    }
    assert not Exam.model_validate(row).is_analysed
    client, _ = answering(*(httpx.Response(200, json=row) for _ in range(5)))
    with pytest.raises(NotAnswered):
        client.wait_for_result(1, timeout_s=-1)
