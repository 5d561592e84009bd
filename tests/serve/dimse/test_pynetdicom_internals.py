"""What of pynetdicom is overridden stands in one list, and is as it was when the list was made."""

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
from pynetdicom.transport import AssociationSocket

from mammolens.serve.dimse import upper_layer
from mammolens.serve.dimse.upper_layer.internals import ATTRIBUTES, METHODS, VERSION, Method

READ_AGAIN = (
    "pynetdicom has changed: read what serve/dimse/upper_layer/internals.py lists in the new"
    " version, correct the package, then the list"
)
INHERITED = {"finish_request", "handle_error", "verify_request"}
"""Of socketserver, which is documented."""


def test_the_version_is_the_one_that_was_read() -> None:
    assert pynetdicom.__version__.startswith(f"{VERSION}."), READ_AGAIN


@pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.owner.__name__}.{m.name}")
def test_a_method_takes_what_it_took(method: Method) -> None:
    found = getattr(method.owner, method.name, None)
    assert found is not None, READ_AGAIN
    assert tuple(inspect.signature(found).parameters) == method.parameters, READ_AGAIN


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
        for attribute in attributes
        if not hasattr(type(made[name]), attribute) and not hasattr(made[name], attribute)
    ]
    connection.close()
    other.close()
    assert missing == [], READ_AGAIN


def test_nothing_else_is_overridden() -> None:
    listed = {method.name for method in METHODS} | {"__init__"} | INHERITED
    for module in pkgutil.iter_modules(upper_layer.__path__, f"{upper_layer.__name__}."):
        for ours in vars(importlib.import_module(module.name)).values():
            if not inspect.isclass(ours) or ours.__module__ != module.name:
                continue
            above = [base for base in ours.__mro__[1:] if base.__module__.startswith("pynetdicom")]
            known = {name for base in above for name in dir(base) if callable(getattr(base, name))}
            changed = {name for name in vars(ours) if name in known and callable(vars(ours)[name])}
            assert changed <= listed, (ours, changed - listed)
