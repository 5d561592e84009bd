"""What the node exchanges with others keeps within bounds: of time, rate and size."""

from __future__ import annotations

from mammolens.serve.exchange.bounds import (
    LOOK_S,
    MINIMUM_RATE,
    Connection,
    Pace,
    connect,
    handshake,
    obeying,
)
from mammolens.serve.exchange.http import HttpConnection

__all__ = [
    "LOOK_S",
    "MINIMUM_RATE",
    "Connection",
    "HttpConnection",
    "Pace",
    "connect",
    "handshake",
    "obeying",
]
