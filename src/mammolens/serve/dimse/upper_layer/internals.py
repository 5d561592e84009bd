"""What of pynetdicom this package overrides, and what it uses beside the documented interface.

A new version of pynetdicom may change any of it without notice. After an upgrade read the methods
named here in the new version, correct this package, then the list and its version.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import (
    AssociationServer,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

__all__ = ["ATTRIBUTES", "METHODS", "VERSION", "Method"]

VERSION: Final = "3.0"
"""Version of pynetdicom, without its patch, that the list was read in."""


class Method(NamedTuple):
    """A method of pynetdicom: its parameters, and why it is overridden or called."""

    owner: type
    name: str
    parameters: tuple[str, ...]
    why: str


METHODS: Final = (
    Method(
        DULServiceProvider,
        "run_reactor",
        ("self",),
        "overridden: the connection is closed and its place freed whatever the thread meets",
    ),
    Method(
        DULServiceProvider,
        "send_pdu",
        ("self", "primitive"),
        "overridden: rings the bell, so that the thread need not look a thousand times a second",
    ),
    Method(
        DULServiceProvider,
        "_decode_pdu",
        ("self", "bytestream"),
        "overridden: data PDUs are not copied, and requests are checked before they are decoded",
    ),
    Method(DULServiceProvider, "kill_dul", ("self",), "called: ends the thread"),
    Method(
        DIMSEServiceProvider,
        "get_msg",
        ("self", "block"),
        "overridden: one message at a time; what was served gives up its draft",
    ),
    Method(
        DIMSEServiceProvider,
        "receive_primitive",
        ("self", "primitive"),
        "overridden: commands and data sets have limits of length and time",
    ),
    Method(
        DIMSEMessage,
        "decode_msg",
        ("self", "primitive", "assoc"),
        "called: its data set is a ReceivedData, which writes to the disk",
    ),
    Method(DIMSEMessage, "message_to_primitive", ("self",), "called: when a message is whole"),
    Method(
        P_DATA_TF,
        "to_primitive",
        ("self",),
        "overridden: its values are views of the bytes that came",
    ),
    Method(
        AssociationSocket,
        "connect",
        ("self", "primitive"),
        "overridden: within a time limit in all, TLS included, and cut when the node stops",
    ),
    Method(
        AssociationSocket,
        "recv",
        ("self", "nr_bytes"),
        "overridden: a PDU has a limit of length and of time, and memory grows as it comes",
    ),
    Method(
        AssociationSocket,
        "send",
        ("self", "bytestream"),
        "overridden: a peer that does not read, or reads too slowly, is let go",
    ),
    Method(
        AssociationSocket,
        "_create_socket",
        ("self", "address"),
        "overridden: `connect` makes the socket, within its limits",
    ),
    Method(
        AssociationSocket,
        "_shutdown_socket",
        ("self",),
        "overridden: also closes a TLS connection that another thread reads from",
    ),
    Method(
        ApplicationEntity,
        "_create_socket",
        ("self", "assoc", "address", "tls_args"),
        "overridden: a call has the limits that the listener has",
    ),
    Method(
        RequestHandler,
        "_create_association",
        ("self",),
        "overridden: an association of the listener gets the parts of this package",
    ),
    Method(
        ThreadedAssociationServer,
        "process_request",
        ("self", "request", "client_address"),
        "overridden: gives the place of a connection back if there can be no thread for it",
    ),
    Method(
        AssociationServer,
        "finish_request",
        ("self", "request", "client_address"),
        "overridden: TLS shakes hands in the thread of its connection, within a time limit",
    ),
    Method(Association, "run", ("self",), "replaced: whatever it meets, the connection ends"),
    Method(
        Association,
        "_serve_request",
        ("self", "msg", "context_id"),
        "called: serves a report of events beside a request of our own",
    ),
)

ATTRIBUTES: Final = {
    "association": (
        *("_accepted_cx", "_kill", "_reactor_checkpoint", "acse", "dimse", "dul"),
        *("is_acceptor", "is_established", "requestor"),
    ),
    "provider": ("event_queue", "socket", "state_machine", "to_provider_queue", "to_user_queue"),
    "messages": ("cancel_req", "dimse_timeout", "message", "msg_queue"),
    "socket": ("_is_connected", "_ready", "event_queue", "provider_queue", "ready", "socket"),
    "message": ("command_set", "context_id", "data_set", "encoded_command_set"),
}
"""Attributes that objects of pynetdicom must have once they are made."""
