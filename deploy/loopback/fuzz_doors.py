"""What the fuzz does to a node's doors: the DICOM port, HTTP, and the watched folder.

Every attack takes a generator of random numbers and is over within seconds. What a door answers is
read and thrown away: whether the node stands is judged by honest senders beside it.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from fuzz_objects import MAMMOGRAM, SYNTAXES, association_request, damaged, mutated
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

__all__ = ["Attack", "Doors", "attacks", "recorded"]

LONGEST_S = 8.0
"""How long one attack may hold a connection."""
RESET = struct.pack("ii", 1, 0)

Attack = Callable[["Doors", random.Random], None]


@dataclass(frozen=True)
class Doors:
    """Where a node can be reached, and what honest traffic looks like.

    `dimse_bytes` and `http_bytes` are what an honest sender sent; `objects` are DICOM files. `tls`
    wraps connections to the DICOM port and to HTTP, if the node speaks TLS there.
    """

    dimse: int
    http: int
    watched: Path
    dimse_bytes: bytes
    http_bytes: bytes
    objects: Sequence[bytes]
    dimse_tls: ssl.SSLContext | None = None
    http_tls: ssl.SSLContext | None = None


def attacks() -> dict[str, Attack]:
    """Name every attack."""
    return {
        "DICOM: bytes that went wrong": _dimse_bytes,
        "DICOM: association requests": _association,
        "DICOM: stores that do not wait": _pipelined,
        "DICOM: silence and drops": _silent_dimse,
        "DICOM: objects that went wrong": _stored,
        "HTTP: bytes that went wrong": _http_bytes,
        "HTTP: heads": _heads,
        "HTTP: bodies that drip": _dripping,
        "HTTP: silence and drops": _silent_http,
        "HTTP: objects that went wrong": _posted,
        "folder: files that went wrong": _file,
        "folder: entries that are no files": _entry,
    }


@contextlib.contextmanager
def recorded(port: int) -> Iterator[tuple[int, bytearray]]:
    """Give a port that passes one connection on to `port`, and the bytes that came in there."""
    said = bytearray()
    listener = socket.create_server(("127.0.0.1", 0))

    def pipe(source: socket.socket, sink: socket.socket, keep: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if keep is not None:
                    keep += piece
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def run() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=pipe, args=(server, client, None))
                back.start()
                pipe(client, server, said)
                back.join()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1], said
    finally:
        thread.join(10)
        listener.close()


def _connect(
    stack: contextlib.ExitStack, port: int, tls: ssl.SSLContext | None, rng: random.Random
) -> socket.socket:
    """Connect; where TLS is spoken, one of five comes without it. Ends by a reset, or in order."""
    connected: socket.socket = socket.create_connection(("127.0.0.1", port), 3)
    stack.callback(connected.close)
    connected.settimeout(2)
    if rng.random() < 0.3:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if tls is not None and rng.random() < 0.8:
        connected = tls.wrap_socket(connected, server_hostname="localhost")
        stack.callback(connected.close)
    return connected


def _say(
    port: int, tls: ssl.SSLContext | None, rng: random.Random, content: bytes, piece: int = 0
) -> None:
    """Send in pieces, now and then with a pause, and read what comes."""
    with contextlib.ExitStack() as stack:
        connected = _connect(stack, port, tls, rng)
        until, at = time.monotonic() + rng.uniform(0.2, LONGEST_S), 0
        while at < len(content) and time.monotonic() < until:
            size = piece or rng.choice((1, 7, 300, 70_000, len(content)))
            connected.sendall(content[at : at + size])
            at += size
            if piece or rng.random() < 0.1:
                time.sleep(rng.choice((0.01, 0.1, 1.0)))
        connected.settimeout(rng.choice((0.01, 0.3, 2.0)))
        while time.monotonic() < until and connected.recv(65536):
            pass


def _dimse_bytes(doors: Doors, rng: random.Random) -> None:
    _say(doors.dimse, doors.dimse_tls, rng, mutated(rng, doors.dimse_bytes))


def _association(doors: Doors, rng: random.Random) -> None:
    request = association_request(rng) * rng.choice((1, 1, 1, 2))
    _say(doors.dimse, doors.dimse_tls, rng, request)


def _pipelined(doors: Doors, rng: random.Random) -> None:
    """Send one store after the other without waiting for an answer."""
    opening = 6 + struct.unpack(">L", doors.dimse_bytes[2:6])[0]
    stores = doors.dimse_bytes[opening:-10]
    with contextlib.ExitStack() as stack:
        connected = _connect(stack, doors.dimse, doors.dimse_tls, rng)
        connected.sendall(doors.dimse_bytes[:opening])
        connected.recv(65536)
        for _ in range(rng.choice((2, 20, 60))):
            connected.sendall(stores)
        time.sleep(rng.choice((0.0, 1.0)))


def _silent_dimse(doors: Doors, rng: random.Random) -> None:
    _silent(doors.dimse, doors.dimse_bytes, rng)


def _silent_http(doors: Doors, rng: random.Random) -> None:
    _silent(doors.http, doors.http_bytes, rng)


def _silent(port: int, honest: bytes, rng: random.Random) -> None:
    """Open some connections, say nothing or the beginning of something, and go."""
    with contextlib.ExitStack() as stack:
        for _ in range(rng.choice((1, 10, 30))):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 2))
            one.sendall(honest[: rng.choice((0, 1, 5, 60))])
        time.sleep(rng.uniform(0, 3))


def _stored(doors: Doors, rng: random.Random) -> None:
    """Send what is no whole object over a proper association."""
    ae = AE("MODALITY")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = LONGEST_S
    ae.add_requested_context(MAMMOGRAM, rng.choice(SYNTAXES[:3]))
    tls = None if doors.dimse_tls is None else (doors.dimse_tls, "localhost")
    association = ae.associate("127.0.0.1", doors.dimse, ae_title="MAMMOLENS", tls_args=tls)
    try:
        for number in range(rng.choice((1, 3))):
            if not association.is_established:
                break
            store = C_STORE()
            store.MessageID, store.Priority = number + 1, 2
            store.AffectedSOPClassUID = MAMMOGRAM
            store.AffectedSOPInstanceUID = f"1.2.3.{rng.randrange(1 << 30)}"
            store.DataSet = BytesIO(damaged(rng, doors.objects)[rng.choice((132, 350)) :])
            association.dimse.send_msg(store, association.accepted_contexts[0].context_id)
            association.dimse.get_msg(block=True)
    finally:
        if association.is_established:
            association.abort()


def _http_bytes(doors: Doors, rng: random.Random) -> None:
    head, _, body = doors.http_bytes.partition(b"\r\n\r\n")
    wrong = mutated(rng, head) + b"\r\n\r\n" + body, head + b"\r\n\r\n" + mutated(rng, body)
    _say(doors.http, doors.http_tls, rng, rng.choice(wrong))


def _heads(doors: Doors, rng: random.Random) -> None:
    """Send heads that are long, odd or contradict themselves, several on one connection."""
    names = (b"Content-Type", b"Accept", b"Authorization", b"Host", b"Origin", b"Expect", b"X-A")
    names += (b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Upgrade")
    values = (b"1", b"chunked", b"a" * 60_000, b'multipart/related; boundary="' + b'\\"' * 30_000)
    values += (b"9" * 5000, b"a/b;" * 15_000, b"-1", b"\xff\xfe", b"Bearer " + b"x" * 40_000)
    values += (b"100-continue", b"http://evil.example", b"websocket", b"\0")
    said = b""
    for _ in range(rng.choice((1, 2, 5))):
        verb = rng.choice((b"GET", b"POST", b"PUT", b"CONNECT", b"TRACE", b"X" * 300))
        path = rng.choice((b"/dicom-web/studies", b"/" * 5000, b"/metrics", b"*", b"http://a/b"))
        lines = [verb + b" " + path + b" HTTP/" + rng.choice((b"1.1", b"1.0", b"9"))]
        for _ in range(rng.choice((0, 2, 8, 400))):
            lines.append(rng.choice(names) + b": " + rng.choice(values))
        said += b"\r\n".join(lines) + b"\r\n\r\n"
    _say(doors.http, doors.http_tls, rng, said[: 1 << 20])


def _dripping(doors: Doors, rng: random.Random) -> None:
    _say(doors.http, doors.http_tls, rng, doors.http_bytes, piece=rng.choice((1, 40, 600)))


def _posted(doors: Doors, rng: random.Random) -> None:
    """Send what are no whole objects in a proper request."""
    head = doors.http_bytes.partition(b"\r\n\r\n")[0]
    boundary = head.partition(b"boundary=")[2].split(b"\r\n")[0]
    begin = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
    parts = [begin + damaged(rng, doors.objects) + b"\r\n" for _ in range(rng.choice((1, 3)))]
    if rng.random() < 0.2:
        parts = [begin + b"\r\n"] * 3000
    body = b"".join(parts) + b"--" + boundary + b"--\r\n"
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    lines.append(b"Content-Length: %d" % len(body))
    said = b"\r\n".join(lines) + b"\r\n\r\n" + body
    _say(doors.http, doors.http_tls, rng, said, piece=len(said))


def _file(doors: Doors, rng: random.Random) -> None:
    """Lay a file into the watched folder whose content or name is odd."""
    names = (
        "a.dcm",
        "x" * 245,
        "new\nline",
        "\udcff\udcfe",
        " ",
        "é" * 100,
        "-rf",
        "..dcm",
        "=1+1",
    )
    path = doors.watched / (rng.choice(names) + str(rng.randrange(1000)))
    with contextlib.suppress(OSError):
        with path.open("wb") as stream:
            stream.write(damaged(rng, doors.objects))
            if rng.random() < 0.1:
                stream.truncate(1 << 41)
        if rng.random() < 0.2:
            path.chmod(0)


def _entry(doors: Doors, rng: random.Random) -> None:
    """Lay something into the watched folder that is no file, or make a file something else."""
    path = doors.watched / f"entry{rng.randrange(1000)}"
    with contextlib.suppress(OSError):
        match rng.randrange(6):
            case 0:
                os.mkfifo(path)
            case 1:
                path.symlink_to(rng.choice(("/dev/zero", "/etc/passwd", path.name, "missing")))
            case 2:
                for _ in range(40):
                    path = path / ("d" * 90)
                    path.mkdir(parents=True, exist_ok=True)
            case 3:
                with contextlib.closing(socket.socket(socket.AF_UNIX)) as bound:
                    bound.bind(str(path))
            case 4:
                for file in list(doors.watched.glob("a.dcm*"))[:5]:
                    file.unlink()
                    os.mkfifo(file)
            case 5:
                path.mkdir(mode=0)
