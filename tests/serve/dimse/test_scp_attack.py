"""The listener against senders that mean harm: broken requests, floods, senders that never end."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pynetdicom.dimse_messages import N_ACTION_RQ, N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from mammolens.serve.dimse.upper_layer import messages
from mammolens.serve.dimse.upper_layer.associate_pdu import LONGEST_ASSOCIATE

from .wire import (
    EXPLICIT,
    MG,
    VERIFICATION,
    closed_within,
    connect,
    echo_bytes,
    echoes,
    read_pdu,
    release_bytes,
    request_bytes,
    store_bytes,
)

pytestmark = pytest.mark.slow

COMMITMENT = str(StorageCommitmentPushModel)
QUICK = {"acse_timeout_s": 0.6, "network_timeout_s": 0.6, "dimse_timeout_s": 0.6}
ENDS_S = 30.0
HANDLES = Path("/proc/self/fd")


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
LENGTH = item(0x51, struct.pack(">L", 16384))
USER = item(0x50, LENGTH + item(0x52, b"1.2.3.4"))


def context(number: int, abstract: str = MG, transfer: tuple[str, ...] = (EXPLICIT,)) -> bytes:
    syntaxes = b"".join(item(0x40, uid.encode()) for uid in transfer)
    return item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract.encode()) + syntaxes)


def request(*items: bytes, called: bytes = b"MAMMOLENS", calling: bytes = b"MODALITY") -> bytes:
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16)) + b"".join(items)
    return struct.pack(">BxL", 1, len(body)) + body


def pdata(*values: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF of values: context, head (1: command, 2: last), content."""
    body = b"".join(struct.pack(">LBB", len(v) + 2, cx, head) + v for cx, head, v in values)
    return struct.pack(">BxL", 4, len(body)) + body


BROKEN = {
    "a storage context without transfer syntax": request(APPLICATION, context(1, MG, ()), USER),
    "an echo context without transfer syntax": request(
        APPLICATION, context(1, VERIFICATION, ()), USER
    ),
    "an empty transfer syntax": request(APPLICATION, context(1, MG, ("",)), USER),
    "a transfer syntax of 60,000 characters": request(
        APPLICATION, context(1, MG, ("1." * 30_000,)), USER
    ),
    "a context without abstract syntax": request(
        APPLICATION, item(0x20, b"\1\0\0\0" + item(0x40, EXPLICIT.encode())), USER
    ),
    "an empty context": request(APPLICATION, item(0x20, b""), USER),
    "no context": request(APPLICATION, USER),
    "an even identifier": request(APPLICATION, context(2), USER),
    "an identifier twice": request(APPLICATION, context(1), context(1), USER),
    "no user": request(APPLICATION, context(1)),
    "two users": request(APPLICATION, context(1), USER, USER),
    "200 contexts": request(APPLICATION, *(context(n % 256) for n in range(200)), USER),
    "20,000 transfer syntaxes": request(
        APPLICATION,
        *(context(n, MG, tuple(f"1.2.{n}.{m}" for m in range(2000))) for n in range(1, 21, 2)),
        USER,
    ),
    "an item longer than its place": request(APPLICATION, context(1)[:-4], USER),
    "a request of many megabytes": struct.pack(">BxL", 1, LONGEST_ASSOCIATE + 1),
    "a calling title of spaces": request(APPLICATION, context(1), USER, calling=b""),
}


@contextlib.contextmanager
def associated(listener, *contexts: bytes) -> Iterator[socket.socket]:
    given = contexts or (context(1, VERIFICATION), context(3))
    with connect(listener) as connection:
        connection.sendall(request(APPLICATION, *given, USER))
        assert read_pdu(connection)[0] == 2
        yield connection


def settled(listener, threads: int, handles: int) -> bool:
    """Whether threads, handles, places and drafts come back to what they were."""
    until = time.monotonic() + ENDS_S
    while time.monotonic() < until:
        drafts = list((listener.state.received.folder / "partial").glob("*"))
        few = threading.active_count() <= threads and len(list(HANDLES.iterdir())) <= handles
        if few and not drafts and not listener.running():
            return True
        time.sleep(0.1)
    return False


