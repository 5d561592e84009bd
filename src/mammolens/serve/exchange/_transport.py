"""The transport of the HTTP client: httpx and httpcore over a connection with bounds.

A limit of httpx is for one wait, and a server that sends one byte per wait never reaches it.
Therefore the bytes of httpcore go through a `Connection`. Its `Pace` limits the exchange as a
whole: its time, its rate, and the length of the answer with its headers.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import httpcore
import httpx

from mammolens.serve.exchange.bounds import Connection, Pace, connect, encrypt

__all__ = ["bounded_transport"]


def bounded_transport(pace: Pace, tls: ssl.SSLContext | None) -> httpx.HTTPTransport:
    """Make a transport with the limits of `pace`; the caller begins the pace before each request.

    The pool of connections is set from outside because httpx gives no way to choose the network
    backend of httpcore.

    Raises
    ------
    RuntimeError
        This httpx keeps its pool elsewhere, so that the limits would not hold.
    """
    transport = httpx.HTTPTransport(verify=tls or False, trust_env=False)
    if not isinstance(getattr(transport, "_pool", None), httpcore.ConnectionPool):
        raise RuntimeError(f"httpx {httpx.__version__} cannot be given limits; install 0.28")
    transport._pool = httpcore.ConnectionPool(ssl_context=tls, network_backend=_Network(pace))
    return transport


class _Network(httpcore.NetworkBackend):
    """Makes the connections of httpcore."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> _Stream:
        with _raised_as(httpcore.ConnectError):
            return _Stream(Connection(connect(host, port, self._pace), self._pace))


class _Stream(httpcore.NetworkStream):
    """A connection as httpcore uses it; the limits are those of its pace, not `timeout`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        with _raised_as(httpcore.ReadError):
            return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        with _raised_as(httpcore.WriteError):
            self._connection.sendall(buffer)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> _Stream:
        raw, pace = self._connection.raw, self._connection.pace
        with _raised_as(httpcore.ConnectError):
            return _Stream(Connection(encrypt(raw, ssl_context, server_hostname or "", pace), pace))

    def get_extra_info(self, info: str) -> Any:
        return self._connection.has_news() if info == "is_readable" else None

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def _raised_as(kind: type[Exception]) -> Iterator[None]:
    """Raise errors of the socket as an error of httpcore, with the first as its argument."""
    try:
        yield
    except OSError as error:
        raise kind(error) from error
