"""Delivery of HL7 v2 over MLLP: a message is sent in a frame, and acknowledged by its control ID.

An acknowledgement counts only if its MSA-2 is the MSH-10 of the message. Any other acknowledgement
belongs to an earlier message, whose answer came too late; it is ignored.

Source: HL7 v2.5.1, 2.9.2 (original and enhanced mode), table 0357; MLLP release 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Parcel, Send, Verdict
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.exchange import Connection, Pace, connect

__all__ = ["mllp_session"]

_BEGIN: Final = b"\x0b"
_END: Final = b"\x1c\r"
_LONGEST: Final = 1 << 20
"""Bytes that a listener may send until it acknowledges a message."""
_TEMPORARY: Final = frozenset({"206", "207"})
"""Record locked, internal error (table 0357)."""


@contextlib.contextmanager
def mllp_session(target: Target, parcels: Sequence[Parcel]) -> Iterator[Send]:  # noqa: ARG001
    """Open a session; it connects with its first message."""
    session = _Session(target)
    try:
        yield session.send
    finally:
        session.close()


class _Session:
    """A connection to one listener."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: Connection | None = None
        self._read = bytearray()
        self._pace = Pace(target.timeout_s, _LONGEST)

    def send(self, delivery: Delivery, content: bytes) -> Answer:  # noqa: ARG002
        """Send a message and wait for its acknowledgement."""
        control = _control_id(content)
        if control is None:
            return Answer(Verdict.NEVER, "the message has no control id, or breaks its frame")
        self._pace.begin()
        try:
            connected = self._connect()
        except OSError as error:
            return Answer(Verdict.AWAY, f"cannot be reached: {type(error).__name__}")
        try:
            connected.sendall(_BEGIN + content + _END)
            acknowledged = self._await(connected, control)
        except OSError as error:
            self.close()
            return Answer(Verdict.BROKEN, f"no acknowledgement: {type(error).__name__}")
        return acknowledged

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._read.clear()

    def _connect(self) -> Connection:
        if self._connection is None:
            target = self._target
            raw = connect(target.host, target.port, self._pace, target.tls, target.tls_name)
            self._connection = Connection(raw, self._pace)
        return self._connection

    def _await(self, connected: Connection, control: str) -> Answer:
        while True:
            answer = _judge(self._next(connected), control)
            if answer is not None:
                return answer

    def _next(self, connected: Connection) -> bytes:
        looked = 0
        while (end := self._read.find(_END, looked)) < 0:
            looked = max(len(self._read) - 1, 0)
            chunk = connected.recv(65536)
            if not chunk:
                raise ConnectionResetError
            self._read += chunk
        frame = bytes(self._read[:end])
        del self._read[: end + len(_END)]
        return frame.partition(_BEGIN)[2]


def _control_id(content: bytes) -> str | None:
    fields = content.split(b"\r", 1)[0].split(content[3:4] or b"|")
    framed = _BEGIN in content or _END[:1] in content
    if framed or not content.startswith(b"MSH") or len(fields) < 10 or not fields[9]:
        return None
    return fields[9].decode("utf-8", "replace")


def _judge(frame: bytes, control: str) -> Answer | None:
    """Judge an acknowledgement; ``None`` if it is of another message."""
    segments = frame.decode("utf-8", "replace").replace("\n", "\r").split("\r")
    separator = segments[0][3:4] or "|"
    found = {segment[:3]: segment.split(separator) for segment in reversed(segments)}
    accepted, about = [*found.get("MSA", []), "", "", ""][1:3]
    if about != control:
        return None
    error = [*found.get("ERR", []), "", "", "", ""][3].partition("^")[0]
    code = error if error.isdecimal() and len(error) == 3 else ""
    said = f"MSA {accepted[:2] if accepted[:2].isalpha() else '?'}{code and f' {code}'}"
    match accepted:
        case "AA" | "CA":
            return Answer(Verdict.TAKEN, said)
        case "AR" | "CR" if not code:
            return Answer(Verdict.LATER, said)
        case "AE" | "AR" | "CE" | "CR":
            return Answer(Verdict.LATER if code in _TEMPORARY else Verdict.NEVER, said)
    return Answer(Verdict.BROKEN, said)
