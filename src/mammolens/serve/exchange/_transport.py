"""The transport of the HTTP client: httpx and httpcore over a connection with bounds.

The limits of httpx are limits to one wait, and a server that drips a byte per wait never meets
them. So httpcore speaks HTTP, and the bytes go through a `Connection`, whose `Pace` limits the
exchange as a whole: its time, its rate and the length of the answer with its headers.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from mammolens.serve.exchange.bounds import Connection, Pace, connect, encrypt

__all__ = ["BoundedTransport"]


class BoundedTransport(httpx.BaseTransport):
    """Connects to one server, and keeps each exchange within a pace.

    Parameters
    ----------
    pace
        Of the exchange that goes on; who asks begins it.
    """

    def __init__(self, pace: Pace, tls: ssl.SSLContext | None) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=tls, network_backend=_Network(pace))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and give the answer as soon as its headers are there.

        Raises
        ------
        httpx.TransportError
            There is no answer within the bounds.
        """
        url = request.url
        assert isinstance(request.stream, httpx.SyncByteStream)
        asked = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _errors_of_httpx():
            answered = self._pool.handle_request(asked)
        assert isinstance(answered.stream, Iterable)
        return httpx.Response(
            answered.status, headers=answered.headers, stream=_Body(answered.stream)
        )

    def close(self) -> None:
        """Hang up."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer; closed before its end, it ends the connection."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Network(httpcore.NetworkBackend):
    """Makes the connections of httpcore."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> _Stream:
        with _errors_of_httpcore(httpcore.ConnectError):
            return _Stream(Connection(connect(host, port, self._pace), self._pace))


class _Stream(httpcore.NetworkStream):
    """A connection as httpcore uses it; the limits are those of its pace, not `timeout`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        with _errors_of_httpcore(httpcore.ReadError):
            return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        with _errors_of_httpcore(httpcore.WriteError):
            self._connection.sendall(buffer)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> _Stream:
        raw, pace = self._connection.raw, self._connection.pace
        with _errors_of_httpcore(httpcore.ConnectError):
            return _Stream(Connection(encrypt(raw, ssl_context, server_hostname or "", pace), pace))

    def get_extra_info(self, info: str) -> Any:
        return self._connection.has_news() if info == "is_readable" else None

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def _errors_of_httpcore(kind: type[Exception]) -> Iterator[None]:
    """Turn errors of the socket into one of httpcore, whose argument they become."""
    try:
        yield
    except OSError as error:
        raise kind(error) from error


@contextlib.contextmanager
def _errors_of_httpx() -> Iterator[None]:
    """Turn errors of httpcore into those of httpx, which have the same names."""
    try:
        yield
    except (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.TimeoutException,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
