"""Incoming messages: objects are written to the disk, one operation at a time, within limits.

The standard allows only one operation without an answer, unless more are negotiated, and this node
negotiates no more (PS3.7 D.3.3.3). While a message is served, nothing else is read.
"""

from __future__ import annotations

import logging
import queue
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, N_EVENT_REPORT
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.exchange import LOOK_S, Pace
from mammolens.serve.holdings import Draft

if TYPE_CHECKING:
    from mammolens.serve.dimse.upper_layer.provider import UpperLayer

__all__ = ["Begin", "DataPdu", "Messages", "ReceivedData"]

ROOM: Final = "scp"
LONGEST_COMMAND: Final = 1 << 14
"""Most bytes of a command set; a long one, with a list of a thousand tags, has 5 kB."""
LONGEST_MESSAGE: Final = 1 << 22
"""Most bytes of a data set that is not an object; a commitment request for 30,000 objects has
3.6 MB."""
LONGEST_PASSED_OVER: Final = 1 << 32
"""Most bytes of a too long object that are read, so that the sender gets an answer with the reason;
or twice `intake.max_mb` if that is more."""
MOST_CANCELS: Final = 10
MOST_EVENTS: Final = 4
"""Most event reports that are served at the same time during a request of our own."""
PDV_HEAD: Final = struct.Struct(">LB")
COMMAND: Final = 1
"""Bit of the head of a value: it belongs to a command (PS3.8 annex E.2)."""

Begin: TypeAlias = Callable[[Association, DIMSEMessage], Draft | None]
"""Called at the beginning of a data set; gives its draft, or ``None`` to hold it in memory."""


