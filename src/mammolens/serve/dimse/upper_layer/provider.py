"""The thread of a connection; after any exception, connection and association end.

`furnish` gives an association of pynetdicom the classes of this package.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, A_RELEASE
from pynetdicom.transport import AssociationSocket

from mammolens.serve import logs
from mammolens.serve.dimse.upper_layer.associate_pdu import check_associate
from mammolens.serve.dimse.upper_layer.messages import Begin, DataPdu, Messages
from mammolens.serve.dimse.upper_layer.sockets import Bell, close_socket
from mammolens.serve.exchange import Pace

__all__ = ["FAREWELL_S", "UpperLayer", "end", "furnish"]

ROOM: Final = "scp"
DATA_PDU: Final = 0x04
ASSOCIATE_PDUS: Final = (0x01, 0x02)
ENDS: Final = (A_RELEASE, A_ABORT, A_P_ABORT)
ESTABLISHED: Final = "Sta6"
FAREWELL_S: Final = 2.0
"""Seconds in which a failed association can send an abort to the other side."""


def furnish(
    association: Association,
    begin: Begin,
    max_bytes: int,
    ended: Callable[[], None],
    pace: Pace | None = None,
) -> None:
    """Give a new association the classes of this package; the caller sets its socket.

    Parameters
    ----------
    begin
        Gives the draft for an object.
    max_bytes
        Longest object that is stored.
    ended
        Called once, when the connection has ended.
    pace
        For an association that this side requests: the time limit for connecting, and the stop of
        the node.
    """
    ae = association.ae
    association.dul = UpperLayer(association, ended, pace)
    association.dimse = Messages(association, begin, max_bytes)
    association.acse_timeout, association.network_timeout = ae.acse_timeout, ae.network_timeout
    vars(association)["run"] = partial(_run, association)  # Replaces the method of the thread.


def end(association: Association, wait_s: float = FAREWELL_S) -> None:
    """End an association and its connection at once, in any state.

    Parameters
    ----------
    wait_s
        Seconds to wait for the thread of the connection.
    """
    upper_layer = association.dul
    assert isinstance(upper_layer, UpperLayer)
    association.is_established, association._kill = False, True
    association._reactor_checkpoint.set()
    upper_layer.kill_dul()
    if isinstance(upper_layer.socket, AssociationSocket):
        close_socket(upper_layer.socket)
    if upper_layer.ident is None:  # its thread never started
        upper_layer.tidy()
    else:
        upper_layer.bell.ring()
        if threading.current_thread() is not upper_layer:
            upper_layer.join(wait_s)


def _run(association: Association) -> None:
    """Run the thread of an association; the connection ends with it, also after an exception."""
    upper_layer, messages = association.dul, association.dimse
    assert isinstance(upper_layer, UpperLayer)
    assert isinstance(messages, Messages)
    try:
        Association.run(association)
    except Exception as error:
        logs.event(ROOM, "association_failed", logging.WARNING, error=type(error).__name__)
        if upper_layer.ident is not None and upper_layer.is_alive():
            association.acse.send_ap_abort(0x00)
            upper_layer.join(FAREWELL_S)
    finally:
        end(association)
        messages.drop_all()


class UpperLayer(DULServiceProvider):
    """Decodes data PDUs without copies, waits for the bell, and ends with its association."""

    def __init__(
        self, association: Association, ended: Callable[[], None], pace: Pace | None
    ) -> None:
        DULServiceProvider.__init__(self, association)
        self.daemon = True
        self.bell, self.ended, self.pace = Bell(), ended, pace
        self.to_user_queue: queue.Queue[Any] = _Announced(association)
        self.killed_at: float | None = None
        self.tidied = threading.Lock()

    @property
    def messages(self) -> Messages:
        """The receiver of the messages."""
        return cast(Messages, self.assoc.dimse)

    def give_up(self) -> None:
        """End the wait of an association for a request that will not arrive."""
        self.to_user_queue.put(None)

    def may_read(self) -> bool:
        """Whether the next PDU may be read now: not while a message is served.

        Raises
        ------
        OSError
            The connection must end.
        """
        self.check()
        established = self.state_machine.current_state == ESTABLISHED
        return not (established and self.messages.is_busy)

    def check(self) -> None:
        """Raise if the connection must end.

        Raises
        ------
        TimeoutError
            The node stops, a message is too slow, or the association ended long ago.
        """
        if self.pace is not None:
            self.pace.check_stop()
        coming = self.messages.pace
        if coming is not None:
            coming.check()
        if self.assoc._kill:
            now = time.monotonic()
            self.killed_at = self.killed_at or now
            if now - self.killed_at > (self.assoc.acse_timeout or 0.0):
                raise TimeoutError("the other side does not hang up")

    def send_pdu(self, primitive: Any) -> None:
        """Send, and ring the bell, so that the thread does not need to poll."""
        DULServiceProvider.send_pdu(self, primitive)
        self.bell.ring()

    def run_reactor(self) -> None:
        """Run the thread; at its end, also after an exception, the connection is closed."""
        try:
            DULServiceProvider.run_reactor(self)
        except Exception as error:
            logs.event(ROOM, "upper_layer_failed", logging.WARNING, error=type(error).__name__)
        finally:
            self.tidy()

    def tidy(self) -> None:
        """Close the socket and the bell, and report the end of the connection, once."""
        if not self.tidied.acquire(blocking=False):
            return
        if isinstance(self.socket, AssociationSocket):
            close_socket(self.socket)
        if self.assoc.requestor.primitive is None:
            self.give_up()
        self.messages.drop_unfinished()
        self.messages.msg_queue.put((None, None))
        self.bell.close()
        self.ended()

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        """Decode a PDU; data is not copied, and a request is checked before it is decoded."""
        if bytestream[0] == DATA_PDU:
            return DataPdu(bytestream), "Evt10"  # P-DATA-TF (PS3.8 9.2)
        if bytestream[0] in ASSOCIATE_PDUS:
            check_associate(bytestream)
        return DULServiceProvider._decode_pdu(self, bytestream)


class _Announced(queue.Queue[Any]):
    """A queue that wakes the association when its peer releases or aborts it."""

    def __init__(self, association: Association) -> None:
        queue.Queue.__init__(self)
        self.association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        queue.Queue.put(self, item, block, timeout)
        if isinstance(item, ENDS):
            self.association.dimse.msg_queue.put((None, None))
