"""pynetdicom's upper layer, for many associations, big images and senders that mean no good.

pynetdicom reads 4 KiB at a time, copies each PDU several times, asks two threads of every
association a thousand times a second whether there is news, waits without end for the rest of a
PDU, and lets an object grow until memory ends. Here a PDU is read at once and within a time limit,
an object goes to the disk while it comes in, threads wait until a bell rings, and what is too long
is dropped. (pynetdicom 3.0; `furnish` is the only way in.)
"""

from __future__ import annotations

import contextlib
import logging
import queue
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, Final, TypeAlias

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, A_RELEASE, P_DATA
from pynetdicom.transport import AssociationSocket

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.holdings import Draft

__all__ = ["Begin", "ReceivedData", "UpperLayer", "close_socket", "furnish"]

ROOM: Final = "scp"
IDLE_S: Final = 0.25
"""How long threads wait for the bell before they look at their timers."""
LONGEST_PDU: Final = 1 << 20
LONGEST_COMMAND: Final = 1 << 16
LONGEST_MESSAGE: Final = 1 << 24
PDV_HEAD: Final = struct.Struct(">LB")
DATA_PDU: Final = 0x04
ENDS: Final = (A_RELEASE, A_ABORT, A_P_ABORT)

Begin: TypeAlias = Callable[[Association, DIMSEMessage], Draft | None]
"""Called when the data set of a message begins: a draft that it goes into, if not into memory."""