class ReceivedData(BytesIO):
    """The data set of a message while it arrives: in a draft, or in memory if there is none.

    Attributes
    ----------
    draft
        The file that an object is written to; ``None`` if it is held in memory.
    size
        Bytes received, also if they were not stored.
    error
        The error if it could not be written.
    """

    def __init__(self, begin: Callable[[], Draft | None], max_bytes: int) -> None:
        BytesIO.__init__(self)
        self.begin, self.max_bytes, self.size = begin, max_bytes, 0
        self.draft: Draft | None = None
        self.error: StorageError | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether it was dropped because it is too long."""
        return self.size > self.max_bytes

    def write(self, piece: Any) -> int:
        """Take a piece.

        Raises
        ------
        ValueError
            It is so long that the association must end.
        """
        began, self.size = self.size > 0, self.size + len(piece)
        try:
            if not began:
                self.draft = self.begin()
            is_object = self.draft is not None or self.error is not None
            longest = max(LONGEST_PASSED_OVER, 2 * self.max_bytes)
            if self.size > (longest if is_object else LONGEST_MESSAGE):
                raise ValueError("the message does not end")
            if (is_object and self.is_too_long) or self.error:
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
        """Delete the draft."""
        if self.draft is not None:
            self.draft.discard()


class DataPdu(P_DATA_TF):
    """A P-DATA-TF PDU whose values are views of the received bytes."""

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
        if not self.values:
            raise ValueError("the PDU has no value")

    def to_primitive(self) -> P_DATA:
        """Give the values without copies; pynetdicom would copy each."""
        primitive = P_DATA()
        for value in self.values:
            primitive.presentation_data_value_list.append(value)  # type: ignore[arg-type]
        return primitive


class Messages(DIMSEServiceProvider):
    """Assembles messages, and gives the next one after the previous one was served."""

    def __init__(self, association: Association, begin: Begin, max_bytes: int) -> None:
        DIMSEServiceProvider.__init__(self, association)
        self.begin, self.max_bytes = begin, max_bytes
        self.pace: Pace | None = None
        self.came = self.served = 0
        self.serving: Any = None
        self.context: int | None = None
        self.events = threading.BoundedSemaphore(MOST_EVENTS)

    @property
    def is_busy(self) -> bool:
        """Whether a received message is not completely served."""
        return self.came > self.served

    def get_msg(self, block: bool = False) -> Any:
        """Give the next message; the previous one was served, and its draft is deleted."""
        upper_layer = self.upper_layer
        if self.serving is not None:
            self._drop_served()
            self.served += 1
            upper_layer.bell.ring()
        item = self._wait() if block else self._look()
        self.serving = item[1]
        return item

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Add the values of a PDU, within limits of length, time and number of operations."""
        try:
            values = list(primitive.presentation_data_value_list)
            while values:
                self._take(*values.pop(0))
                if values and self.message is None:
                    raise ValueError("a PDU goes on after the end of its message")
        except Exception as error:
            logs.event(ROOM, "message_not_understood", logging.WARNING, error=type(error).__name__)
            self.drop_unfinished()
            self.dul.event_queue.put("Evt19")  # Invalid PDU: aborts (PS3.8 9.2).

    def drop_unfinished(self) -> None:
        """Delete the object that is arriving."""
        _discard(self.message)
        self.message = self.pace = None

    def drop_all(self) -> None:
        """Delete all objects that will not be served; both threads have ended."""
        self.drop_unfinished()
        self._drop_served()
        while not self.msg_queue.empty():
            _, self.serving = self.msg_queue.get(block=False)
            self._drop_served()

    @property
    def upper_layer(self) -> UpperLayer:
        """The upper layer that gives the messages."""
        return cast("UpperLayer", self.dul)

    def _drop_served(self) -> None:
        """Delete the object of a message that was served, or will not be served."""
        data, self.serving = getattr(self.serving, "DataSet", None), None
        if isinstance(data, ReceivedData):
            data.discard()

    def _take(self, context_id: Any, value: Any) -> None:
        """Add one value of a PDU: a fragment of a command or of a data set."""
        is_command = bool(value[0] & COMMAND)
        if self.message is None:
            self._start(context_id)
        message = self.message
        assert message is not None
        assert self.pace is not None
        has_command = message.context_id is not None
        if context_id != self.context or is_command == has_command:
            raise ValueError("a fragment is out of its order")
        size = message.encoded_command_set.tell() + len(value) - 1
        if is_command and size > LONGEST_COMMAND:
            raise ValueError("the command does not end")
        self.pace.moved += len(value)
        fragment = P_DATA()
        fragment.presentation_data_value_list.append((context_id, value))
        if message.decode_msg(fragment, self.assoc):
            self.message = self.pace = None
            try:
                self._finish(message)
            except BaseException:
                _discard(message)
                raise

    def _start(self, context_id: int) -> None:
        if self.assoc.is_acceptor and context_id not in self.assoc._accepted_cx:
            raise ValueError("the context was not accepted")
        self.context = context_id
        self.message = DIMSEMessage()
        begin = partial(self.begin, self.assoc, self.message)
        self.message.data_set = ReceivedData(begin, self.max_bytes)
        self.pace = Pace(self.assoc.network_timeout or 0.0, 0, stop=None)

    def _finish(self, message: DIMSEMessage) -> None:
        evt.trigger(self.assoc, evt.EVT_DIMSE_RECV, {"message": message})
        primitive: Any = message.message_to_primitive()
        context_id: Any = message.context_id
        if isinstance(primitive, C_CANCEL):
            if len(self.cancel_req) < MOST_CANCELS:
                number: Any = primitive.MessageIDBeingRespondedTo
                self.cancel_req[number] = primitive
        elif isinstance(primitive, N_EVENT_REPORT) and primitive.is_valid_request:
            self._report(primitive, context_id)
        else:
            self._announce(primitive, context_id)

    def _announce(self, primitive: Any, context_id: int) -> None:
        self.came += 1
        self.msg_queue.put((context_id, primitive))

    def _report(self, primitive: Any, context_id: int) -> None:
        """Serve a report in a new thread, because this one waits for the answer to our request."""
        if self.assoc.is_acceptor:
            self._announce(primitive, context_id)
            return
        if not self.events.acquire(blocking=False):
            raise ValueError("too many reports of events at a time")

        def serve() -> None:
            try:
                self.assoc._serve_request(primitive, context_id)
            except Exception as error:
                logs.event(ROOM, "event_failed", logging.WARNING, error=type(error).__name__)
            finally:
                self.events.release()

        threading.Thread(target=serve, name="dimse-event", daemon=True).start()

    def _look(self) -> Any:
        """Give a message if there is one; a listener waits a little, a caller does not."""
        try:
            if self.assoc.is_acceptor:
                return self.msg_queue.get(timeout=LOOK_S)
            return self.msg_queue.get(block=False)
        except queue.Empty:
            return None, None

    def _wait(self) -> Any:
        """Wait for an answer; the time begins when the request was sent."""
        timeout_s, began = self.dimse_timeout or 0.0, time.monotonic()
        while True:
            if not self.dul.to_provider_queue.empty() and self.dul.is_alive():
                began = time.monotonic()
            left = began + timeout_s - time.monotonic()
            try:
                return self.msg_queue.get(timeout=max(min(left, LOOK_S), 0.001))
            except queue.Empty:
                if left <= 0 or not self.dul.is_alive():
                    return None, None


def _discard(message: DIMSEMessage | None) -> None:
    if message is not None and isinstance(message.data_set, ReceivedData):
        message.data_set.discard()