def counts(listener) -> tuple[int, int]:
    assert echoes(listener)
    time.sleep(0.2)
    return threading.active_count(), len(list(HANDLES.iterdir()))


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_request_is_refused_and_its_connection_ends(listen, what):
    listener = listen(**QUICK)
    before = counts(listener)
    with connect(listener) as connection:
        connection.sendall(BROKEN[what])
        assert closed_within(connection, ENDS_S)
    assert echoes(listener)
    assert settled(listener, *before)


def test_a_context_without_transfer_syntax_takes_no_place(listen, monkeypatch):
    monkeypatch.setattr("mammolens.serve.dimse.upper_layer.acceptor.SPARE_CONNECTIONS", 2)
    listener = listen(max_associations=2, **QUICK)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(connect(listener))
            connection.sendall(BROKEN["a storage context without transfer syntax"])
            assert closed_within(connection, ENDS_S)
    assert echoes(listener)


def test_an_error_in_any_thread_ends_the_association(listen, monkeypatch):
    listener = listen(**QUICK)
    before = counts(listener)

    def fail(*_args, **_kwargs):
        raise KeyError("a thread of pynetdicom met what nobody foresaw")

    places = (
        "pynetdicom.acse.ACSE._negotiate_as_acceptor",
        "pynetdicom.acse.ACSE.send_accept",
        "pynetdicom.association.Association._run_reactor",
        "pynetdicom.association.Association._serve_request",
        "pynetdicom.dul.DULServiceProvider._is_transport_event",
        "pynetdicom.fsm.StateMachine.do_action",
        "mammolens.serve.dimse.upper_layer.messages.Messages.receive_primitive",
    )
    for place in places:
        with monkeypatch.context() as patch, connect(listener) as connection:
            patch.setattr(place, fail)
            with contextlib.suppress(OSError):
                connection.sendall(request_bytes() + echo_bytes())
            assert closed_within(connection, ENDS_S), place
        assert settled(listener, *before), place
    assert echoes(listener)


def command(kind, fields, made, data: bytes = b"", longest: int = 16384) -> bytes:
    from pynetdicom.pdu import P_DATA_TF

    message = kind()
    primitive = made()
    for name, value in fields.items():
        setattr(primitive, name, value)
    message.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(p).encode() for p in message.encode_msg(data or 1, longest))


def test_stores_without_waiting_hold_one_draft_and_leave_none(listen, mammogram, monkeypatch):
    listener = listen(**QUICK)
    before = counts(listener)
    image = store_bytes(mammogram())
    slow, most = threading.Event(), [0]
    real = listener.state.received.draft
    folder = listener.state.received.folder / "partial"

    def watched():
        draft = real()
        most[0] = max(most[0], len(list(folder.glob("*"))))
        return draft

    def wait(*_args, **_kwargs):
        slow.wait(5)
        raise ValueError("slow")

    monkeypatch.setattr(type(listener.state.received), "draft", lambda _store: watched())
    monkeypatch.setattr("mammolens.serve.dimse.scp.receive", wait)
    with associated(listener) as connection:
        connection.settimeout(2)
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                connection.sendall(image)
        time.sleep(1)
        assert most[0] == 1
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    slow.set()
    assert settled(listener, *before)


def test_stores_without_waiting_are_all_answered_in_their_order(listen, mammogram):
    listener = listen()
    with associated(listener) as connection:
        images = b"".join(store_bytes(mammogram(n)) for n in range(12))
        sender = threading.Thread(target=connection.sendall, args=(images + release_bytes(),))
        sender.start()
        answers = [read_pdu(connection)[0] for _ in range(13)]
        sender.join()
    assert answers == [4] * 12 + [6]
    assert len(list(listener.state.received.folder.glob("*/*"))) >= 12


