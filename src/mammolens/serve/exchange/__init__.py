"""Connections to other servers, with limits of time, rate and size.

`bounds` has the limits of a connection, `tls` the encryption, and `http` the only HTTP client.
"""

from __future__ import annotations

from mammolens.serve.exchange.bounds import (
    LOOK_S,
    MINIMUM_RATE,
    Connection,
    HandshakeError,
    Pace,
    connect,
    handshake,
    obeying,
)
from mammolens.serve.exchange.http import (
    Endpoint,
    HttpAnswer,
    HttpClient,
    HttpError,
    NotConnected,
    NotEncrypted,
    authorization,
    pieces,
)
from mammolens.serve.exchange.tls import (
    CIPHERS,
    certificates_of,
    client_context,
    dicom_client_context,
    listener_context,
)

__all__ = [
    "CIPHERS",
    "LOOK_S",
    "MINIMUM_RATE",
    "Connection",
    "Endpoint",
    "HandshakeError",
    "HttpAnswer",
    "HttpClient",
    "HttpError",
    "NotConnected",
    "NotEncrypted",
    "Pace",
    "authorization",
    "certificates_of",
    "client_context",
    "connect",
    "dicom_client_context",
    "handshake",
    "listener_context",
    "obeying",
    "pieces",
]
