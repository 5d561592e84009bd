r"""The MLLP listener: pathology reports as HL7 v2 ORU^R01, acknowledged when they are on the disk.

A frame is VT, the message, FS, CR. The answer is an ACK in original mode:

- AA after the commit;
- AE if the message cannot be read, disk or database is away, or the node fails in a way that nobody
  expected (error 207: the sender repeats it); the connection stays open for the next message;
- AR if it is no ORU^R01, or its character set is not known.

The same message may come again at any time: it is acknowledged, and nothing is doubled.

Source: HL7 v2.5.1, 2.9.2 and table 0357; MLLP release 1.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from mammolens import __version__
from mammolens.errors import ConfigError, StorageError, UnreadableReport
from mammolens.pathology.hl7 import is_hl7
from mammolens.serve import logs
from mammolens.serve.exchange import LOOK_S, Connection, Pace, handshake, listener_context
from mammolens.serve.holdings import NodeState
from mammolens.serve.outcomes.receiving import given_reports, receive_reports, site_of
from mammolens.serve.record import audit
from mammolens.serve.threads import running

__all__ = ["answer_message", "receiving_reports"]

ROOM: Final = "mllp"
BEGIN: Final = b"\x0b"
END: Final = b"\x1c\r"
PIECE_BYTES: Final = 1 << 16
END_S: Final = 10.0
_SOURCE: Final = "message"
_UNPRINTABLE: Final = re.compile(rb"[^\x20-\x7e]")
_LONGEST_FIELD: Final = 199
_NOT_SUPPORTED: Final = {"MSH-9": "200", "MSH-18": "103", "MSH": "100"}
"""Faults for which a message is rejected (AR) as a whole, with their codes of table 0357."""


@dataclass
class _Door:
    """The listener with its open connections."""

    state: NodeState
    tls: ssl.SSLContext | None
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)


@contextmanager
def receiving_reports(state: NodeState) -> Iterator[int]:
    """Listen until the block ends; give the port, or 0 if the listener is off.

    Raises
    ------
    ConfigError
        The address cannot be used, or a certificate is wrong.
    """
    settings = state.settings.pathology
    if settings.mllp_port is None:
        yield 0
        return
    door = _Door(state, listener_context(settings))
    listener = _bind(settings.mllp_host, settings.mllp_port)
    port = int(listener.getsockname()[1])
    logs.event(ROOM, "listening", port=port)
    try:
        with running(ROOM, door.stop, partial(_accept, door, listener)):
            yield port
    finally:
        listener.close()
        for one in door.threads:
            one.join(END_S)
        logs.event(ROOM, "stopped")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"the node cannot listen for pathology reports ({error.strerror})",
            source=f"{host}:{port}",
            keyword="pathology.mllp_port",
            remedy="Choose a free port and an address of this host",
        ) from error


def _accept(door: _Door, listener: socket.socket) -> None:
    listener.settimeout(LOOK_S)
    while not door.stop.is_set():
        try:
            raw, address = listener.accept()
        except TimeoutError:
            continue
        except OSError:  # too many open files, or the caller has gone
            door.stop.wait(LOOK_S)
            continue
        try:
            _take(door, raw, str(address[0]))
        except Exception as error:  # such as no thread; the next caller must be served
            raw.close()
            logs.event(ROOM, "failed", logging.ERROR, error=type(error).__name__)


def _take(door: _Door, raw: socket.socket, host: str) -> None:
    """Serve a caller in a thread of its own, or refuse it."""
    door.threads = [one for one in door.threads if one.is_alive()]
    reason = _objection(door, host)
    if reason is not None:
        raw.close()
        _note(door, host, reason)
        return
    thread = threading.Thread(target=_serve, args=(door, raw, host), name="mllp", daemon=True)
    thread.start()
    door.threads.append(thread)


def _objection(door: _Door, host: str) -> str | None:
    settings = door.state.settings.pathology
    address = ipaddress.ip_address(host.partition("%")[0])
    if settings.hosts and not any(address in network for network in settings.hosts):
        return "host"
    return "too_many" if len(door.threads) >= settings.max_connections else None


def _note(door: _Door, host: str, reason: str) -> None:
    logs.event(ROOM, "refused", logging.WARNING, reason=reason)
    with suppress(StorageError):
        detail: audit.Detail = {"reason": reason, "host": host}
        audit.note_refusal(door.state.database, f"mllp:{host}", "pathology_refused", detail)


def _serve(door: _Door, raw: socket.socket, host: str) -> None:
    settings = door.state.settings.pathology
    pace = Pace(settings.timeout_s, settings.max_mb << 20)
    connection = Connection(raw, pace)
    try:
        if door.tls is not None:
            wrapped = door.tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            connection = Connection(wrapped, pace)
            handshake(wrapped, settings.timeout_s)
        rest = b""
        while rest or _has_more(door, connection):
            pace.begin()
            message, rest = _frame(connection, rest)
            answer = answer_message(door.state, message, f"mllp:{host}")
            connection.sendall(BEGIN + answer + END)
    except _HungUp:
        pass
    except OSError as error:
        if not door.stop.is_set():
            _note(door, host, _fault(error, pace))
    except Exception as error:
        logs.event(ROOM, "failed", logging.ERROR, error=type(error).__name__)
    finally:
        connection.close()


class _BadFrame(OSError):
    """The bytes are not a frame of MLLP."""


class _HungUp(OSError):
    """The sender has ended the connection between two messages."""


def _fault(error: OSError, pace: Pace) -> str:
    if isinstance(error, TimeoutError):
        return "too_slow"
    if pace.heard > pace.most_bytes:
        return "too_large"
    return "framing" if isinstance(error, _BadFrame) else "broken"


def _has_more(door: _Door, connection: Connection) -> bool:
    """Wait for another message; no if the sender hangs up, is idle too long, or the node stops."""
    until = time.monotonic() + door.state.settings.pathology.idle_s
    connection.raw.settimeout(LOOK_S)
    while not door.stop.is_set() and time.monotonic() < until:
        pending = isinstance(connection.raw, ssl.SSLSocket) and connection.raw.pending()
        if pending or connection.has_news():
            return True
        door.stop.wait(LOOK_S / 10)
    return False


def _frame(connection: Connection, rest: bytes) -> tuple[bytes, bytes]:
    """Read one frame, which may begin in `rest`; give the message, and what follows it.

    Raises
    ------
    OSError
        The sender hangs up, is too slow, sends too much, or no frame begins.
    """
    buffer, looked = bytearray(rest), 0
    while True:
        begun = buffer.lstrip(b"\r\n")
        if begun and not begun.startswith(BEGIN):
            raise _BadFrame("no frame begins")
        end = buffer.find(END, looked)
        if end >= 0:
            message = bytes(buffer[:end]).partition(BEGIN)[2]
            return message, bytes(buffer[end + len(END) :])
        looked = max(len(buffer) - 1, 0)
        piece = connection.recv(PIECE_BYTES)
        if not piece:
            if begun:
                raise _BadFrame("the sender hung up within a frame")
            raise _HungUp
        buffer += piece


def answer_message(state: NodeState, message: bytes, sender: str) -> bytes:
    """Enter a message, and give its acknowledgement; it contains no text of the report.

    Parameters
    ----------
    message
        One HL7 v2 message without its frame.
    """
    try:
        if not is_hl7(message):
            raise UnreadableReport(
                "the frame has no HL7 v2 message", keyword="MSH", remedy="Send ORU^R01"
            )
        reports = given_reports(message, _SOURCE, datetime.now(UTC))
        control = _control_id(message).decode("ascii")
        receive_reports(state, reports, sender, site_of(state), control or None)
    except UnreadableReport as error:
        code = _NOT_SUPPORTED.get(error.keyword or "")
        words = f"{error.message}. {error.remedy or ''}".strip()
        _refuse(state, sender, error.keyword or "content")
        return _acknowledge(message, "AR" if code else "AE", code or "102", words)
    except StorageError:
        logs.event(ROOM, "database_away", logging.ERROR)
        return _acknowledge(message, "AE", "207", "the node cannot store it now: send it again")
    except Exception as error:  # its words may hold text of the report, so only its name is logged
        logs.event(ROOM, "failed", logging.ERROR, error=type(error).__name__)
        return _acknowledge(message, "AE", "207", "the node has failed: send it again later")
    return _acknowledge(message, "AA")


def _refuse(state: NodeState, sender: str, keyword: str) -> None:
    logs.event(ROOM, "not_read", logging.WARNING)
    with suppress(StorageError):
        detail: audit.Detail = {"reason": keyword}
        audit.note_refusal(state.database, sender, "pathology_refused", detail)


def _fields(message: bytes) -> list[bytes]:
    """Give the fields of MSH, so that fields[n] is MSH-(n+1); separators as sent."""
    head = re.split(rb"[\r\n]", message.lstrip(b"\r\n \xef\xbb\xbf"), maxsplit=1)[0][:4096]
    return head.split(head[3:4] or b"|")


def _control_id(message: bytes) -> bytes:
    fields = _fields(message)
    given = fields[9] if len(fields) > 9 else b""
    return _UNPRINTABLE.sub(b"?", given[:_LONGEST_FIELD])


def _acknowledge(message: bytes, code: str, error: str = "", words: str = "") -> bytes:
    fields = [*_fields(message), *[b""] * 12]
    application, facility, mode = (
        _UNPRINTABLE.sub(b"?", fields[n][:_LONGEST_FIELD]).decode("ascii").replace("|", "")
        for n in (2, 3, 10)
    )
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    own = f"mammolens {__version__}"
    lines = [
        rf"MSH|^~\&|{own}||{application}|{facility}|{now}||ACK^R01^ACK|{uuid.uuid4().hex[:20]}"
        f"|{mode or 'P'}|2.5.1",
        f"MSA|{code}|{_control_id(message).decode('ascii').replace('|', '')}",
    ]
    if error:
        text = words.replace("|", " ").replace("^", " ").replace("\\", " ").replace("&", " and ")
        lines.append(f"ERR||MSH^1|{error}^^HL70357|E||||{text}")
    return ("\r".join(lines) + "\r").encode("ascii", "replace")
