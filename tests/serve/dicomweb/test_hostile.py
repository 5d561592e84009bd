"""Requests that nobody honest makes, objects that are damaged, and many at a time."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from fastapi import HTTPException
from pydicom import dcmread
from starlette.testclient import TestClient

from mammolens.errors import InputError
from mammolens.images.dicom import plain_copy, read_whole_header
from mammolens.serve.dicomweb import headers as headers_module
from mammolens.serve.dicomweb.json_model import header_json
from mammolens.serve.dicomweb.media import read_wishes
from mammolens.serve.holdings import open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import INSTANCES, insert_once
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web.app import build_app
from mammolens.serve.web.dicomweb_answers import Turns

from .conftest import parts_of

STUDY = "1.2.826.7"
SERIES = f"/studies/{STUDY}/series/{STUDY}.1"
INSTANCE = f"{SERIES}/instances/{STUDY}.1.1"
ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture
def one(archive):
    archive.exam(STUDY)
    return archive


@pytest.mark.parametrize(
    ("address", "statuses"),
    [
        (f"{INSTANCE}/frames/0", {400}),
        (f"{INSTANCE}/frames/1000000000", {404}),
        (f"{INSTANCE}/frames/99999999999", {400}),
        (f"{INSTANCE}/frames/-1", {400}),
        (f"{INSTANCE}/frames/1,", {400}),
        (f"{INSTANCE}/frames/1,0", {400}),
        (f"{INSTANCE}/frames/" + ",".join("1" for _ in range(1001)), {400}),
        (f"{INSTANCE}/frames/%D9%A1", {400}),
        (f"{INSTANCE}/frames/x", {400}),
        (f"{INSTANCE}/frames/2/rendered", {404}),
        (f"{INSTANCE}/frames/1,1/rendered", {400}),
        (f"{INSTANCE}/bulkdata/PixelData", {400}),
        (f"{INSTANCE}/bulkdata/00000000", {404}),
        (f"{INSTANCE}/bulkdata/..%2F..%2Fetc", {400, 404}),
        ("/studies/..%2F..", {404}),
        ("/studies/x", {400}),
        ("/studies/1..2", {400}),
        ("/studies/" + "1" * 65, {400}),
        ("/studies/1.2%00", {400}),
        (f"/studies/{STUDY}/series/'%20OR%201=1", {400}),
        (f"/studies/{STUDY}/series/1.2.3", {404}),
        (f"/studies/{STUDY}/nothing", {404}),
        (f"{INSTANCE}/rendered?window=1", {400}),
        (f"{INSTANCE}/rendered?window=nan,1,linear", {400}),
        (f"{INSTANCE}/rendered?window=1,0.5,linear", {400}),
        (f"{INSTANCE}/rendered?window=1,-5,sigmoid", {400}),
        (f"{INSTANCE}/rendered?window=1,1e999,linear", {400}),
        (f"{INSTANCE}/rendered?window=1e99,1e99,linear-exact", {400}),
        (f"{INSTANCE}/rendered?window=1,5,cubic", {400}),
        (f"{INSTANCE}/rendered?viewport=0,0", {400}),
        (f"{INSTANCE}/rendered?viewport=99999,99999", {400}),
        (f"{INSTANCE}/rendered?viewport=8000,8000", {400}),
        (f"{INSTANCE}/rendered?viewport=10", {400}),
        (f"{INSTANCE}/rendered?viewport=10,10,-1,0,5,5", {400}),
        (f"{INSTANCE}/rendered?viewport=10,10,500,500,5,5", {400}),
        (f"{INSTANCE}/rendered?viewport=10,10,0,0,0,5", {400}),
        (f"{INSTANCE}/rendered?viewport=10,10,0,0,1e9,1e9", {200}),
        (f"{INSTANCE}/rendered?viewport=10,10,0,0,0.2,0.2", {400}),
        (f"{INSTANCE}/rendered?quality=0", {400}),
        (f"{INSTANCE}/rendered?quality=101", {400}),
        (f"{INSTANCE}/rendered?quality=x", {400}),
    ],
)
def test_addresses(one, address, statuses):
    done = one.get(address)
    assert done.status_code in statuses, done.text
    if done.status_code != 200:
        assert done.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "accept",
    [
        *("x", ";", ",", '"', "multipart/related", "a/b;q=x", "a/b;" * 2000, "*/*;q=0", "*;q=1"),
        *('multipart/related; type="image/gif"', "application/dicom+json;q=2", "text/html"),
        'multipart/related; type="application/dicom"; type="image/jls"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.3',
        'multipart/related; type="\\"',
        ", ".join(f"a/b{n}" for n in range(400)),
    ],
)
def test_wishes(one, accept):
    for address in (
        f"/studies/{STUDY}",
        f"{INSTANCE}/metadata",
        f"{INSTANCE}/frames/1",
        "/studies",
    ):
        assert one.get(address, accept=accept).status_code in (200, 406)
    assert len(read_wishes(accept)) <= 64


def test_requests_in_other_ways(one):
    ask = one.stage.ask
    for method in ("PUT", "DELETE", "PATCH", "POST", "HEAD", "OPTIONS"):
        done = ask("north-reader", method, f"//dicom-web{INSTANCE}")
        assert done.status_code in (403, 404, 405)
    done = one.get(f"{INSTANCE}/frames/1", range="bytes=5-1")
    assert done.status_code == 200
    done = one.get("/studies", host="evil.example")
    assert done.status_code == 421


def test_the_address_of_a_row_is_that_of_the_request(one):
    (row,) = one.rows("/studies")
    assert row["00081190"]["Value"] == [f"http://127.0.0.1/dicom-web/studies/{STUDY}"]


CUTS = [("1.2.840.10008.1.2.1", 0.5), ("1.2.840.10008.1.2.5", 0.7), ("1.2.840.10008.1.2.4.90", 0.6)]


@pytest.mark.parametrize(("syntax", "share"), CUTS)
def test_a_picture_that_is_cut_is_never_given_as_whole(archive, make_dicom, syntax, share):
    made = make_dicom.dataset(
        StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID=f"{STUDY}.1.1"
    )
    content = make_dicom.file_bytes(made, syntax)
    cut = content[: int(len(content) * share)]
    archive.receive(cut)
    for accept in ("*/*", 'multipart/related; type="image/jphc"'):
        done = archive.get(f"{INSTANCE}/frames/1", accept=accept)
        assert (done.status_code, done.json()["code"]) == (409, "damaged_object")
    for address in (f"{INSTANCE}/rendered", f"{INSTANCE}/thumbnail"):
        assert archive.get(address).status_code == 409
    ((_, given),) = parts_of(archive.get(INSTANCE, accept=ANY))
    assert given == cut
    if syntax != "1.2.840.10008.1.2.1":
        assert archive.get(INSTANCE).status_code == 409
    assert archive.get(f"{INSTANCE}/metadata").status_code == 200


def test_a_frame_that_is_not_what_its_transfer_syntax_says(archive, make_dicom):
    jpeg = "1.2.840.10008.1.2.4."
    made = make_dicom.dataset(
        StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID=f"{STUDY}.1.1"
    )
    picture = make_dicom.picture()
    content = make_dicom.file_bytes(made, jpeg + "90", make_dicom.ENCODERS[jpeg + "80"](picture))
    archive.receive(content)
    wished = 'multipart/related; type="image/jp2"; transfer-syntax=' + jpeg + "90"
    assert archive.get(f"{INSTANCE}/frames/1", accept=wished).status_code == 409
    ((_, given),) = parts_of(archive.get(f"{INSTANCE}/frames/1"))
    np.testing.assert_array_equal(np.frombuffer(given, "<u2").reshape(picture.shape), picture)


def test_damaged_headers_never_break_the_server(archive, make_dicom):
    content = bytearray(
        make_dicom.file_bytes(
            make_dicom.dataset(
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=f"{STUDY}.1",
                SOPInstanceUID=f"{STUDY}.1.1",
            )
        )
    )
    exam = archive.receive(bytes(content))
    rng = np.random.default_rng(0)
    state, database = archive.stage.state, archive.stage.database
    for number in range(60):
        broken = bytearray(content)
        for at in rng.integers(132, 900, 6):
            broken[at] = rng.integers(0, 256)
        stored = state.received.put(bytes(broken))
        row = {
            "sop_instance_uid": f"{STUDY}.5.{number}",
            "sop_class_uid": "1.2.3",
            "series_instance_uid": f"{STUDY}.5",
            "digest": stored.digest,
            "size": stored.size,
            "role": "refused",
            "exam_id": exam,
            "exam_version": 1,
            "sender": "x",
            "received_at": archive.stage.clock.now,
        }
        with database.write() as connection:
            insert_once(connection, INSTANCES, row)
    listed = archive.rows("/instances?limit=1000")
    assert len(listed) == 61
    for number in range(60):
        base = f"/studies/{STUDY}/series/{STUDY}.5/instances/{STUDY}.5.{number}"
        for end in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
            assert archive.get(base + end).status_code in (200, 404, 406, 409), end
    done = archive.get(f"/studies/{STUDY}/metadata")
    assert done.status_code in (200, 409)


def test_monstrous_headers_are_described_within_limits(make_attacks):
    attacks = {
        **make_attacks.refused(300_000),
        **make_attacks.described(300_000),
        **make_attacks.passed(),
    }
    for name, make in attacks.items():
        try:
            plain = plain_copy(BytesIO(make()), "x", tempfile.TemporaryFile, 1 << 29)
            with plain:
                plain.seek(0)
                made = header_json(read_whole_header(plain, "x"), hex)
        except InputError:
            continue
        assert len(json.dumps(made)) < 8 << 20, name


def test_a_lost_object_leaves_the_others(one):
    digest = one.stage.state.received
    with one.stage.database.read() as connection:
        row = connection.execute(INSTANCES.select().order_by(INSTANCES.c.id)).first()
    digest.path(row.digest).unlink()
    assert len(one.rows("/instances")) == 3
    assert one.get(f"/studies/{STUDY}").status_code == 200


def test_a_disk_that_is_away_is_said(one):
    one.rows("/studies")
    folder = one.stage.state.received.folder
    folder.rename(folder.with_name("away"))
    assert one.get(f"{INSTANCE}/frames/1").status_code == 503
    folder.with_name("away").rename(folder)
    assert one.get(f"{INSTANCE}/frames/1").status_code == 200


def test_the_index_is_filled_once_by_many(one, monkeypatch):
    read = []
    whole = headers_module.read_whole_header

    def counted(*arguments):
        read.append(1)
        return whole(*arguments)

    monkeypatch.setattr(headers_module, "read_whole_header", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: one.stage.client.app.app.state.dicomweb.index.fill(), range(8))
        )
    assert found == [None] * 8
    assert len(read) == 4


def test_an_index_that_takes_long_asks_to_come_again(one, monkeypatch):
    monkeypatch.setattr(headers_module, "PATIENCE_S", -1.0)
    done = one.get("/studies")
    assert (done.status_code, done.json()["code"]) == (503, "not_ready")
    assert done.headers["retry-after"] == "5"
    monkeypatch.undo()
    assert len(one.rows("/studies")) == 1


def test_one_caller_does_not_take_all_turns(monkeypatch):
    monkeypatch.setattr("mammolens.serve.web.dicomweb_answers.WAIT_S", 0.05)

    async def go() -> None:
        turns = Turns(4)
        for _ in range(2):
            await turns.take("a")
        with pytest.raises(HTTPException) as refused:
            await turns.take("a")
        assert refused.value.status_code == 503
        for _ in range(2):
            await turns.take("b")
        with pytest.raises(HTTPException):
            await turns.take("c")
        for actor in "aabb":
            turns.give(actor)
        await turns.take("c")
        turns.give("c")
        assert not turns._each
        assert turns._all._value == 4

    asyncio.run(go())


def test_turns_come_back_from_every_kind_of_answer(make_archive):
    archive = make_archive(web={"max_retrieves": 1})
    archive.exam(STUDY)
    for _ in range(3):
        for end in ("", "/metadata", "/frames/1", "/frames/2", "/rendered", "/bulkdata/00000000"):
            assert archive.get(INSTANCE + end).status_code in (200, 404)
    turns = archive.stage.client.app.app.state.dicomweb.turns
    assert turns._all._value == 1
    assert not turns._users


def test_many_at_a_time(one):
    failed: list[object] = []

    def work(number: int) -> None:
        client = TestClient(one.stage.client.app, "http://127.0.0.1")
        for end in ("/frames/1", "/metadata", "/rendered", ""):
            done = client.get(f"/dicom-web{INSTANCE}{end}", headers=one.stage.headers("machine"))
            if done.status_code != 200:
                failed.append((number, end, done.status_code))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_objects_without_identity_are_given_without_it(tmp_path, mammogram):
    (tmp_path / "scratch").mkdir(mode=0o700)
    settings = NodeSettings(
        data=tmp_path / "node",
        intake={
            "min_free_mb": 0,
            "deidentify": {"key": "k" * 32, "scratch": str(tmp_path / "scratch")},
        },
        web={"tokens": {"pacs": "0123456789abcdef"}, "retrievers": ("pacs",)},
    )
    with open_state(settings) as state:
        receive(
            state,
            mammogram(0, PatientName="Doe^Jane", AccessionNumber="A77", BurnedInAnnotation="NO"),
            "dimse:X",
        )
        client = TestClient(build_app(state), "http://127.0.0.1")
        known = {"authorization": "Bearer 0123456789abcdef"}
        (row,) = client.get("/dicom-web/studies", headers=known).json()
        study = row["0020000D"]["Value"][0]
        assert study == state.kept_as("1.2.3")
        done = client.get(f"/dicom-web/studies/{study}", headers={**known, "accept": ANY})
        ((_, given),) = parts_of(done)
        text = client.get(f"/dicom-web/studies/{study}/metadata", headers=known).text
        for said in (str(row), text, str(dcmread(BytesIO(given)))):
            assert not [word for word in ("Doe", "Jane", "A77") if word in said]
        assert client.get("/dicom-web/studies/1.2.3", headers=known).status_code == 404
