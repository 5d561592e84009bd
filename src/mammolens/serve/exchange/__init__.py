"""What the node exchanges with others keeps within bounds: of time, rate and size.

`bounds` has them for any connection, `http` is the one client for HTTP and TLS.
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
    client_context,
)

__all__ = [
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
    "client_context",
    "connect",
    "handshake",
    "obeying",
]
