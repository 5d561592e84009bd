"""Storage commitment: what the node says it holds, and what it believes an archive holds."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
import tracemalloc
from io import BytesIO

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from mammolens.errors import ConfigError, DeliveryError, NotAnImage, UnsupportedImage
from mammolens.serve.dimse import Peer, _commitment_data, commitment_scp, request_commitment
from mammolens.serve.intake import receive
from mammolens.serve.record import COMMITMENTS

MG = "1.2.840.10008.5.1.4.1.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.50"
IMPLICIT = "1.2.840.10008.1.2"
MODEL, INSTANCE = StorageCommitmentPushModel, StorageCommitmentPushModelInstance


def request_of(*references: tuple[str, str], transaction: str = "1.2.3.99") -> Dataset:
    data = Dataset()
    data.TransactionUID = transaction
    data.ReferencedSOPSequence = [item(*reference) for reference in references]
    return data


def item(sop_class: str, sop_instance: str, reason: int | None = None) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        made.FailureReason = reason
    return made


def until(look, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


class Reports(list):
    """What the node reported, as (event type, kept, failed with reasons)."""

    def take(self, event):
        data = event.event_information
        kept = [i.ReferencedSOPInstanceUID for i in data.get("ReferencedSOPSequence", ())]
        failed = {
            i.ReferencedSOPInstanceUID: i.FailureReason for i in data.get("FailedSOPSequence", ())
        }
        self.append((event.event_type, kept, failed, data.TransactionUID))
        return 0x0000, None


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def holding(listen, send_views):
    """A listener that has received two views."""

    def start(**dimse):
        listener = listen(**dimse)
        return listener, send_views(listener.state, range(2))

    return start


def ask(call, listener, reports, *references):
    association = call(
        listener,
        [(MODEL, IMPLICIT)],
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports.take)],
    )
    status, _ = association.send_n_action(request_of(*references), 1, MODEL, INSTANCE)
    return association, status.Status


def test_what_is_kept_is_committed_to_over_the_same_association(holding, call, reports, told):
    listener, _ = holding()
    association, status = ask(call, listener, reports, (MG, "1.2.3.4.0"), (MG, "1.2.3.4.1"))
    assert status == 0x0000
    assert until(lambda: reports) == [(1, ["1.2.3.4.0", "1.2.3.4.1"], {}, "1.2.3.99")]
    ((actor, detail),) = until(lambda: told(listener, "committed"))
    assert (actor, detail["kept"], detail["failed"]) == ("dimse:MODALITY", 2, 0)
    association.release()


def test_what_is_not_kept_is_not_committed_to(holding, call, reports, mammogram):
    listener, receipts = holding()
    state = listener.state
    receive(state, mammogram(2, Manufacturer="mammolens"), "test")
    state.received.path(receipts[1].digest).write_bytes(b"rotten")
    asked = ((MG, "1.2.3.4.0"), (MG, "1.2.3.4.1"), (SR, "1.2.3.4.0"), (MG, "1.2.3.4.2"), (MG, "9"))
    ask(call, listener, reports, *asked)
    ((kind, kept, failed, _),) = until(lambda: reports)
    assert (kind, kept) == (2, ["1.2.3.4.0"])
    assert failed == {"1.2.3.4.1": 0x0110, "1.2.3.4.0": 0x0119, "1.2.3.4.2": 0x0112, "9": 0x0112}


def test_an_object_whose_file_is_gone_is_not_committed_to(holding, call, reports):
    listener, receipts = holding()
    listener.state.received.path(receipts[0].digest).unlink()
    ask(call, listener, reports, (MG, "1.2.3.4.0"))
    assert until(lambda: reports)[0][2] == {"1.2.3.4.0": 0x0110}


@pytest.mark.parametrize("what", ["no transaction", "another action"])
def test_what_is_no_request_for_commitment_is_refused(holding, call, reports, what):
    listener, _ = holding()
    association = call(listener, [(MODEL, IMPLICIT)])
    data = request_of((MG, "1.2.3.4.0"))
    if what == "no transaction":
        del data.TransactionUID
    kind = 2 if what == "another action" else 1
    status, _ = association.send_n_action(data, kind, MODEL, INSTANCE)
    assert status.Status == 0x0115
    assert reports == []


@contextlib.contextmanager
def serving(title, handlers, contexts=((MODEL, IMPLICIT),)):
    ae = AE(title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    for abstract, syntax in contexts:
        ae.add_supported_context(abstract, syntax, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def test_a_known_sender_hears_over_an_association_of_its_own(holding, call, reports):
    with serving("MODALITY", [(evt.EVT_N_EVENT_REPORT, reports.take)]) as port:
        listener, _ = holding(peers={"modality": f"dicom://MODALITY@127.0.0.1:{port}"})
        nothing = Reports()
        association, status = ask(call, listener, nothing, (MG, "1.2.3.4.0"))
        association.release()
        assert status == 0x0000
        assert until(lambda: reports) == [(1, ["1.2.3.4.0"], {}, "1.2.3.99")]
    assert nothing == []


def test_a_sender_that_left_and_is_unknown_is_told_nothing(holding, call, told, monkeypatch):
    listener, _ = holding()
    left = threading.Event()
    check = commitment_scp.check_references

    def later(*arguments):
        assert left.wait(15)
        return check(*arguments)

    monkeypatch.setattr(commitment_scp, "check_references", later)
    association, _ = ask(call, listener, Reports(), (MG, "1.2.3.4.0"))
    association.release()
    assert until(lambda: not listener.running()) is True
    left.set()
    assert until(lambda: told(listener, "commitment_unsent"))


class Archive:
    """An archive that answers in one of several ways."""

    def __init__(self, way, node=None):
        self.way, self.node = way, node
        self.asked = []

    def action(self, event):
        self.asked.append(event.action_information)
        if self.way == "refuse":
            return 0x0112, None
        if self.way != "silent":
            event.assoc.bind(evt.EVT_PDU_SENT, self.sent)
        return 0x0000, None

    def sent(self, event):
        event.assoc.unbind(evt.EVT_PDU_SENT, self.sent)
        threading.Thread(target=self.report, args=(event.assoc,)).start()

    def report(self, association):
        data = request_of(transaction=self.asked[-1].TransactionUID)
        items = list(self.asked[-1].ReferencedSOPSequence)
        data.ReferencedSOPSequence = items[:1]
        kind = 1
        if len(items) > 1:
            kind = 2
            data.FailedSOPSequence = [
                item(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID, 0x0112) for i in items[1:]
            ]
        if self.way == "same":
            association.send_n_event_report(data, kind, MODEL, INSTANCE)
            return
        ae = AE("ARCHIVE")
        ae.add_requested_context(MODEL, IMPLICIT)
        own = ae.associate(
            "127.0.0.1",
            self.node.port,
            ae_title="MAMMOLENS",
            ext_neg=[build_role(MODEL, scu_role=False, scp_role=True)],
        )
        own.send_n_event_report(data, kind, MODEL, INSTANCE)
        own.release()


@pytest.mark.parametrize("way", ["same", "other"])
def test_an_archive_is_asked_and_its_answer_understood(listen, told, way):
    listener = listen()
    archive = Archive(way, listener)
    references = [(SR, "1.2.1"), (SR, "1.2.2")]
    with serving("ARCHIVE", [(evt.EVT_N_ACTION, archive.action)]) as port:
        address = f"dicom://ARCHIVE@127.0.0.1:{port}"
        outcome = request_commitment(listener.state, address, references, 15)
    assert outcome.answered
    assert (outcome.kept, outcome.failed) == ({"1.2.1"}, {"1.2.2": 0x0112})
    assert {uid for _, uid in references[:1]} <= outcome.kept
    assert not {uid for _, uid in references} <= outcome.kept
    assert told(listener, "commitment_asked")[0][1]["objects"] == 2
    assert told(listener, "commitment_answered")[0][0] == "dimse:ARCHIVE"


def test_an_archive_that_refuses_is_an_error(listen):
    listener = listen()
    with (
        serving("ARCHIVE", [(evt.EVT_N_ACTION, Archive("refuse").action)]) as port,
        pytest.raises(DeliveryError, match="0x0112"),
    ):
        request_commitment(listener.state, Peer("ARCHIVE", "127.0.0.1", port), [(SR, "1.2")], 5)


def test_an_archive_that_says_nothing_has_committed_to_nothing(listen):
    listener = listen()
    references = [(SR, "1.2")]
    with serving("ARCHIVE", [(evt.EVT_N_ACTION, Archive("silent").action)]) as port:
        peer = Peer("ARCHIVE", "127.0.0.1", port)
        outcome = request_commitment(listener.state, peer, references, 0.3)
    assert (outcome.answered, outcome.kept) == (False, frozenset())


def test_an_archive_that_is_away_or_unknown_is_an_error(listen):
    listener = listen()
    with pytest.raises(DeliveryError, match="cannot be reached"):
        request_commitment(listener.state, "dicom://A@127.0.0.1:1", [(SR, "1.2")], 1)
    with pytest.raises(DeliveryError, match="no address"):
        request_commitment(listener.state, "dicom://A@no.such.host.invalid:1", [(SR, "1.2")], 1)
    with pytest.raises(ConfigError, match="no peer"):
        request_commitment(listener.state, "archive", [(SR, "1.2")], 1)


def test_an_answer_that_nobody_asked_for_is_refused_and_not_kept(listen, call):
    listener = listen()
    association = call(
        listener, [(MODEL, IMPLICIT)], ext_neg=[build_role(MODEL, scu_role=False, scp_role=True)]
    )
    status, _ = association.send_n_event_report(request_of((SR, "1.2")), 1, MODEL, INSTANCE)
    assert status.Status == 0x0115
    with listener.state.database.read() as connection:
        assert connection.execute(sa.select(COMMITMENTS)).all() == []


def references_of(count: int, empty: bool = False) -> bytes:
    """A request for many objects, in implicit VR, written without a library."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 8, number, len(value)) + value

    items = []
    for number in range(count):
        content = b"" if empty else element(0x1150, MG.encode()) + element(0x1155, b"9.%d" % number)
        items.append(struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content)
    return element(0x1195, b"1.2.3.99") + element(0x1199, b"".join(items))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "empty", "words"),
    [(2_000_000, True, "too long"), (100_000, True, "more than")],
)
def test_a_request_for_too_many_objects_is_refused_before_it_is_decoded(count, empty, words):
    data = BytesIO(references_of(count, empty))
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedImage, match=words) as refused:
            _commitment_data.decode_message(data, IMPLICIT)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert _commitment_data.refusal_status(refused.value) == 0x0213


