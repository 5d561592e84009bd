"""The listener: what it takes, whom it takes, what it answers, and how it ends."""

from __future__ import annotations

import errno
import os
import threading
import time
from io import BytesIO

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pynetdicom import AllStoragePresentationContexts, _config
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from mammolens.errors import StorageError
from mammolens.serve.dimse import listening
from mammolens.serve.holdings import Draft, open_state
from mammolens.serve.record import EXAMS, INSTANCES, Role, audit
from mammolens.serve.record.refusals import ROWS_OF_A_KIND
from mammolens.serve.settings import NodeSettings

MG = "1.2.840.10008.5.1.4.1.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PRIVATE = "1.3.46.670589.11.0.0.12.1"
PREAMBLE = 128 + 4


def data_set_of(file: bytes) -> bytes:
    """The bytes after the meta information, as they travel."""
    length = int.from_bytes(file[PREAMBLE + 8 : PREAMBLE + 12], "little")
    return file[PREAMBLE + 12 + length :]


@pytest.fixture
def store():
    """Give a function that sends data sets as they are, and gives the statuses."""

    def send(association, *files: bytes) -> list[int]:
        statuses = []
        for number, file in enumerate(files):
            meta = dcmread(BytesIO(file), stop_before_pixels=True)
            accepted = association.accepted_contexts
            context = next(
                c
                for c in accepted
                if c.abstract_syntax == meta.SOPClassUID
                and c.transfer_syntax[0] == meta.file_meta.TransferSyntaxUID
            )
            statuses.append(
                raw_store(
                    association,
                    context.context_id,
                    meta.SOPClassUID,
                    meta.SOPInstanceUID,
                    data_set_of(file),
                    number + 1,
                )
            )
        return statuses

    return send


def raw_store(association, context_id, sop_class, sop_instance, data, message_id=1):
    request = C_STORE()
    request.MessageID, request.Priority = message_id, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_instance
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if response is None else response.Status


def instances(listener):
    with listener.state.database.read() as connection:
        return connection.execute(sa.select(INSTANCES).order_by(INSTANCES.c.id)).all()


def drafts(listener):
    return list((listener.state.received.folder / "partial").glob("*"))


def test_an_echo_is_answered(listen, call):
    association = call(listen())
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert association.is_released


def test_every_transfer_syntax_is_taken_as_it_comes(listen, call, store, make_dicom, mammogram):
    listener = listen()
    syntaxes = [*make_dicom.NATIVE, *make_dicom.ENCODERS]
    files = [mammogram(n, syntax) for n, syntax in enumerate(syntaxes)]
    association = call(listener, [(MG, syntax) for syntax in syntaxes])
    assert store(association, *files) == [0x0000] * len(files)
    found = instances(listener)
    assert [row.role for row in found] == ["input"] * len(files)
    for row, file in zip(found, files, strict=True):
        kept = listener.state.received.read(row.digest)
        assert data_set_of(kept) == data_set_of(file)
        assert dcmread(BytesIO(kept)).file_meta.TransferSyntaxUID == (
            dcmread(BytesIO(file)).file_meta.TransferSyntaxUID
        )
    assert drafts(listener) == []


def test_all_storage_classes_are_accepted_and_what_is_no_mammogram_is_not_kept(
    listen, call, store, make_dicom
):
    listener = listen()
    known = [context.abstract_syntax for context in AllStoragePresentationContexts]
    assert len(known) > 128
    for some in (known[:127], known[-127:]):
        association = call(listener, [(uid, EXPLICIT) for uid in (*some, PRIVATE)])
        assert association.rejected_contexts == []
    private = make_dicom.file_bytes(make_dicom.dataset(SOPClassUID=PRIVATE))
    assert store(association, private) == [0x0000]
    (row,) = instances(listener)
    assert (row.role, row.sop_class_uid) == ("ignored", PRIVATE)
    assert not listener.state.received.path(row.digest).exists()


def test_what_comes_again_is_acknowledged_again_and_is_one(listen, call, store, mammogram):
    listener = listen()
    for _ in range(2):
        association = call(listener, [(MG, EXPLICIT)])
        assert store(association, mammogram(), mammogram()) == [0x0000, 0x0000]
    assert len(instances(listener)) == 1


def test_another_picture_under_the_same_uid_is_a_rival(listen, call, store, mammogram):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])
    assert store(association, mammogram(), mammogram(picture=9)) == [0x0000, 0x0000]
    assert [row.role for row in instances(listener)] == [Role.INPUT.value, Role.RIVAL.value]


@pytest.mark.parametrize("what", ["noise", "half a header"])
def test_what_is_no_object_is_refused_and_the_association_goes_on(
    listen, call, store, told, mammogram, what
):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])
    data = b"\xff" * 500 if what == "noise" else data_set_of(mammogram())[:61]
    assert raw_store(association, 1, MG, "1.2.3", data) in (0xA900, 0xC000)
    assert store(association, mammogram()) == [0x0000]
    assert len(told(listener, "rejected")) == 1
    assert drafts(listener) == []


def test_an_object_without_study_is_refused_by_name(listen, call, store, mammogram):
    association = call(listen(), [(MG, EXPLICIT)])
    assert store(association, mammogram(StudyInstanceUID=None)) == [0xA900]


def test_an_object_over_the_limit_is_refused_and_leaves_nothing(listen, call, store, mammogram):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])
    too_much = bytes(3 << 20)
    assert raw_store(association, 1, MG, "1.2.3", too_much) == 0xC001
    assert store(association, mammogram()) == [0x0000]
    assert drafts(listener) == []


