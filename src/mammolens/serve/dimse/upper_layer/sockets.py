"""The socket of an association: whole PDUs, with limits of time and length."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from mammolens.serve import logs
from mammolens.serve.dimse.upper_layer.associate_pdu import LONGEST_ASSOCIATE
from mammolens.serve.exchange import LOOK_S, Pace, connect

if TYPE_CHECKING:
    from mammolens.serve.dimse.upper_layer.provider import UpperLayer

__all__ = ["Bell", "PduSocket", "close_socket"]

ROOM: Final = "scp"
LONGEST_PDU: Final = 1 << 20
"""Longest PDU in bytes from a sender that ignores the negotiated length."""
FIRST_BYTES: Final = 1 << 17
"""Bytes of memory that are allocated for a PDU at first; more are added as it arrives."""
BEGINNING: Final = ("Sta2", "Sta4", "Sta5")
"""States of PS3.8 table 9-10 before an association is established."""


def close_socket(transport: AssociationSocket) -> None:
    """Close a connection, also one that was never made or that the peer closed."""
    connection = transport.socket
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not the method of SSLSocket: a reading thread would continue without TLS.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        connection.close()


class Bell:
    """Lets a thread wait for a socket and for a signal of another thread, whichever is first."""

    def __init__(self) -> None:
        self.inner, self.outer = socket.socketpair()
        for end in (self.inner, self.outer):
            end.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):
            self.outer.send(b"\0")

    def wait(self, other: socket.socket | None, seconds: float) -> bool:
        """Wait; return whether `other` can be read."""
        poll = select.poll()
        for end in filter(None, (self.inner, other)):
            poll.register(end, select.POLLIN)
        stirred = {number for number, _ in poll.poll(seconds * 1000)}
        if self.inner.fileno() in stirred:
            self.inner.recv(4096)
        return other is not None and other.fileno() in stirred

    def close(self) -> None:
        self.inner.close()
        self.outer.close()


class PduSocket(AssociationSocket):
    """Connects, and reads and writes whole PDUs, within limits.

    Parameters
    ----------
    connection
        ``None`` if this side connects.
    tls
        If this side connects with TLS: the context, and the name in the peer's certificate.
    """

    def __init__(
        self,
        association: Association,
        connection: socket.socket | None,
        address: AddressInformation | None = None,
        tls: tuple[ssl.SSLContext, str] | None = None,
    ) -> None:
        AssociationSocket.__init__(self, association, connection, address)
        self.longest = max(LONGEST_PDU, association.ae.maximum_pdu_size)
        self.began, self._tls_args = time.monotonic(), tls
        # The limits of a whole message, which begins when everything before it was sent.
        self.sending, self.sent_all = Pace(0.0, 0, stop=None), True

    @property
    def upper_layer(self) -> UpperLayer:
        """The upper layer that reads from the socket."""
        return cast("UpperLayer", self.assoc.dul)

    @property
    def ready(self) -> bool:
        """Whether a PDU arrives; this waits for the bell instead of polling."""
        connection, upper_layer = self.socket, self.upper_layer
        if connection is None or not self._is_connected:
            return False
        seconds = LOOK_S if self.event_queue.empty() else 0
        try:
            if not upper_layer.may_read():
                upper_layer.bell.wait(None, seconds)
                return False
            if isinstance(connection, ssl.SSLSocket) and connection.pending():
                return True
            return upper_layer.bell.wait(connection, seconds)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, within the time limit of the settings."""
        context, name = self._tls_args or (None, "")
        pace = self.upper_layer.pace or Pace(30.0, 0)
        try:
            self.socket = connect(*primitive.address, pace, context, name)
            own = AddressInformation.from_tuple(self.socket.getsockname())
            self.assoc.requestor.address_info = own
            self._is_connected, self.began = True, time.monotonic()
            primitive.result = "Evt2"
            evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": primitive.address})
        except (OSError, ValueError):
            self.socket, primitive.result = None, "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, within limits of length and time; memory grows as they arrive."""
        upper_layer = self.upper_layer
        begins = upper_layer.state_machine.current_state in BEGINNING
        if nr_bytes > (LONGEST_ASSOCIATE if begins else self.longest):
            logs.event(ROOM, "pdu_too_long", logging.WARNING, bytes=nr_bytes)
            return bytearray()
        connection = self.socket
        assert connection is not None
        limit = self.assoc.acse_timeout if begins else self.assoc.network_timeout
        until = (self.began if begins else time.monotonic()) + (limit or 0.0)
        received, filled = bytearray(min(nr_bytes, FIRST_BYTES)), 0
        while filled < nr_bytes:
            if filled == len(received):
                received.extend(bytes(min(filled, nr_bytes - filled)))
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("a PDU does not end")
            upper_layer.check()
            connection.settimeout(max(min(left, LOOK_S), 0.001))
            try:
                with memoryview(received) as view, view[filled:] as rest:
                    count = connection.recv_into(rest)
            except TimeoutError:
                continue
            if not count:
                break
            filled += count
        del received[filled:]
        return received

    def send(self, bytestream: bytes) -> None:
        """Send a PDU; the connection ends if the peer does not read, or reads too slowly."""
        connection, rest, pace = self.socket, memoryview(bytestream), self.sending
        if self.sent_all:
            pace.timeout_s = self.assoc.network_timeout or 0.0
            pace.begin()
        silent_at = time.monotonic() + pace.timeout_s
        try:
            while rest:
                assert connection is not None
                if time.monotonic() > silent_at:
                    raise TimeoutError("the other side does not read")
                pace.check()
                self.upper_layer.check()
                connection.settimeout(LOOK_S)
                with contextlib.suppress(TimeoutError):
                    count = connection.send(rest)
                    rest, silent_at = rest[count:], time.monotonic() + pace.timeout_s
                    pace.sent(count)
            self.sent_all = self.provider_queue.empty()
            evt.trigger(self.assoc, evt.EVT_DATA_SENT, {"data": bytestream})
        except Exception:
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """Close the connection, also if another thread reads from it over TLS."""
        close_socket(self)

    def _create_socket(self, address: AddressInformation) -> Any:
        """Make no socket yet; `connect` makes it."""
        del address
        self._is_connected = False
