"""The thread of a connection and the end of an association, whatever either meets.

`furnish` gives an association of pynetdicom the parts of this package.
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
"""How long an association that failed has to tell the other side so."""


def furnish(
    association: Association,
    begin: Begin,
    max_bytes: int,
    ended: Callable[[], None],
    pace: Pace | None = None,
) -> None:
    """Give an association that was not started the parts below; its socket is set by the caller.

    Parameters
    ----------
    begin
        Gives the draft that an object is written into.
    max_bytes
        Longest object that is kept.
    ended
        Called once, when the connection is over.
    pace
        Of an association that this side asks for: how long it may take to connect, and the wish
        that the node stops.
    """
    ae = association.ae
    association.dul = UpperLayer(association, ended, pace)
    association.dimse = Messages(association, begin, max_bytes)
    association.acse_timeout, association.network_timeout = ae.acse_timeout, ae.network_timeout
    vars(association)["run"] = partial(_run, association)


def end(association: Association, wait_s: float = FAREWELL_S) -> None:
    """End an association and its connection at once, whatever its threads are at.

    Parameters
    ----------
    wait_s
        How long to wait for the thread of the connection.
    """
    upper_layer = association.dul
    assert isinstance(upper_layer, UpperLayer)
    association.is_established, association._kill = False, True
    association._reactor_checkpoint.set()
    upper_layer.kill_dul()
    if isinstance(upper_layer.socket, AssociationSocket):
        close_socket(upper_layer.socket)
    if upper_layer.ident is None:
        upper_layer.tidy()
    else:
        upper_layer.bell.ring()
        if threading.current_thread() is not upper_layer:
            upper_layer.join(wait_s)


def _run(association: Association) -> None:
    """Run the thread of an association; whatever it meets, the connection ends with it."""
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
    """Decodes data PDUs without copying them, waits for the bell, and ends with its association."""

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
        """Where the messages go."""
        return cast(Messages, self.assoc.dimse)

    def give_up(self) -> None:
        """Tell an association that waits to be asked for that it waits in vain."""
        self.to_user_queue.put(None)

    def may_read(self) -> bool:
        """Whether the next PDU is to be read now: not while a message is served.

        Raises
        ------
        OSError
            The connection must end.
        """
        self.check()
        established = self.state_machine.current_state == ESTABLISHED
        return not (established and self.messages.is_busy)

    def check(self) -> None:
        """Raise if the connection must end, whatever the other side is at.

        Raises
        ------
        TimeoutError
            The node stops, a message comes too slowly, or the association is over for long.
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
        """Send, and ring the bell, so that the thread need not look all the time."""
        DULServiceProvider.send_pdu(self, primitive)
        self.bell.ring()

    def run_reactor(self) -> None:
        """Run the thread; whatever it meets, the connection is closed and its place is free."""
        try:
            DULServiceProvider.run_reactor(self)
        except Exception as error:
            logs.event(ROOM, "upper_layer_failed", logging.WARNING, error=type(error).__name__)
        finally:
            self.tidy()

    def tidy(self) -> None:
        """Close what is open, and say that the connection is over; only once."""
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
        """Decode; data is not copied, and a request is checked before it is decoded."""
        if bytestream[0] == DATA_PDU:
            return DataPdu(bytestream), "Evt10"
        if bytestream[0] in ASSOCIATE_PDUS:
            check_associate(bytestream)
        return DULServiceProvider._decode_pdu(self, bytestream)


class _Announced(queue.Queue[Any]):
    """A queue that wakes the association when its peer wants to leave or has left."""

    def __init__(self, association: Association) -> None:
        queue.Queue.__init__(self)
        self.association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        queue.Queue.put(self, item, block, timeout)
        if isinstance(item, ENDS):
            self.association.dimse.msg_queue.put((None, None))