@pytest.mark.parametrize("where", ["begin", "middle", "end"])
def test_a_full_disk_acknowledges_nothing(listen, call, store, mammogram, monkeypatch, where):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if where == "begin":
            patch.setattr("mammolens.serve.holdings.store.Draft.__init__", full)
        elif where == "middle":
            patch.setattr(Draft, "write", fails_after(Draft.write, 1, listener))
        else:
            patch.setattr("mammolens.serve.holdings.store.os.fsync", full)
        assert store(association, mammogram()) == [0xA703]
    assert instances(listener) == []
    assert drafts(listener) == []
    assert store(association, mammogram()) == [0x0000]


def fails_after(write, count, listener):
    calls = []

    def wrapped(draft, piece):
        calls.append(piece)
        if len(calls) > count:
            raise StorageError("the disk is full", source=str(listener.state.received.folder))
        write(draft, piece)

    return wrapped


def test_a_database_that_is_away_acknowledges_nothing(listen, call, store, mammogram, monkeypatch):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])

    def away(*_):
        raise StorageError("the database cannot be used")

    with monkeypatch.context() as patch:
        patch.setattr("mammolens.serve.intake.reception._enter", away)
        assert store(association, mammogram()) == [0xA703]
    assert store(association, mammogram()) == [0x0000]


@pytest.mark.parametrize(
    ("settings", "options", "reason", "diagnostic"),
    [
        ({}, {"called": "OTHER"}, "called_ae", 7),
        ({"calling": ["PACS"]}, {"calling": "STRANGER"}, "calling_ae", 3),
        ({"hosts": ["10.0.0.0/8"]}, {}, "host", 1),
    ],
    ids=["called", "calling", "host"],
)
def test_who_may_not_call_is_rejected_and_audited(
    listen, call, told, settings, options, reason, diagnostic
):
    listener = listen(**settings)
    association = call(listener, **options)
    assert association.is_rejected
    assert association.acceptor.primitive.diagnostic == diagnostic
    ((actor, detail),) = told(listener, "refused_association")
    assert actor == f"dimse:{options.get('calling', 'MODALITY')}"
    assert (detail["reason"], detail["host"]) == (reason, "127.0.0.1")


def test_a_flood_of_refused_associations_is_counted(listen, call, told):
    listener = listen(calling=["OTHER"])
    for number in range(40):
        assert call(listener, calling=f"STRANGER{number}").is_rejected
    audit.write_counted_refusals(listener.state.database)
    *single, (_, counted) = told(listener, "refused_association")
    assert len(single) == ROWS_OF_A_KIND
    assert counted == {"count": 40 - ROWS_OF_A_KIND, "peer": "127.0.0.1", "reason": "calling_ae"}


def test_who_cannot_be_judged_is_rejected(listen, call, monkeypatch):
    listener = listen()

    def broken(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("mammolens.serve.dimse.scp._judge", broken)
    assert call(listener).is_rejected


def test_who_may_call_does(listen, call):
    listener = listen(calling=["MODALITY"], hosts=["127.0.0.0/8"])
    assert call(listener).is_established


def test_more_associations_than_allowed_are_told_to_come_again(listen, call):
    listener = listen(max_associations=2)
    first, second = call(listener), call(listener)
    third = call(listener)
    assert third.is_rejected
    assert (third.acceptor.primitive.result, third.acceptor.primitive.diagnostic) == (2, 2)
    first.release()
    deadline = time.monotonic() + 10
    while (again := call(listener)).is_rejected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again.is_established
    assert second.send_c_echo().Status == 0x0000


def test_an_association_that_breaks_off_leaves_nothing(listen, call, store, mammogram):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = MG, "1.2.3.4.0"
    request.DataSet = BytesIO(data_set_of(mammogram()))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    pieces = list(message.encode_msg(1, 4096))
    assert len(pieces) > 3
    for piece in pieces[:-1]:
        association.dul.send_pdu(piece)
    deadline = time.monotonic() + 10
    while not drafts(listener) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(drafts(listener)) == 1
    association.abort()
    while drafts(listener) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drafts(listener) == []
    assert instances(listener) == []
    again = call(listener, [(MG, EXPLICIT)])
    assert store(again, mammogram()) == [0x0000]
    assert len(instances(listener)) == 1


def test_a_node_that_stops_lets_associations_end_and_takes_no_others(
    listen, call, store, told, mammogram
):
    listener = listen(stop_s=20.0)
    association = call(listener, [(MG, EXPLICIT)])
    assert store(association, mammogram(0)) == [0x0000]
    listener.stopping.set()
    late = call(listener)
    assert late.is_rejected
    assert (late.acceptor.primitive.result, late.acceptor.primitive.result_source) == (2, 3)
    assert store(association, mammogram(1)) == [0x0000]
    association.release()
    assert told(listener, "refused_association")[0][1]["reason"] == "stopping"
    assert len(instances(listener)) == 2


def test_a_listener_leaves_no_thread_and_no_setting_behind(tmp_path):
    before, flags = {*threading.enumerate()}, _config.UNRESTRICTED_STORAGE_SERVICE
    settings = NodeSettings(data=tmp_path / "node", dimse={"port": 0})
    with open_state(settings) as state, listening(state) as listener:
        assert listener.port
    assert flags == _config.UNRESTRICTED_STORAGE_SERVICE
    assert {t for t in threading.enumerate() if t.is_alive()} <= before


def test_exams_of_one_association_are_exams(listen, call, store, mammogram):
    listener = listen()
    association = call(listener, [(MG, EXPLICIT)])
    assert store(association, *(mammogram(n) for n in range(4))) == [0x0000] * 4
    with listener.state.database.read() as connection:
        (exam,) = connection.execute(sa.select(EXAMS)).all()
    assert exam.four_views
    assert {row.sender for row in instances(listener)} == {"dimse:MODALITY"}
