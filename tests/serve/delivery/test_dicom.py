"""C-STORE and STOW-RS against peers that read what they get."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from mammolens.serve.delivery import deliver, delivering
from mammolens.serve.delivery.transports import Verdict, judge_status
from mammolens.serve.record import DELIVERIES, FILES

SLOW = {"backoff_s": 60, "backoff_max_s": 60}
"""What is put off stays so until the end of the test."""
UIDS = [f"1.2.3.4.{number}" for number in range(3)]


@pytest.fixture
def now():
    return lambda node: deliver(node.state, threading.Event(), once=True)


@pytest.fixture
def objects(mammogram):
    return {("dicom-sc", f"{n}.dcm"): mammogram(n) for n in range(3)}


@pytest.fixture
def pacs(make_node, peer, peers):
    """Give a function that starts an archive and a node that sends there."""

    def make(kind: str, port: int = 0, jobs=SLOW, **route):
        made = peer(peers[kind], port)
        to = {
            "dimse": f"dicom://PACS@127.0.0.1:{made.port}",
            "stow": f"stow+http://127.0.0.1:{made.port}/dicom-web/",
        }[kind]
        said = {"name": "pacs", "to": to, "sinks": ["dicom-sc"], "timeout_s": 5, **route}
        return make_node(said, jobs=jobs), made

    return make


def data_set(content: bytes) -> bytes:
    """What of a file goes over an association: all behind the file meta information."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


@pytest.mark.parametrize("kind", ["dimse", "stow"])
def test_each_instance_arrives_once_and_byte_for_byte(pacs, objects, now, kind):
    node, archive = pacs(kind)
    node.enter(objects)
    assert (now(node), now(node)) == (3, 0)
    assert sorted(archive.held) == UIDS
    for uid, content in zip(UIDS, objects.values(), strict=True):
        sent = content if kind == "stow" else archive_bytes(content)
        assert archive.held[uid] == [hashlib.sha256(sent).hexdigest()]


def archive_bytes(content: bytes) -> bytes:
    """What pynetdicom keeps of a C-STORE: preamble, its own meta information, the data set."""
    from io import BytesIO

    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info
    from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

    read = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = read.SOPClassUID
    meta.MediaStorageSOPInstanceUID = read.SOPInstanceUID
    meta.TransferSyntaxUID = read.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = PYNETDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = PYNETDICOM_IMPLEMENTATION_VERSION
    out = BytesIO()
    write_file_meta_info(out, meta)
    return b"\0" * 128 + b"DICM" + out.getvalue() + data_set(content)


def test_a_batch_is_one_association(pacs, objects, now):
    node, archive = pacs("dimse")
    node.enter(objects)
    assert now(node) == 3
    assert archive.associations == 1


def test_a_status_is_judged_and_the_others_go_on(pacs, objects, now):
    judged = {
        0xB000: ("done", Verdict.TAKEN),
        0xB007: ("done", Verdict.TAKEN),
        0x0111: ("done", Verdict.TAKEN),
        0xA700: ("queued", Verdict.LATER),
        0x0110: ("queued", Verdict.LATER),
        0xA900: ("dead", Verdict.NEVER),
        0xC001: ("dead", Verdict.NEVER),
        0x0122: ("dead", Verdict.NEVER),
        0x0124: ("dead", Verdict.NEVER),
    }
    node, archive = pacs("dimse")
    for exam, (status, (state, verdict)) in enumerate(judged.items(), start=1):
        assert judge_status(status) is verdict
        archive.answer = lambda e, said=status: (
            said if e.request.AffectedSOPInstanceUID == UIDS[1] else 0
        )
        node.enter(objects, exam=exam)
        now(node)
        assert node.states()[-3:] == ["done", state, "done"]
    said = [r.get("receipt") or r["error"] for r in node.trail("delivered")]
    said += [r["error"] for kind in ("put_off", "undeliverable") for r in node.trail(kind)]
    assert {f"C-STORE 0x{status:04X}" for status in judged} <= {*said}


