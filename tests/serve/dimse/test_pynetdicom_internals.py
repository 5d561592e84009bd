"""What of pynetdicom is overridden or used beside its interface is listed here, as it was read.

When a test fails after an upgrade: read the methods and attributes in the new version, correct
`serve/dimse/upper_layer`, then the list and `VERSION`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import socket

import pynetdicom
import pytest
from pynetdicom import AE
from pynetdicom.association import MODE_ACCEPTOR, Association
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

from mammolens.serve.dimse import upper_layer

VERSION = "3.0"
OVERRIDDEN = (
    (DULServiceProvider, "run_reactor", "self"),
    (DULServiceProvider, "send_pdu", "self primitive"),
    (DULServiceProvider, "_decode_pdu", "self bytestream"),
    (DIMSEServiceProvider, "get_msg", "self block"),
    (DIMSEServiceProvider, "receive_primitive", "self primitive"),
    (P_DATA_TF, "to_primitive", "self"),
    (AssociationSocket, "connect", "self primitive"),
    (AssociationSocket, "recv", "self nr_bytes"),
    (AssociationSocket, "send", "self bytestream"),
    (AssociationSocket, "_create_socket", "self address"),
    (AssociationSocket, "_shutdown_socket", "self"),
    (AE, "_create_socket", "self assoc address tls_args"),
    (RequestHandler, "_create_association", "self"),
    (ThreadedAssociationServer, "process_request", "self request client_address"),
    (AssociationServer, "finish_request", "self request client_address"),
)
CALLED = (
    (Association, "run", "self"),
    (Association, "_serve_request", "self msg context_id"),
    (DIMSEMessage, "decode_msg", "self primitive assoc"),
    (DIMSEMessage, "message_to_primitive", "self"),
    (DULServiceProvider, "kill_dul", "self"),
)
ATTRIBUTES = {
    "association": "_accepted_cx _kill _reactor_checkpoint acse dimse dul is_acceptor"
    " is_established requestor",
    "provider": "event_queue socket state_machine to_provider_queue to_user_queue",
    "messages": "cancel_req dimse_timeout message msg_queue",
    "socket": "_is_connected _ready event_queue provider_queue ready socket",
    "message": "command_set context_id data_set encoded_command_set",
}
OF_SOCKETSERVER = {"handle_error", "verify_request"}
READ_AGAIN = f"pynetdicom has changed.{__doc__.partition('.')[2]}"


def test_the_version_is_the_one_that_was_read() -> None:
    assert pynetdicom.__version__.startswith(f"{VERSION}."), READ_AGAIN


@pytest.mark.parametrize(("owner", "name", "parameters"), [*OVERRIDDEN, *CALLED])
def test_a_method_takes_what_it_took(owner: type, name: str, parameters: str) -> None:
    method = getattr(owner, name, None)
    assert method is not None, READ_AGAIN
    assert list(inspect.signature(method).parameters) == parameters.split(), READ_AGAIN


def test_what_is_used_is_there() -> None:
    association = Association(AE(), MODE_ACCEPTOR)
    connection, other = socket.socketpair()
    made = {
        "association": association,
        "provider": DULServiceProvider(association),
        "messages": DIMSEServiceProvider(association),
        "socket": AssociationSocket(association, connection),
        "message": DIMSEMessage(),
    }
    missing = [
        f"{name}.{attribute}"
        for name, attributes in ATTRIBUTES.items()
        for attribute in attributes.split()
        if not hasattr(type(made[name]), attribute) and not hasattr(made[name], attribute)
    ]
    connection.close()
    other.close()
    assert missing == [], READ_AGAIN


def test_all_that_is_overridden_is_listed_and_says_why() -> None:
    listed = {name for _, name, _ in OVERRIDDEN} | {"__init__"} | OF_SOCKETSERVER
    found = set()
    for module in pkgutil.iter_modules(upper_layer.__path__, f"{upper_layer.__name__}."):
        for ours in vars(importlib.import_module(module.name)).values():
            if not inspect.isclass(ours) or ours.__module__ != module.name:
                continue
            above = [base for base in ours.__mro__[1:] if base.__module__.startswith("pynetdicom")]
            known = {name for base in above for name in dir(base) if callable(getattr(base, name))}
            for name, method in vars(ours).items():
                if name in known and inspect.isfunction(method):
                    found.add(name)
                    assert name == "__init__" or method.__doc__, (ours, name)
    assert found <= listed, found - listed
    assert {name for _, name, _ in OVERRIDDEN} <= found
