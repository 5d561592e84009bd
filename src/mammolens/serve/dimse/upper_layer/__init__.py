"""pynetdicom's upper layer, for many associations, big images and senders that mean harm.

This is the one place that goes beneath pynetdicom's documented interface. pynetdicom reads 4 KiB at
a time, copies each PDU several times, asks two threads of every association a thousand times a
second whether there is news, waits without end for the rest of a PDU, and lets an object grow until
memory ends. A thread that meets an exception leaves its connection open for ever. Here a PDU is
read at once and within a time limit, an object goes to the disk while it comes in, threads wait
until a bell rings, and whatever a thread meets, the connection is closed, its place is free and its
drafts are gone.

pynetdicom's own `STORE_RECV_CHUNKED_DATASET` writes an object to the disk too, and does not serve
here: it has no limit of size and of free disk, writes into the system's folder for temporary files
(from where a file cannot be renamed into the store, and where no identity may lie), takes no digest
on the way, and leaves its file behind when an association breaks off.

Each method that is overridden says why. `tests/serve/dimse/test_pynetdicom_internals.py` lists all
of them and what else is relied on, and fails where the code or the installed pynetdicom differs.
"""

from __future__ import annotations

from mammolens.serve.dimse.upper_layer.acceptor import AcceptorServer
from mammolens.serve.dimse.upper_layer.messages import Begin, ReceivedData
from mammolens.serve.dimse.upper_layer.provider import FAREWELL_S, end
from mammolens.serve.dimse.upper_layer.requestor import Caller

__all__ = ["FAREWELL_S", "AcceptorServer", "Begin", "Caller", "ReceivedData", "end"]