def test_a_peer_that_knows_only_the_default_syntax_gets_that(
    make_node, peer, peers, mammogram, now
):
    archive = peer(peers["dimse"], 0, (ImplicitVRLittleEndian,))
    to = f"dicom://PACS@127.0.0.1:{archive.port}"
    node = make_node({"name": "pacs", "to": to, "sinks": ["dicom-sc"]})
    node.enter({("dicom-sc", "0.dcm"): mammogram(0)})
    assert now(node) == 1
    assert node.trail("delivered")[0]["receipt"] == "C-STORE 0x0000"


def test_a_class_that_is_not_taken_is_refused_for_itself(make_node, peer, peers, objects, now):
    def forget(ae) -> None:
        ae.remove_supported_context("1.2.840.10008.5.1.4.1.1.1.2")

    archive = peer(peers["dimse"], change=[forget])
    to = f"dicom://PACS@127.0.0.1:{archive.port}"
    node = make_node({"name": "pacs", "to": to, "sinks": ["dicom-sc"]})
    node.enter(objects)
    assert now(node) == 0
    assert node.states() == ["dead"] * 3
    assert {*node.deliveries("error")} == {("the peer does not take this SOP class",)}


def test_an_association_that_breaks_is_made_again_for_the_next_file(pacs, objects, now):
    node, archive = pacs("dimse")

    def abort(event) -> int:
        if event.request.AffectedSOPInstanceUID == UIDS[0]:
            event.assoc.abort()
        return 0

    archive.answer = abort
    node.enter(objects)
    assert now(node) == 2
    assert node.states() == ["queued", "done", "done"]
    assert archive.associations == 2


@pytest.mark.parametrize("to", ["dicom://WRONG@127.0.0.1:{}", "dicom://PACS@127.0.0.1:1"])
def test_a_peer_that_refuses_or_is_not_there_is_away(make_node, pacs, objects, now, to):
    _, archive = pacs("dimse")
    said = {"name": "pacs", "to": to.format(archive.port), "sinks": ["dicom-sc"]}
    node = make_node(said, jobs=SLOW)
    node.enter(objects)
    assert now(node) == 0
    assert node.states() == ["queued"] * 3
    assert node.deliveries("error")[1:] == [("not tried: the destination is away",)] * 2


def test_what_is_no_dicom_file_is_refused_and_the_others_go_on(pacs, objects, now):
    for kind in ("dimse", "stow"):
        node, _ = pacs(kind)
        node.enter({("dicom-sc", "0.dcm"): objects["dicom-sc", "0.dcm"]})
        stored = node.state.results.put(b"not DICOM")
        with node.database.write() as connection:
            connection.execute(FILES.update().values(digest=stored.digest, sop_instance_uid=None))
        node.enter({("dicom-sc", "1.dcm"): objects["dicom-sc", "1.dcm"]}, exam=2)
        assert now(node) == 1
        assert sorted(node.states()) == ["dead", "done"]
        with node.database.write() as connection:
            connection.execute(DELIVERIES.delete())


def test_an_archive_that_was_away_holds_each_once(pacs, objects, peer, peers, until, port):
    for kind, number in (("dimse", port), ("stow", port)):
        node, archive = pacs(kind, number, jobs=None)
        archive.stop()
        node.enter(objects, exam=number)
        with delivering(node.state):
            until(lambda node=node: node.trail("put_off"))
            back = peer(peers[kind], number)
            until(node.finished)
        assert sorted(back.held) == UIDS
        assert {len(times) for times in back.held.values()} == {1}
        back.stop()
        number += 1
        with node.database.write() as connection:
            connection.execute(DELIVERIES.delete())