ORDER = {
    "a data set without command": lambda: pdata((3, 0, b"\x08\x00\x16\x00")),
    "a context that was not accepted": lambda: pdata((99, 3, b"")),
    "no value": lambda: pdata(),
    "a command that does not end": lambda: b"".join(
        pdata((1, 1, bytes(4000))) for _ in range(1 + messages.LONGEST_COMMAND // 4000)
    ),
    "a command that is nonsense": lambda: pdata((1, 3, random.Random(0).randbytes(3000))),
    "a command nested a thousand times": lambda: pdata(
        (1, 3, b"\x00\x00\xff\xff\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 900)
    ),
    "two messages in one PDU": lambda: pdata((1, 3, echo_bytes()[12:]), (1, 3, echo_bytes()[12:])),
    "fragments of two contexts": lambda: pdata((3, 1, b"\0" * 8), (1, 1, b"\0" * 8)),
}


@pytest.mark.parametrize("what", ORDER)
def test_a_message_out_of_order_ends_the_association(listen, what):
    listener = listen()
    before = counts(listener)
    with associated(listener) as connection:
        connection.sendall(ORDER[what]())
        assert closed_within(connection, ENDS_S)
    assert settled(listener, *before)
    assert echoes(listener)


def test_an_object_whose_command_lacks_a_part_leaves_no_draft(listen, mammogram):
    listener = listen(**QUICK)
    before = counts(listener)
    store = store_bytes(mammogram())
    priority = store.index(b"\x00\x00\x00\x07\x02\x00\x00\x00")
    size = struct.unpack(">L", store[6:10])[0]
    head = bytearray(store[12 : 10 + size])
    at = priority - 12
    del head[at : at + 10]
    with associated(listener) as connection:
        connection.sendall(pdata((3, 3, bytes(head))) + store[10 + size :] + echo_bytes())
        connection.sendall(release_bytes())
        closed_within(connection, ENDS_S)
    assert settled(listener, *before)


def test_data_of_an_action_without_end_ends_the_association(listen):
    listener = listen()
    contexts = context(1, COMMITMENT)
    fields = {
        "MessageID": 1,
        "RequestedSOPClassUID": COMMITMENT,
        "RequestedSOPInstanceUID": "1.2.840.10008.1.20.1.1",
        "ActionTypeID": 1,
        "ActionInformation": BytesIO(bytes(4)),
    }
    whole = command(N_ACTION_RQ, fields, N_ACTION)
    head = whole[: 10 + struct.unpack(">L", whole[6:10])[0]]
    with associated(listener, contexts) as connection:
        connection.sendall(head)
        with contextlib.suppress(OSError):
            for _ in range(messages.LONGEST_MESSAGE // 16000 + 10):
                connection.sendall(pdata((1, 0, bytes(16000))))
        assert closed_within(connection, ENDS_S)
    assert echoes(listener)


def test_a_flood_of_events_starts_no_threads(listen):
    listener = listen()
    fields = {
        "MessageID": 1,
        "AffectedSOPClassUID": COMMITMENT,
        "AffectedSOPInstanceUID": "1.2.840.10008.1.20.1.1",
        "EventTypeID": 1,
        "EventInformation": BytesIO(bytes(8)),
    }
    event = command(N_EVENT_REPORT_RQ, fields, N_EVENT_REPORT)
    before = threading.active_count()
    most = 0
    roles = item(0x54, struct.pack(">H", len(COMMITMENT)) + COMMITMENT.encode() + b"\1\1")
    user = item(0x50, LENGTH + item(0x52, b"1.2.3.4") + roles)
    with connect(listener) as connection:
        connection.sendall(request(APPLICATION, context(1, COMMITMENT), user))
        assert read_pdu(connection)[0] == 2
        connection.settimeout(3)
        with contextlib.suppress(OSError):
            for _ in range(400):
                connection.sendall(event)
                most = max(most, threading.active_count())
    assert most - before < 10
    assert echoes(listener)


def test_who_answers_nothing_and_asks_for_ever_is_let_go(listen):
    """An echo flood by a sender that reads no answer: its socket is full, then it is silent."""
    listener = listen(**QUICK)
    before = counts(listener)
    with associated(listener) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(20_000):
                connection.sendall(echo_bytes() * 50)
        assert settled(listener, before[0], before[1] + 1)
    assert echoes(listener)


DRIPS = {
    "bytes of a request": (False, lambda: iter(request_bytes() * 3)),
    "bytes of a PDU": (True, lambda: iter(echo_bytes())),
    "fragments of a command": (True, lambda: iter(lambda: pdata((3, 1, b"\0")), None)),
    "PDUs without value": (True, lambda: iter(lambda: pdata(), None)),
}


@pytest.mark.parametrize("what", DRIPS)
def test_who_drips_for_ever_is_let_go(listen, what):
    """Each piece comes within the time limit for silence; all of it never ends."""
    listener = listen(**QUICK)
    before = counts(listener)
    is_associated, pieces = DRIPS[what]
    with (associated if is_associated else connect)(listener) as connection:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for piece in pieces():
                connection.sendall(bytes([piece]) if isinstance(piece, int) else piece)
                time.sleep(0.2)
                if time.monotonic() - began > ENDS_S:
                    break
        assert time.monotonic() - began < ENDS_S
    assert settled(listener, *before)
    assert echoes(listener)


def test_an_object_in_drips_is_let_go_and_leaves_no_draft(listen, mammogram):
    listener = listen(**QUICK)
    before = counts(listener)
    store = store_bytes(mammogram())
    size = 10 + struct.unpack(">L", store[6:10])[0]
    with associated(listener) as connection:
        connection.sendall(store[:size])
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < ENDS_S:
                connection.sendall(pdata((3, 0, b"\x08\x00")))
                time.sleep(0.2)
        assert time.monotonic() - began < ENDS_S
    assert settled(listener, *before)


def test_a_slow_but_steady_object_is_taken(listen, mammogram, monkeypatch):
    """It takes longer than any time limit, and comes faster than the least rate."""
    monkeypatch.setattr("mammolens.serve.exchange.bounds.MINIMUM_RATE", 500)
    listener = listen(acse_timeout_s=1.0, network_timeout_s=1.0)
    store = store_bytes(mammogram())
    size = 10 + struct.unpack(">L", store[6:10])[0]
    data = store[size + 12 :]
    step = -(-len(data) // 12)
    with associated(listener) as connection:
        connection.sendall(store[:size])
        for at in range(0, len(data), step):
            last = at + step >= len(data)
            connection.sendall(pdata((3, 2 if last else 0, data[at : at + step])))
            time.sleep(0.4)
        assert read_pdu(connection)[0] == 4
        connection.sendall(release_bytes())
        assert read_pdu(connection)[0] == 6


def mutated(rng: random.Random, image: bytes) -> bytes:
    """What a sender might say: sound parts, broken parts, in any order."""
    parts = [
        request_bytes(),
        *BROKEN.values(),
        request(APPLICATION, context(1, VERIFICATION), context(3), USER),
        echo_bytes(),
        image,
        image[: len(image) // 2],
        release_bytes(),
        b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        struct.pack(">BxL", rng.randrange(9), rng.choice((0, 4, 2**32 - 1, 70_000))),
        pdata((rng.randrange(6), rng.randrange(4), rng.randbytes(rng.randrange(300)))),
        item(rng.randrange(256), rng.randbytes(30)),
    ]
    said = b"".join([parts[0]] * rng.randrange(2) + rng.choices(parts, k=rng.randrange(1, 5)))
    noise = bytearray(said)
    for _ in range(rng.choice((0, 0, 1, 3, 20))):
        noise[rng.randrange(len(noise))] = rng.randrange(256)
    return bytes(noise)


@pytest.mark.parametrize("seed", range(3))
def test_after_any_bytes_and_silence_an_honest_echo_works(listen, mammogram, seed):
    listener = listen(max_associations=20, **QUICK)
    before = counts(listener)
    rng, image, held = random.Random(seed), store_bytes(mammogram()), []
    for _ in range(60):
        connection = connect(listener)
        held.append(connection)
        connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            connection.sendall(mutated(rng, image))
            if rng.random() < 0.3:
                connection.shutdown(socket.SHUT_WR)
        if rng.random() < 0.2:
            connection.close()
    assert settled(listener, *[n + len(held) for n in before])
    for connection in held:
        assert connection.fileno() < 0 or closed_within(connection, ENDS_S)
        connection.close()
    assert settled(listener, *before)
    assert echoes(listener)
