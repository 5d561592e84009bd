"""Fetching from a PACS: what was asked for and nothing else, by either way, priors unread."""

from __future__ import annotations

from datetime import date
from functools import partial
from io import BytesIO

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.dimse import (
    FoundStudy,
    Method,
    Peer,
    StudyQuery,
    find_earlier,
    find_studies,
    pull_studies,
)
from mammolens.serve.record import EXAMS, INSTANCES, read_overview
from mammolens.serve.settings import ExamSettings
from mammolens.serve.work.queue import queue_due

MODELS = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
)
MG = "1.2.840.10008.5.1.4.1.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STUDIES = {
    "1.2.2024": {"StudyDate": "20240501", "AccessionNumber": "A24"},
    "1.2.2022": {"StudyDate": "20220501", "AccessionNumber": "A22"},
    "1.2.2021": {"StudyDate": "20210501", "AccessionNumber": "A21", "Modality": "CT"},
    "1.2.2020": {"StudyDate": "20200501", "AccessionNumber": "A20", "PatientBirthDate": "19800101"},
    "1.2.9": {"StudyDate": "20230501", "AccessionNumber": "A9", "PatientID": "P2"},
}


class Pacs:
    """A PACS that answers every search with all that it has, as some do."""

    def __init__(self, mammogram) -> None:
        self.status = 0x0000
        self.asked = []
        self.files = []
        for study, values in STUDIES.items():
            told = {"PatientBirthDate": "19600101", "BurnedInAnnotation": "NO"} | values
            for number in range(2):
                uid = f"{study}.{number}"
                made = mammogram(number, StudyInstanceUID=study, SOPInstanceUID=uid, **told)
                self.files.append(dcmread(BytesIO(made)))
        self.destinations = {}

    def find(self, event):
        self.asked.append(event.identifier)
        if self.status:
            yield self.status, None
            return
        for dataset in self.files[::2]:
            answer = Dataset()
            for keyword in ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate"):
                setattr(answer, keyword, dataset.get(keyword))
            answer.PatientBirthDate = dataset.PatientBirthDate
            answer.ModalitiesInStudy = [dataset.Modality, "SR"]
            yield 0xFF00, answer

    def of(self, event):
        return [f for f in self.files if f.StudyInstanceUID == event.identifier.StudyInstanceUID]

    def move(self, event):
        yield self.destinations.get(event.move_destination, (None, None))
        found = self.of(event)
        yield len(found)
        for dataset in found:
            yield 0xFF00, dataset

    def get(self, event):
        found = self.of(event)
        yield len(found)
        for dataset in found:
            yield 0xFF00, dataset


@pytest.fixture
def pacs(mammogram):
    held = Pacs(mammogram)
    ae = AE("PACS")
    for model in MODELS:
        ae.add_supported_context(model)
    ae.add_supported_context(MG, EXPLICIT, scu_role=True, scp_role=True)
    ae.add_requested_context(MG, EXPLICIT)
    handlers = [
        (evt.EVT_C_FIND, held.find),
        (evt.EVT_C_MOVE, held.move),
        (evt.EVT_C_GET, held.get),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    held.peer = Peer("PACS", "127.0.0.1", server.server_address[1])
    yield held
    server.shutdown()


@pytest.fixture
def node(listen, pacs):
    listener = listen()
    pacs.destinations["MAMMOLENS"] = ("127.0.0.1", listener.port)
    return listener


def uids(studies):
    return [study.study_instance_uid for study in studies]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (StudyQuery(study_instance_uid="1.2.2022"), ["1.2.2022"]),
        (StudyQuery(accession_number="A9"), ["1.2.9"]),
        (StudyQuery(patient_id="P1", modality="MG"), ["1.2.2024", "1.2.2022", "1.2.2020"]),
        (
            StudyQuery(first_date=date(2022, 1, 1), last_date=date(2023, 12, 31)),
            ["1.2.2022", "1.2.9"],
        ),
        (StudyQuery(patient_id="P3"), []),
    ],
    ids=["study", "accession", "patient", "dates", "nobody"],
)
def test_only_what_was_asked_for_is_found(node, pacs, query, found):
    assert uids(find_studies(node.state, pacs.peer, query)) == found


def test_the_question_says_what_is_wanted():
    query = StudyQuery(patient_id="P1", first_date=date(2022, 1, 1), modality="MG")
    data = query.identifier()
    assert (data.QueryRetrieveLevel, data.PatientID, data.StudyDate) == ("STUDY", "P1", "20220101-")
    assert (data.ModalitiesInStudy, data.StudyInstanceUID) == ("MG", "")


@pytest.mark.parametrize("values", [{}, {"patient_id": "P*"}, {"accession_number": "?"}], ids=str)
def test_questions_for_everything_are_refused(values):
    with pytest.raises(ConfigError):
        StudyQuery(**values)


