"""pynetdicom's upper layer, changed for many associations, big images and hostile senders.

Only this package uses undocumented parts of pynetdicom. pynetdicom reads 4 KiB at a time, copies
each PDU several times, polls two threads of every association a thousand times a second, waits
without limit for the rest of a PDU, and lets an object grow until memory ends. A thread with an
exception leaves its connection open for ever. Here, a PDU is read at once and within a time limit,
an object is written to the disk while it arrives, and threads wait for a signal (`Bell`). After any
exception, the connection is closed, its place is free, and its drafts are deleted.

pynetdicom's own `STORE_RECV_CHUNKED_DATASET` also writes objects to the disk, but cannot be used
here: it does not limit the size or check the free space; it writes to the temporary folder of the
system, from which a file cannot be renamed into the store, and which must not have identities; it
computes no digest; and it leaves its file behind when an association breaks.

Each overridden method says why. `tests/serve/dimse/test_pynetdicom_internals.py` lists all of them
and everything else that is used, and fails if the code or the installed pynetdicom differs.
"""

from __future__ import annotations

from mammolens.serve.dimse.upper_layer.acceptor import AcceptorServer
from mammolens.serve.dimse.upper_layer.messages import Begin, ReceivedData
from mammolens.serve.dimse.upper_layer.provider import FAREWELL_S, end
from mammolens.serve.dimse.upper_layer.requestor import Caller

__all__ = ["FAREWELL_S", "AcceptorServer", "Begin", "Caller", "ReceivedData", "end"]
