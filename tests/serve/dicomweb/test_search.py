"""QIDO-RS: what is found by what, in which order, how much at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammolens.serve.dicomweb.attributes import Level
from mammolens.serve.dicomweb.matching import BadQuery, read_query, wild_match
from mammolens.serve.holdings import expire
from mammolens.serve.record import EXAMS, HEADERS

UID, NAME, DATE = "0020000D", "00100010", "00080020"
PEOPLE = {
    "1.2.1": {"PatientName": "Müller^Änne", "PatientID": "A-1", "StudyDate": "20240101"},
    "1.2.2": {"PatientName": "Muller^Eva", "PatientID": "A-2", "StudyDate": "20240615"},
    "1.2.3": {"PatientName": "Doe^Jane^Anna", "PatientID": "B-1", "StudyDate": "20250101"},
}


@pytest.fixture
def shelf(archive):
    """Exams of three patients at one site, and one at another."""
    for study, tags in PEOPLE.items():
        charset = {"SpecificCharacterSet": "ISO_IR 192"}
        archive.exam(study, AccessionNumber=study[-1], StudyTime="101500", **charset, **tags)
    archive.exam("1.2.9", "south", PatientName="Far^Away", StudyDate="20240101")
    return archive


def studies(shelf, query: str, who: str = "north-reader") -> list[str]:
    return [row[UID]["Value"][0] for row in shelf.rows(f"/studies{query}", who)]


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("", "321"),
        ("?StudyInstanceUID=1.2.2", "2"),
        ("?0020000D=1.2.2,1.2.3,1.2.9", "32"),
        ("?StudyInstanceUID=1.2.2%5C1.2.1", "21"),
        ("?PatientID=A-1", "1"),
        ("?PatientID=A-*", "21"),
        ("?PatientID=a-1", ""),
        ("?PatientID=?-1", "31"),
        ("?PatientName=muller*", "21"),
        ("?PatientName=M%C3%9CLLER*", "21"),
        ("?PatientName=Doe^Jane^Anna", "3"),
        ("?PatientName=Doe", ""),
        ("?PatientName=Jane", ""),
        ("?PatientName=jan%20do&fuzzymatching=true", "3"),
        ("?PatientName=anna&fuzzymatching=true", "3"),
        ("?PatientName=an&fuzzymatching=true", "31"),
        ("?PatientName=x&fuzzymatching=true", ""),
        ("?PatientName=*", "321"),
        ("?StudyDate=20240615", "2"),
        ("?StudyDate=20240102-20241231", "2"),
        ("?StudyDate=-20240615", "21"),
        ("?StudyDate=20240615-", "32"),
        ("?StudyDate=20240101-20240101", "1"),
        ("?StudyTime=10-11", "321"),
        ("?StudyTime=101500", "321"),
        ("?StudyTime=1016-", ""),
        ("?StudyTime=-1015", "321"),
        ("?AccessionNumber=3", "3"),
        ("?ModalitiesInStudy=MG", "321"),
        ("?ModalitiesInStudy=CT", ""),
        ("?ModalitiesInStudy=CT,MG", "321"),
        ("?limit=2", "32"),
        ("?limit=1&offset=1", "2"),
        ("?offset=3", ""),
        ("?offset=999999", ""),
        ("?PatientName=", "321"),
    ],
)
def test_studies_are_found(shelf, query, ends):
    assert studies(shelf, query) == [f"1.2.{end}" for end in ends]


def test_more_is_said(shelf):
    assert "additional" in shelf.get("/studies?limit=2").headers["warning"]
    assert "warning" not in shelf.get("/studies?limit=3").headers


def test_what_a_row_says(shelf):
    (row,) = shelf.rows("/studies?PatientID=A-1")
    assert row[NAME] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Änne"}]}
    assert row["00080061"] == {"vr": "CS", "Value": ["MG"]}
    assert row["00201206"]["Value"] == row["00201208"]["Value"] == [4]
    assert row["00081190"]["Value"] == ["http://127.0.0.1/dicom-web/studies/1.2.1"]
    assert row["00080056"]["Value"] == ["ONLINE"]
    assert "00081030" not in row
    assert "00280010" not in row


def test_series_and_instances(shelf):
    rows = shelf.rows("/studies/1.2.1/series")
    assert [row["0020000E"]["Value"][0] for row in rows] == [f"1.2.1.{n}" for n in (1, 2, 3, 4)]
    assert all(row["00201209"]["Value"] == [1] and NAME not in row for row in rows)
    assert NAME in shelf.rows("/series?PatientID=A-1")[0]
    (row,) = shelf.rows("/studies/1.2.1/series/1.2.1.2/instances")
    assert row["00080018"]["Value"] == ["1.2.1.2.1"]
    assert (row["00280010"]["Value"], row["00280011"]["Value"]) == ([96], [80])
    assert len(shelf.rows("/instances?Modality=MG&limit=1000")) == 12
    assert len(shelf.rows("/studies/1.2.1/instances?SeriesNumber=3")) == 1
    assert len(shelf.rows("/instances?SOPInstanceUID=1.2.1.2.1,1.2.9.1.1")) == 1
    assert shelf.rows("/studies/1.2.1/series?Modality=CT") == []
    assert shelf.rows("/studies/1.2.77/series") == []


def test_fields_that_are_asked_for(shelf):
    (row,) = shelf.rows("/instances?SOPInstanceUID=1.2.1.2.1&includefield=ViewPosition,00200062")
    assert (row["00185101"]["Value"], row["00200062"]["Value"]) == (["CC"], ["L"])
    (row,) = shelf.rows("/instances?SOPInstanceUID=1.2.1.2.1&includefield=all")
    assert row["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    (row,) = shelf.rows("/studies?StudyInstanceUID=1.2.1&includefield=PatientComments")
    assert "00104000" not in row


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=x", "offset=-1", "offset=1e3", "offset=99999999"),
        *("fuzzymatching=1", "StudyDate=yesterday", "StudyDate=20240101-2024", "StudyDate=-"),
        *("StudyInstanceUID=x", "StudyInstanceUID=1..2", "StudyInstanceUID=" + "1" * 65),
        *("Nothing=1", "PatientComments=x", "00104000=x", "PatientID=a&PatientID=b"),
        *("PatientID=a&00100020=b", "includefield=Nonsense", "RetrieveURL=x", "StudyTime=9"),
        *("PatientName=" + "x" * 2000, "&".join(f"a{n}=1" for n in range(100))),
        "Modality=MG",  # of a series, not of a study
    ],
)
def test_queries_that_cannot_be_understood(shelf, query):
    done = shelf.get(f"/studies?{query}")
    assert (done.status_code, done.json()["code"]) == (400, "bad_parameter")
    assert "yesterday" not in done.text


def test_only_json_is_given(shelf):
    assert shelf.get("/studies", accept="application/dicom+xml").status_code == 406
    assert shelf.get("/studies?accept=image/png").status_code == 406
    for accept in ("application/json", "application/dicom+json", "*/*", ""):
        assert shelf.get("/studies", accept=accept).status_code == 200


def test_a_pattern_of_stars_costs_nothing():
    assert not wild_match("*a" * 500, "a" * 499 + "b")
    assert wild_match("*a*?", "baab")


@pytest.mark.parametrize("level", Level)
def test_every_level_reads_its_query(level):
    assert read_query(level, [("StudyInstanceUID", "1.2")]).criteria
    with pytest.raises(BadQuery):
        read_query(level, [("limit", "٣")])


def test_later_objects_are_found_too(archive):
    archive.exam("1.2.1")
    assert len(archive.rows("/studies")) == 1
    archive.exam("1.2.2")
    assert len(archive.rows("/studies")) == 2


def test_what_is_deleted_is_not_found(archive):
    archive.exam("1.2.1")
    assert len(archive.rows("/instances")) == 4
    archive.stage.clock.turn(10 * 86400)
    with archive.stage.database.write() as connection:
        connection.execute(EXAMS.update().values(queued_version=EXAMS.c.version))
    settings = archive.stage.state.settings.model_copy(
        update={
            "retention": archive.stage.state.settings.retention.model_copy(
                update={"exams_days": 1.0}
            )
        }
    )
    expire(replace(archive.stage.state, settings=settings), clock_is_right=True)
    assert archive.rows("/studies", "machine") == []
    with archive.stage.database.read() as connection:
        assert connection.execute(HEADERS.select()).all() == []