@pytest.mark.parametrize("method", Method)
def test_a_study_is_fetched_as_if_it_had_been_sent(node, pacs, method):
    studies = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2024"))
    (report,) = pull_studies(node.state, pacs.peer, studies, method)
    assert (report.completed, report.failed, report.is_whole) == (2, 0, True)
    with node.state.database.read() as connection:
        rows = connection.execute(sa.select(INSTANCES).order_by(INSTANCES.c.id)).all()
    assert [row.sop_instance_uid for row in rows] == ["1.2.2024.0", "1.2.2024.1"]
    assert {row.sender for row in rows} == {"dimse:PACS" if method is Method.MOVE else "pull:PACS"}


def test_both_ways_bring_the_same_bytes(node, pacs):
    studies = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2024"))
    for method in Method:
        list(pull_studies(node.state, pacs.peer, studies, method))
    with node.state.database.read() as connection:
        assert len(connection.execute(sa.select(INSTANCES)).all()) == 2


def test_a_pacs_that_does_not_know_the_node_is_told_apart(node, pacs):
    pacs.destinations.clear()
    studies = [FoundStudy("1.2.2024", None, None, None, None, ())]
    (report,) = pull_studies(node.state, pacs.peer, studies, Method.MOVE)
    assert not report.is_whole
    assert report.status == 0xA801


def test_a_search_that_the_pacs_gives_up_is_an_error(node, pacs):
    pacs.status = 0xA700
    with pytest.raises(DeliveryError, match="0xA700"):
        find_studies(node.state, pacs.peer, StudyQuery(patient_id="P1"))


def waiting(node):
    return read_overview(node.state.database).waiting


def test_priors_are_the_earlier_mammography_of_the_same_woman(node, pacs):
    (study,) = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2024"))
    assert uids(find_earlier(study, partial(find_studies, node.state, pacs.peer))) == ["1.2.2022"]
    assert pacs.asked[-1].StudyDate == "-20240430"


def test_priors_are_received_and_not_analysed_until_they_are_asked_for(node, pacs, told):
    studies = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2024"))
    priors = find_earlier(studies[0], partial(find_studies, node.state, pacs.peer))
    list(pull_studies(node.state, pacs.peer, studies, Method.MOVE, priors))
    at_once = ExamSettings(quiet_time_s=1e-6)
    assert waiting(node) == 1
    assert queue_due(node.state.database, at_once) == 1
    assert waiting(node) == 0
    with node.state.database.read() as connection:
        queued = dict(
            connection.execute(sa.select(EXAMS.c.study_instance_uid, EXAMS.c.queued_version)).all()
        )
    assert (queued["1.2.2024"], queued["1.2.2022"]) == (2, 0)
    assert [d["prior"] for _, d in told(node, "pull_asked")] == [False, True]
    list(pull_studies(node.state, pacs.peer, priors, Method.MOVE))
    assert queue_due(node.state.database, at_once) == 1


@pytest.mark.parametrize("method", Method)
def test_priors_are_known_where_identity_is_taken_off(listen, pacs, tmp_path, method):
    node = listen(hiding=True)
    pacs.destinations["MAMMOLENS"] = ("127.0.0.1", node.port)
    studies = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2024"))
    priors = find_earlier(studies[0], partial(find_studies, node.state, pacs.peer))
    assert all(r.is_whole for r in pull_studies(node.state, pacs.peer, studies, method, priors))
    at_once = ExamSettings(quiet_time_s=1e-6)
    assert queue_due(node.state.database, at_once) == 1
    with node.state.database.read() as connection:
        asked = sa.select(EXAMS.c.study_instance_uid).where(EXAMS.c.queued_version > 0)
        assert connection.execute(asked).scalar_one() == node.state.kept_as("1.2.2024")
    kept = b"".join(p.read_bytes() for p in (tmp_path / "node").rglob("*") if p.is_file())
    assert b"1.2.2024" not in kept
    assert b"1.2.2022" not in kept
    list(pull_studies(node.state, pacs.peer, priors, method))
    assert queue_due(node.state.database, at_once) == 1


def test_an_exam_that_came_by_itself_is_no_prior(node, pacs):
    (earlier,) = find_studies(node.state, pacs.peer, StudyQuery(study_instance_uid="1.2.2022"))
    list(pull_studies(node.state, pacs.peer, [earlier], Method.GET))
    list(pull_studies(node.state, pacs.peer, [], Method.GET, [earlier]))
    assert queue_due(node.state.database, ExamSettings(quiet_time_s=1e-6)) == 1


def test_the_door_fetches_and_says_what_came(tmp_path, pacs):
    config = tmp_path / "node.toml"
    address = f"dicom://PACS@127.0.0.1:{pacs.peer.port}"
    config.write_text(
        f'data = "{tmp_path / "data"}"\n[intake]\nmin_free_mb = 0\n'
        f'[dimse.peers]\narchive = "{address}"\n',
        "utf-8",
    )
    words = ["node", "pull", "archive", "--by", "get", "--config", str(config)]
    done = CliRunner().invoke(app, [*words, "--study", "1.2.2024", "--priors"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "1.2.2024: 2 came, 0 did not",
        "1.2.2022: 2 came, 0 did not",
    ]
    nothing = CliRunner().invoke(app, [*words, "--patient", "P7"])
    assert nothing.exit_code == 3
    assert "no such study" in nothing.output