@pytest.mark.slow
def test_a_request_for_a_large_study_is_read():
    with pytest.raises(UnsupportedImage, match="10,001 objects"):
        _commitment_data.decode_message(BytesIO(references_of(10_001)), IMPLICIT)
    data = _commitment_data.decode_message(BytesIO(references_of(5_000)), IMPLICIT)
    found = _commitment_data.read_references(data, "ReferencedSOPSequence")
    assert (len(found), found[-1]) == (5_000, (MG, "9.4999"))


def test_a_report_whose_reason_is_no_number_is_refused():
    data = request_of((MG, "1"))
    data.FailedSOPSequence = [item(MG, "2")]
    data.FailedSOPSequence[0].add_new("FailureReason", "LO", "why")
    with pytest.raises(NotAnImage, match="not a number"):
        _commitment_data.read_report(data)


def test_a_flood_of_requests_is_refused_and_ends(holding, call, monkeypatch):
    listener, _ = holding()
    go_on, sent = threading.Event(), []

    def deliver(_dimse, _association, _calling, report, _stopping) -> bool:
        assert go_on.wait(60)
        sent.append(report.transaction_uid)
        return True

    monkeypatch.setattr(commitment_scp, "_deliver", deliver)
    association = call(listener, [(MODEL, IMPLICIT)])

    def send(number: int) -> int:
        data = request_of((MG, "1.2.3.4.0"), transaction=f"1.2.3.{number}")
        return association.send_n_action(data, 1, MODEL, INSTANCE)[0].Status

    most = commitment_scp.MOST_OF_HOST
    assert [send(number) for number in range(most + 4)] == [0x0000] * most + [0x0213] * 4
    go_on.set()
    assert until(lambda: len(sent) == most, 60)
    assert until(lambda: send(99) == 0x0000)
    assert until(lambda: "1.2.3.99" in sent, 60)


def test_a_look_for_objects_ends_in_time(holding, monkeypatch):
    listener, _ = holding()
    state = listener.state
    monkeypatch.setattr(commitment_scp, "LOOK_S", -1.0)
    asked = [(MG, "1.2.3.4.0"), (MG, "9")]
    found = commitment_scp.check_references(state.database, state.received, "1", asked)
    assert (found.kept, found.failed) == ((), {asked[0]: 0x0110, asked[1]: 0x0112})
