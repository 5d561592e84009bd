"""An HTTP connection that keeps within the bounds of an exchange."""

from __future__ import annotations

import http.client
import ssl
from typing import Any

from mammolens.serve.exchange.bounds import Connection, Pace, connect

__all__ = ["HttpConnection"]


class HttpConnection(http.client.HTTPConnection):
    """A connection to one server; every request has a pace and a limit to its answer.

    Parameters
    ----------
    most_bytes
        Longest answer with its headers, unless a request says another.
    tls_name
        Whom the certificate must name, if not the host.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout_s: float,
        most_bytes: int,
        tls: ssl.SSLContext | None = None,
        tls_name: str | None = None,
    ) -> None:
        http.client.HTTPConnection.__init__(self, host, port, timeout=timeout_s)
        if tls is not None:
            self.default_port = http.client.HTTPS_PORT
        self.pace = Pace(timeout_s, most_bytes)
        self._tls, self._tls_name = tls, tls_name or host

    def connect(self) -> None:
        """Connect, and check the certificate where there is TLS.

        Raises
        ------
        OSError
            The server is away, too slow, or not who it must be; or the node stops.
        """
        raw = connect(self.host, self.port, self.pace, self._tls, self._tls_name)
        made: Any = Connection(raw, self.pace)
        self.sock = made
