"""Other sites, hidden results of the AI, machines, the audit trail, sealed results."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from mammolens.serve.holdings import Seal
from mammolens.serve.record import AI_VIEWS, AUDIT

from .conftest import parts_of

ALL = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY = "1.2.826.7"
SERIES = f"/studies/{STUDY}/series/{STUDY}.1"
INSTANCE = f"{SERIES}/instances/{STUDY}.1.1"
RETRIEVALS = (
    f"/studies/{STUDY}",
    SERIES,
    INSTANCE,
    f"/studies/{STUDY}/metadata",
    f"{SERIES}/metadata",
    f"{INSTANCE}/metadata",
    f"{INSTANCE}/bulkdata/7FE00010",
    f"{INSTANCE}/frames/1",
    f"{INSTANCE}/rendered",
    f"{INSTANCE}/frames/1/rendered",
    f"/studies/{STUDY}/thumbnail",
    f"{SERIES}/thumbnail",
    f"{INSTANCE}/thumbnail",
    f"{INSTANCE}/frames/1/thumbnail",
)
SEARCHES = (
    "/studies",
    "/series",
    "/instances",
    f"/studies/{STUDY}/series",
    f"/studies/{STUDY}/instances",
    f"{SERIES}/instances",
    f"/studies?StudyInstanceUID={STUDY}",
    f"/instances?SOPInstanceUID={STUDY}.1.1",
)


def entries(archive, action: str) -> list[tuple[str, int | None, dict]]:
    with archive.stage.database.read() as connection:
        rows = connection.execute(sa.select(AUDIT).where(AUDIT.c.action == action)).all()
    return [(row.actor, row.exam_id, json.loads(row.detail)) for row in rows]


@pytest.mark.parametrize("site", ["south", None])
def test_an_exam_of_another_site_is_not_there(archive, site):
    archive.analysed(archive.exam(STUDY, site))
    absent = archive.get("/studies/1.2.3.4/series/1.2/instances/1.2/metadata")
    for address in RETRIEVALS:
        done = archive.get(address)
        assert done.status_code == 404, address
        assert (done.status_code, done.content) == (absent.status_code, absent.content)
        assert archive.get(address, "admin").status_code == 200, address
    for address in SEARCHES:
        assert archive.rows(address) == [], address
        assert archive.rows(address, "admin"), address
    assert archive.get(RETRIEVALS[0], "south-head").status_code == (200 if site else 404)


def test_every_retrieval_works_for_a_session_a_token_and_a_machine(archive):
    exam = archive.exam(STUDY)
    for who in ("north-reader", "north-reader by token", "machine"):
        for address in RETRIEVALS:
            assert archive.get(address, who).status_code == 200, (who, address)
        for address in SEARCHES:
            assert archive.rows(address, who), (who, address)
    noted = entries(archive, "dicomweb_retrieved")
    assert {actor for actor, _, _ in noted} == {"person:north-reader", "web:pacs"}
    assert {number for _, number, _ in noted} == {exam}
    kinds = {what["what"] for _, _, what in noted}
    assert kinds == {"objects", "metadata", "bulkdata", "frames", "rendered", "thumbnail"}


def test_a_machine_that_is_not_named_gets_nothing(make_archive):
    archive = make_archive(web={"retrievers": ()})
    archive.exam(STUDY)
    for address in (*RETRIEVALS, *SEARCHES, "/nothing"):
        done = archive.get(address, "machine")
        assert (done.status_code, done.json()["code"]) == (403, "not_a_retriever")
    for who in ("stranger", "forged", "revoked", "expired"):
        assert archive.get("/studies", who).status_code == 401
    done = archive.get("/studies", "unfinished")
    assert (done.status_code, done.json()["code"]) == (403, "sign_in_unfinished")


def test_a_machine_sees_every_site_and_the_trail_says_so(archive):
    archive.exam(STUDY)
    archive.exam("1.2.5", "south")
    archive.exam("1.2.6", None)
    assert len(archive.rows("/studies", "machine")) == 3
    assert ("web:pacs", None) in [row[:2] for row in entries(archive, "dicomweb_searched")]


def test_people_store_nothing_here(archive):
    done = archive.stage.ask("north-reader", "POST", "//dicom-web/studies")
    assert (done.status_code, done.json()["code"]) == (403, "for_machines")


def ai_addresses(report: str, capture: str) -> list[str]:
    base = f"/studies/{STUDY}/series"
    listed = [(report, f"{STUDY}.8"), (capture, f"{STUDY}.9")]
    found = []
    for uid, series in listed:
        one = f"{base}/{series}/instances/{uid}"
        found += [f"{base}/{series}", one, f"{one}/metadata", f"{base}/{series}/metadata"]
    return [*found, f"{one}/frames/1", f"{one}/rendered", f"{base}/{series}/thumbnail"]


def test_results_of_the_ai_are_hidden_until_they_may_be_seen(archive):
    exam = archive.exam(STUDY)
    report, capture = archive.analysed(exam)
    archive.mode("north", "second_reader")
    hidden = {report, capture, f"{STUDY}.8", f"{STUDY}.9", "SR", "OT", "AI "}
    for address in (*RETRIEVALS, *SEARCHES):
        done = archive.get(address, accept=ALL if address == f"/studies/{STUDY}" else "*/*")
        assert done.status_code == 200
        if address in SEARCHES or address.endswith("metadata"):
            assert not [word for word in hidden if f'"{word}' in done.text], address
    given = parts_of(archive.get(f"/studies/{STUDY}", accept=ALL))
    assert len(given) == 4
    (row,) = archive.rows("/studies")
    assert row["00080061"]["Value"] == ["MG"]
    assert (row["00201206"]["Value"], row["00201208"]["Value"]) == ([4], [4])
    assert archive.rows("/studies?ModalitiesInStudy=SR") == []
    assert archive.rows(f"/instances?SOPInstanceUID={report}") == []
    for address in ai_addresses(report, capture):
        assert archive.get(address).status_code == 404, address
    with archive.stage.database.read() as connection:
        assert connection.execute(AI_VIEWS.select()).all() == []

    archive.mode("north", "concurrent")
    for address in ai_addresses(report, capture):
        done = archive.get(address)
        assert done.status_code == 200, address
    assert len(parts_of(archive.get(f"/studies/{STUDY}", accept=ALL))) == 6
    (row,) = archive.rows("/studies")
    assert row["00080061"]["Value"] == ["MG", "OT", "SR"]
    given = archive.get(
        f"/studies/{STUDY}/series/{STUDY}.8/instances/{report}",
        accept="application/dicom; transfer-syntax=*",
    )
    assert given.content == archive.received[report]
    with archive.stage.database.read() as connection:
        (view,) = connection.execute(AI_VIEWS.select()).all()
    assert (view.exam_id, view.person_id) == (exam, archive.stage.cast.people["north-reader"])
    archive.mode("north", "triage_only")
    assert archive.get(ai_addresses(report, capture)[1]).status_code == 404


def test_a_result_that_was_replaced_is_not_given(archive):
    exam = archive.exam(STUDY)
    archive.mode("north", "concurrent")
    first, _ = archive.analysed(exam)
    assert archive.get(f"/studies/{STUDY}/series/{STUDY}.8/instances/{first}").status_code == 200
    second, _ = archive.analysed(exam, 2)
    assert archive.get(f"/studies/{STUDY}/series/{STUDY}.8/instances/{first}").status_code == 404
    assert archive.get(f"/studies/{STUDY}/series/{STUDY}.8/instances/{second}").status_code == 200
    assert len(archive.rows(f"/studies/{STUDY}/instances")) == 6


def test_a_viewer_who_reads_on_is_entered_once(archive):
    archive.exam(STUDY)
    for _ in range(5):
        archive.get(f"{INSTANCE}/frames/1")
    assert len(entries(archive, "dicomweb_retrieved")) == 1
    archive.get(f"/studies/{STUDY}/series/{STUDY}.2/instances/{STUDY}.2.1/frames/1")
    archive.get(f"{INSTANCE}/frames/1", "admin")
    assert len(entries(archive, "dicomweb_retrieved")) == 3


def test_no_name_that_was_searched_for_is_in_the_trail(archive):
    archive.exam(STUDY, PatientName="Doe^Jane")
    archive.rows("/studies?PatientName=Doe^Jane")
    ((_, _, detail),) = entries(archive, "dicomweb_searched")
    assert detail == {"level": "studies", "by": "PatientName", "found": 1}


def test_nothing_is_given_that_cannot_be_entered(archive, monkeypatch):
    from mammolens.errors import StorageError
    from mammolens.serve.dicomweb import access_notes

    archive.exam(STUDY)
    archive.rows("/studies")

    def away(*_):
        raise StorageError("the database is away")

    monkeypatch.setattr(access_notes.audit, "append", away)
    assert archive.get(f"{INSTANCE}/frames/1").status_code == 503
    assert archive.get("/studies?PatientID=P1").status_code == 503
    monkeypatch.undo()
    assert archive.get(f"{INSTANCE}/frames/1").status_code == 200
    assert len(entries(archive, "dicomweb_retrieved")) == 1


def test_two_patients_of_one_study_are_two_rows_and_never_one_object(archive, mammogram):
    tags = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    uid = f"{STUDY}.1.1"
    archive.receive(mammogram(0, SOPInstanceUID=uid, PatientID="A", **tags))
    archive.receive(mammogram(1, SOPInstanceUID=uid, PatientID="B", **tags))
    found = [row["00100020"]["Value"][0] for row in archive.rows("/studies")]
    assert found == ["B", "A"]
    assert len(parts_of(archive.get(f"/studies/{STUDY}"))) == 2
    assert archive.get(f"{INSTANCE}/frames/1").status_code == 409


def test_copies_and_rivals_are_not_given(archive, mammogram):
    tags = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    first = mammogram(0, SOPInstanceUID=f"{STUDY}.1.1", **tags)
    archive.receive(first)
    archive.receive(mammogram(0, SOPInstanceUID=f"{STUDY}.1.1", StationName="X", **tags))
    archive.receive(mammogram(0, SOPInstanceUID=f"{STUDY}.1.1", picture=7, **tags))
    ((_, given),) = parts_of(archive.get(f"/studies/{STUDY}", accept=ALL))
    assert given == first


def test_a_node_that_takes_identities_off_gives_none(archive):
    exam = archive.exam(STUDY)
    report, _ = archive.analysed(exam)
    archive.mode("north", "concurrent")
    seal = Seal.__new__(Seal)
    state = archive.stage.state
    service = archive.stage.client.app.app.state
    sealed = replace(state, results=replace(state.results, seal=seal))
    service.dicomweb = replace(
        service.dicomweb,
        state=sealed,
        index=type(service.dicomweb.index)(sealed),
    )
    address = f"/studies/{STUDY}/series/{STUDY}.8/instances/{report}"
    assert archive.get(address).status_code == 404
    assert len(archive.rows("/instances")) == 4
