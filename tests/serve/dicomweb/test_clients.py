"""An independent client against the running server: what comes back equals what was stored."""

from __future__ import annotations

import threading
import tracemalloc
from io import BytesIO

import httpx
import numpy as np
import pytest
from pydicom import dcmread

from mammolens.serve.portal import open_portal
from mammolens.serve.web import serving

api = pytest.importorskip("dicomweb_client.api")
requests = pytest.importorskip("requests")

STUDY = "1.2.826.7"
RLE, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"


@pytest.fixture
def running(make_archive):
    """An archive that listens; gives it and its port."""
    archive = make_archive(web={"port": 0})
    state = archive.stage.state
    with serving(state, open_portal(state)) as port:
        yield archive, port


def client_of(archive, port: int, who: str):
    session = requests.Session()
    session.headers.update(archive.stage.headers(who))
    client = api.DICOMwebClient(f"http://127.0.0.1:{port}/dicom-web", session=session)
    client.host = f"127.0.0.1:{port}"  # it leaves out the port, as addresses in answers then would
    return client


@pytest.mark.parametrize("who", ["north-reader", "north-reader by token", "machine"])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", RLE, J2K])
def test_dicomweb_client(running, who, syntax):
    archive, port = running
    archive.exam(STUDY, syntax=syntax, PatientName="Doe^Jane")
    client = client_of(archive, port, who)
    (found,) = client.search_for_studies(
        search_filters={"PatientName": "doe*"}, fuzzymatching=True, limit=5, fields=["StudyDate"]
    )
    assert found["0020000D"]["Value"] == [STUDY]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert len(client.search_for_series(STUDY)) == len(client.search_for_instances(STUDY)) == 4
    stored = {
        str((one := dcmread(BytesIO(content))).SOPInstanceUID): one
        for content in archive.received.values()
    }
    for given in client.retrieve_study(STUDY, media_types=(("application/dicom", "*"),)):
        assert given == stored[given.SOPInstanceUID]
        assert given.file_meta.TransferSyntaxUID == syntax
    for given in client.iter_study(STUDY):
        expected = stored[given.SOPInstanceUID].pixel_array
        np.testing.assert_array_equal(given.pixel_array, expected)
    series, uid = f"{STUDY}.2", f"{STUDY}.2.1"
    assert client.retrieve_instance(STUDY, series, uid).SOPInstanceUID == uid
    (frame,) = client.retrieve_instance_frames(STUDY, series, uid, [1])
    assert frame == stored[uid].pixel_array.tobytes()
    metadata = client.retrieve_instance_metadata(STUDY, series, uid)
    assert metadata["00080018"]["Value"] == [uid]
    (bulk,) = client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert bulk == frame
    assert len(client.retrieve_study_metadata(STUDY)) == 4
    assert len(client.retrieve_series_metadata(STUDY, series)) == 1
    shown = client.retrieve_instance_rendered(STUDY, series, uid, media_types=("image/png",))
    assert shown.startswith(b"\x89PNG")


def test_what_is_not_there_is_said(running):
    archive, port = running
    archive.exam(STUDY, "south")
    client = client_of(archive, port, "north-reader")
    with pytest.raises(requests.HTTPError) as refused:
        client.retrieve_study(STUDY)
    assert refused.value.response.status_code == 404


def test_a_study_is_streamed(running, make_dicom):
    """Memory does not grow with the study: forty objects of two megabytes each."""
    archive, port = running
    picture = make_dicom.picture(1024, 1024)
    for number in range(40):
        made = make_dicom.dataset(
            picture,
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.1",
            SOPInstanceUID=f"{STUDY}.1.{number}",
        )
        archive.receive(make_dicom.file_bytes(made))
    archive.received.clear()
    url = f"http://127.0.0.1:{port}/dicom-web/studies/{STUDY}"
    headers = archive.stage.headers("machine")
    tracemalloc.start()
    try:
        total = 0
        with httpx.stream("GET", url, headers=headers, timeout=60) as done:
            for piece in done.iter_raw(1 << 16):
                total += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > 40 * picture.nbytes
    assert peak < 24 << 20


def test_who_leaves_gives_the_turn_back(running):
    archive, port = running
    archive.exam(STUDY)
    url = f"http://127.0.0.1:{port}/dicom-web/studies/{STUDY}"
    headers = archive.stage.headers("machine")

    def begin() -> None:
        with httpx.stream("GET", url, headers=headers, timeout=30) as done:
            assert next(done.iter_raw(100))

    threads = [threading.Thread(target=begin) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = httpx.get(url, headers=headers, timeout=30)
    assert done.status_code in (200, 206)
