"""An exam gets the site of its sender, whichever door it comes by."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from mammolens.serve.commands import add_files
from mammolens.serve.holdings import open_state
from mammolens.serve.intake import watching
from mammolens.serve.record import EXAMS, SITES
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web.app import build_app

testclient = pytest.importorskip("starlette.testclient")

TOKEN = "0123456789abcdef-token"
SENDERS = {
    "dimse:MODALITY": "by-dicom",
    "web:pacs": "by-web",
    "folder:scanner": "by-folder",
}


@pytest.fixture
def settings(tmp_path) -> NodeSettings:
    (tmp_path / "scans").mkdir()
    return NodeSettings(
        data=tmp_path / "node",
        intake={"min_free_mb": 0},
        web={"tokens": {"pacs": TOKEN}},
        watch={"folders": {"scanner": tmp_path / "scans"}, "settle_s": 0.05, "poll_s": 0.05},
        sites=SENDERS,
    )


def sites(state) -> list[str | None]:
    asked = sa.select(SITES.c.key).select_from(EXAMS.outerjoin(SITES)).order_by(EXAMS.c.id)
    with state.database.read() as connection:
        return list(connection.execute(asked).scalars())


def test_by_web(settings, mammogram):
    with open_state(settings) as state:
        client = testclient.TestClient(build_app(state), "http://127.0.0.1")
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/dicom"}
        done = client.post("/dicom-web/studies", content=mammogram(0), headers=headers)
        assert done.status_code == 200
        assert sites(state) == ["by-web"]


def test_by_a_watched_folder(settings, mammogram, tmp_path):
    with open_state(settings) as state, watching(state):
        (tmp_path / "scans" / "one.dcm").write_bytes(mammogram(0))
        until = time.monotonic() + 30
        while not sites(state) and time.monotonic() < until:
            time.sleep(0.05)
        assert sites(state) == ["by-folder"]


def test_by_the_command_line_it_has_none(settings, mammogram, tmp_path):
    (tmp_path / "one.dcm").write_bytes(mammogram(0))
    assert [taken for *_, taken in add_files(settings, [tmp_path / "one.dcm"])] == [True]
    with open_state(settings) as state:
        assert sites(state) == [None]


def test_by_dicom(settings, mammogram, call):
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO

    from mammolens.serve.dimse import listening

    data = dcmread(DicomBytesIO(mammogram(0)))
    with (
        open_state(
            settings.model_copy(update={"dimse": settings.dimse.model_copy(update={"port": 0})})
        ) as state,
        listening(state) as listener,
    ):
        syntax = str(data.file_meta.TransferSyntaxUID)
        association = call(listener, [(str(data.SOPClassUID), syntax)])
        assert association.send_c_store(data).Status == 0
        association.release()
        assert sites(state) == ["by-dicom"]
