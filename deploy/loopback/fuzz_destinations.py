"""Destinations and servers that mean no good: they drip, lie about lengths, flood, or fall silent.

One listener plays every part (STOW-RS, FHIR, UPS-RS, MLLP, DICOM): it looks at the first bytes and
answers in a way that is drawn by chance, now and then the right one.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from fuzz_objects import mutated

__all__ = ["HostileServer"]

LONGEST_S = 30.0
FLOOD_BYTES = 1 << 28
STEP = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.34.6.1"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
    "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
    "00404041": {"vr": "CS", "Value": ["READY"]},
    "00404021": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]},
}


@dataclass
class HostileServer:
    """Listens on a free port until closed."""

    seed: int
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take nobody any more."""
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            rng = random.Random(self._rng.random())
            threading.Thread(target=self._serve, args=(connected, rng), daemon=True).start()

    def _serve(self, connected: socket.socket, rng: random.Random) -> None:
        with contextlib.suppress(OSError), connected:
            connected.settimeout(LONGEST_S)
            until = time.monotonic() + LONGEST_S
            while time.monotonic() < until and (said := connected.recv(65536)):
                kind = _kind(said)
                self.counts[kind] += 1
                if not self._answer(connected, rng, _right_answer(kind, said)):
                    return

    def _answer(self, connected: socket.socket, rng: random.Random, right: bytes) -> bool:
        """Answer somehow; ``False`` if the connection is to end."""
        match rng.randrange(9):
            case 0 | 1:
                connected.sendall(right)
                return True
            case 2:
                connected.sendall(mutated(rng, right))
                return rng.random() < 0.5
            case 3:
                for at in range(len(right)):
                    connected.sendall(right[at : at + 1])
                    if self._ended.wait(1.0):
                        return False
            case 4:
                for _ in range(FLOOD_BYTES >> 16):
                    connected.sendall(right[:20] + bytes(65536))
            case 5:
                connected.sendall(b"\x02\x00\xff\xff\xff\xff" + bytes(1 << 20))
                self._ended.wait(LONGEST_S)
            case 6:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 4294967295\r\n\r\n"
                connected.sendall(head + bytes(1 << 20))
                self._ended.wait(rng.uniform(0, LONGEST_S))
            case 7:
                connected.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 60_000 + b"\r\n")
                self._ended.wait(rng.uniform(0, LONGEST_S))
            case 8:
                self._ended.wait(rng.uniform(0, LONGEST_S))
        return False


def _kind(said: bytes) -> str:
    if said[:1] == b"\x0b":
        return "MLLP"
    if said[:1] == b"\x01":
        return "DICOM"
    first = said.split(b" ", 1)[0]
    return "HTTP" if first in (b"GET", b"POST", b"PUT") else "other"


def _right_answer(kind: str, said: bytes) -> bytes:
    """Answer as a peer would that means well, as far as one answer goes."""
    if kind == "MLLP":
        control = (said.split(b"\r")[0].split(b"|") + [b""] * 10)[9]
        return b"\x0bMSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AA|" + control + b"\r\x1c\r"
    if kind == "DICOM":
        names = said[10:74].ljust(64)
        return struct.pack(">BBLHH", 2, 0, 68, 1, 0) + names
    body = json.dumps([STEP] if b"workitems" in said[:200] else {}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body