def test_instances_that_a_dicomweb_server_refuses_are_parted(pacs, objects, now):
    node, server = pacs("stow")
    server.reasons = {UIDS[0]: 0xA700, UIDS[1]: 0xC000}
    server.warnings = {UIDS[2]: 0xB000}
    node.enter(objects)
    assert now(node) == 1
    assert node.deliveries("state", "error") == [
        ("queued", "HTTP 409, reason 0xA700"),
        ("dead", "HTTP 409, reason 0xC000"),
        ("done", None),
    ]
    assert node.trail("delivered")[0]["receipt"] == "HTTP 200, 0xB000"


def test_a_success_that_does_not_name_the_instance_does_not_count(pacs, objects, until):
    node, server = pacs("stow", jobs=None)
    server.silent = True
    node.enter(objects)
    with delivering(node.state):
        until(lambda: len(node.trail("put_off")) >= 3)
        server.silent = False
        until(node.finished)
    assert {len(set(times)) for times in server.held.values()} == {1}


@pytest.mark.parametrize(
    ("offered", "report", "states", "error"),
    [
        (True, "kept", ["done", "done"], None),
        (True, "failed", ["done", "queued"], "not committed, 0x0112"),
        (True, "none", ["queued", "queued"], "commitment not answered"),
        (True, "refused", ["queued", "queued"], "commitment cannot be asked for"),
        (False, "none", ["done", "done"], None),
    ],
)
def test_delivered_is_what_the_archive_has_committed_itself_to(
    make_node, mammogram, offered, report, states, error, port, now
):
    from pydicom.dataset import Dataset
    from pynetdicom import AE, AllStoragePresentationContexts, evt
    from pynetdicom.sop_class import (
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
        Verification,
    )

    def answer(assoc, asked) -> None:
        time.sleep(0.1)
        said = Dataset()
        said.TransactionUID = asked.TransactionUID
        items = list(asked.ReferencedSOPSequence)
        said.ReferencedSOPSequence = items if report == "kept" else items[:1]
        if report == "failed":
            items[1].FailureReason = 0x0112
            said.FailedSOPSequence = items[1:]
        assoc.send_n_event_report(
            said,
            1 if report == "kept" else 2,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )

    def act(event):
        if report == "refused":
            return 0x0110, None
        if report != "none":
            threading.Thread(target=answer, args=(event.assoc, event.action_information)).start()
        return 0x0000, None

    ae = AE("PACS")
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax)
    ae.add_supported_context(Verification)
    if offered:
        ae.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_C_STORE, lambda _: 0), (evt.EVT_N_ACTION, act)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    to = f"dicom://PACS@127.0.0.1:{port}"
    said = {"name": "pacs", "to": to, "sinks": ["dicom-sc"], "commitment": True, "timeout_s": 1.5}
    try:
        node = make_node(said, jobs={"backoff_s": 60, "backoff_max_s": 60})
        node.enter({("dicom-sc", f"{n}.dcm"): mammogram(n) for n in range(2)})
        now(node)
    finally:
        server.shutdown()
    assert node.states() == states
    errors = [row.error for row in node.deliveries() if row.state == "queued"]
    assert {*errors} == ({error} if error else set())
    receipts = {row["receipt"] for row in node.trail("delivered")}
    committed = "C-STORE, committed" if offered else "C-STORE 0x0000, commitment not offered"
    assert receipts <= {committed}


def test_results_that_lie_sealed_leave_as_they_were_made(pacs, objects, now):
    from mammolens.serve.holdings import open_seal
    from mammolens.serve.settings import DeidentifySettings

    node, archive = pacs("dimse")
    seal = open_seal(node.state.database, DeidentifySettings(key="k" * 32))
    sealed = replace(node.state, results=replace(node.state.results, seal=seal))
    node = type(node)(sealed)
    node.enter(objects)
    assert not any(b"DICM" in path.read_bytes() for path in sealed.results.folder.glob("??/*"))
    assert now(node) == 3
    for uid, content in zip(UIDS, objects.values(), strict=True):
        assert archive.held[uid] == [hashlib.sha256(archive_bytes(content)).hexdigest()]