class ReceivedData(BytesIO):
    """The data set of a message as it comes in: in a draft, or in memory where there is none.

    Attributes
    ----------
    draft
        Where it is written.
    size
        Bytes received, kept or not.
    error
        Why it could not be written.
    """

    def __init__(self, begin: Callable[[], Draft | None], max_bytes: int) -> None:
        BytesIO.__init__(self)
        self.begin, self.max_bytes, self.size = begin, max_bytes, 0
        self.draft: Draft | None = None
        self.error: StorageError | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether it was given up because of its length."""
        return self.size > (self.max_bytes if self.draft else LONGEST_MESSAGE)

    def write(self, piece: Any) -> int:
        """Take a piece."""
        began, self.size = self.size > 0, self.size + len(piece)
        try:
            if not began:
                self.draft = self.begin()
            if self.is_too_long or self.error:
                self.discard()
            elif self.draft is not None:
                self.draft.write(piece)
            else:
                BytesIO.write(self, piece)
        except StorageError as error:
            self.error = error
            self.discard()
        return len(piece)

    def discard(self) -> None:
        """Give up what was written."""
        if self.draft is not None:
            self.draft.discard()


def furnish(
    association: Association,
    connection: socket.socket,
    begin: Begin,
    max_bytes: int,
    ended: Callable[[], None],
) -> None:
    """Give an association that was not started the parts below.

    Parameters
    ----------
    begin
        Gives the draft that an object is written into.
    max_bytes
        Longest object that is kept.
    ended
        Called when the connection is over.
    """
    ae = association.ae
    association.dul = UpperLayer(association, ended)
    association.dimse = _Messages(association, begin, max_bytes)
    association.acse_timeout, association.network_timeout = ae.acse_timeout, ae.network_timeout
    longest = max(LONGEST_PDU, ae.maximum_pdu_size)
    association.dul.socket = _Socket(association, connection, longest)


def close_socket(transport: AssociationSocket) -> None:
    """Close a connection, also one that was never made or that the peer has closed."""
    if transport.socket is not None:
        with contextlib.suppress(OSError):
            transport.socket.shutdown(socket.SHUT_RDWR)
        transport.socket.close()


class _Bell:
    """Lets a thread wait for a socket or for another thread, whichever comes first."""

    def __init__(self) -> None:
        self.inner, self.outer = socket.socketpair()
        for end in (self.inner, self.outer):
            end.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):
            self.outer.send(b"\0")

    def wait(self, other: socket.socket, seconds: float) -> bool:
        """Say whether there is something to read from `other`."""
        poll = select.poll()
        for end in (self.inner, other):
            poll.register(end, select.POLLIN)
        stirred = {number for number, _ in poll.poll(seconds * 1000)}
        if self.inner.fileno() in stirred:
            self.inner.recv(4096)
        return other.fileno() in stirred

    def close(self) -> None:
        self.inner.close()
        self.outer.close()


class _Socket(AssociationSocket):
    """Reads whole PDUs, each within the time limit, none longer than `longest` bytes."""

    def __init__(self, association: Association, connection: socket.socket, longest: int) -> None:
        AssociationSocket.__init__(self, association, client_socket=connection)
        self.longest = longest

    @property
    def ready(self) -> bool:
        connection, upper_layer = self.socket, self.assoc.dul
        assert isinstance(upper_layer, UpperLayer)
        if connection is None or not self._is_connected:
            return False
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        try:
            seconds = IDLE_S if self.event_queue.empty() else 0
            return upper_layer.bell.wait(connection, seconds)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False

    def _shutdown_socket(self) -> None:
        close_socket(self)

    def recv(self, nr_bytes: int) -> bytearray:
        if nr_bytes > self.longest:
            logs.event(ROOM, "pdu_too_long", logging.WARNING, bytes=nr_bytes)
            return bytearray()
        connection = self.socket
        assert connection is not None
        patience = self.assoc.network_timeout
        until = None if patience is None else time.monotonic() + patience
        received, filled = bytearray(nr_bytes), 0
        view = memoryview(received)
        while filled < nr_bytes:
            if until is not None:
                connection.settimeout(max(until - time.monotonic(), 0.001))
            count = connection.recv_into(view[filled:])
            if not count:
                break
            filled += count
        view.release()
        del received[filled:]
        return received


class UpperLayer(DULServiceProvider):
    """Decodes data PDUs without copying them, and waits for the bell."""

    def __init__(self, association: Association, ended: Callable[[], None]) -> None:
        DULServiceProvider.__init__(self, association)
        self.bell, self.ended = _Bell(), ended
        self.to_user_queue: queue.Queue[Any] = _Announced(association)

    def give_up(self) -> None:
        """Tell an association that waits to be asked for that it waits in vain."""
        self.to_user_queue.put(None)

    def send_pdu(self, primitive: Any) -> None:
        DULServiceProvider.send_pdu(self, primitive)
        self.bell.ring()

    def run_reactor(self) -> None:
        try:
            DULServiceProvider.run_reactor(self)
        except Exception as error:
            logs.event(ROOM, "upper_layer_failed", logging.WARNING, error=type(error).__name__)
        finally:
            if isinstance(self.socket, AssociationSocket):
                close_socket(self.socket)
            if self.assoc.requestor.primitive is None:
                self.give_up()
            if isinstance(self.assoc.dimse, _Messages):
                self.assoc.dimse.drop_unfinished()
            self.bell.close()
            self.ended()

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        if bytestream[0] != DATA_PDU:
            return DULServiceProvider._decode_pdu(self, bytestream)
        return _DataPdu(bytestream), "Evt10"


class _Announced(queue.Queue[Any]):
    """A queue that wakes the association when its peer wants to leave or has left."""

    def __init__(self, association: Association) -> None:
        queue.Queue.__init__(self)
        self.association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        queue.Queue.put(self, item, block, timeout)
        if isinstance(item, ENDS):
            self.association.dimse.msg_queue.put((None, None))


class _DataPdu(P_DATA_TF):
    """A P-DATA-TF PDU whose values are views of the bytes that came."""

    def __init__(self, encoded: bytearray) -> None:
        P_DATA_TF.__init__(self)
        view, at = memoryview(encoded), 6
        self.values: list[tuple[int, memoryview]] = []
        while at < len(view):
            length, context_id = PDV_HEAD.unpack_from(view, at)
            end = at + 4 + length
            if length < 2 or end > len(view):
                raise ValueError("a value is longer than its PDU")
            self.values.append((context_id, view[at + PDV_HEAD.size : end]))
            at = end

    def to_primitive(self) -> P_DATA:
        primitive = P_DATA()
        for value in self.values:
            primitive.presentation_data_value_list.append(value)  # type: ignore[arg-type]
        return primitive


class _Messages(DIMSEServiceProvider):
    """Lets objects go to the disk as they come, and waits instead of asking."""

    def __init__(self, association: Association, begin: Begin, max_bytes: int) -> None:
        DIMSEServiceProvider.__init__(self, association)
        self.begin, self.max_bytes = begin, max_bytes

    def get_msg(self, block: bool = False) -> Any:
        try:
            return self.msg_queue.get(timeout=self.dimse_timeout if block else IDLE_S)
        except queue.Empty:
            return None, None

    def receive_primitive(self, primitive: P_DATA) -> None:
        if self.message is None:
            self.message = DIMSEMessage()
            begin = partial(self.begin, self.assoc, self.message)
            self.message.data_set = ReceivedData(begin, self.max_bytes)
        try:
            if self.message.encoded_command_set.tell() > LONGEST_COMMAND:
                raise ValueError("the command does not end")
            DIMSEServiceProvider.receive_primitive(self, primitive)
        except Exception as error:
            logs.event(ROOM, "message_not_understood", logging.WARNING, error=type(error).__name__)
            self.dul.event_queue.put("Evt19")

    def drop_unfinished(self) -> None:
        """Give up the object that was coming in when the connection ended."""
        if self.message is not None and isinstance(self.message.data_set, ReceivedData):
            self.message.data_set.discard()
