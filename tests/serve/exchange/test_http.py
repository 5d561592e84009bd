"""The HTTP client against servers that lead elsewhere, pack bombs, or hang up between requests."""

from __future__ import annotations

import contextlib
import gzip
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from mammolens.serve.exchange import (
    Endpoint,
    HttpClient,
    HttpError,
    NotConnected,
    NotEncrypted,
    client_context,
)

from ..hostile import Hostile, Script

NOTHING: dict[str, str] = {}


@pytest.fixture
def server() -> Iterator[Callable[..., Endpoint]]:
    """Give a function that starts a server which answers every connection by a script."""
    with contextlib.ExitStack() as stack:

        def start(script: Script, **more: object) -> Endpoint:
            running = Hostile(script)
            stack.callback(running.stop)
            return Endpoint("test", "127.0.0.1", running.port, "/base", 1.0, **more)

        yield start


def saying(*answers: bytes, heard: list[bytes] | None = None) -> Script:
    """Answer one request after the other, and hang up after the last answer."""

    def script(connection: socket.socket) -> None:
        for answer in answers:
            asked = connection.recv(65536)
            if not asked:
                return
            if heard is not None:
                heard.append(asked)
            connection.sendall(answer)

    return script


def answer(body: bytes, *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_connection_is_kept_and_made_again_when_the_server_hung_up(server) -> None:
    heard: list[bytes] = []
    endpoint = server(saying(answer(b"1"), answer(b"2"), heard=heard), authorization="Bearer abc")
    with HttpClient(endpoint) as client:
        bodies = []
        for _ in range(3):
            bodies.append(client.ask("GET", "/a?b=c%2Fd", NOTHING).body)
            time.sleep(0.1)
    assert bodies == [b"1", b"2", b"1"]
    assert {asked.partition(b"\r\n")[0] for asked in heard} == {b"GET /base/a?b=c%2Fd HTTP/1.1"}
    assert all(b"\r\nAuthorization: Bearer abc\r\n" in asked for asked in heard)


def test_a_redirection_is_not_followed_and_no_cookie_is_kept(server) -> None:
    heard: list[bytes] = []
    moved = (
        b"HTTP/1.1 302 Found\r\nLocation: /base/a\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    )
    with HttpClient(server(saying(*[moved] * 9, heard=heard))) as client:
        assert [client.ask("GET", "/a", NOTHING).status for _ in range(2)] == [302, 302]
    assert len(heard) == 2
    assert not any(b"ookie" in asked for asked in heard)


def test_no_proxy_of_the_environment_is_asked(server, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with HttpClient(server(saying(answer(b"direct")))) as client:
        assert client.ask("GET", "/", NOTHING).body == b"direct"


def test_a_compressed_answer_is_not_unpacked(server) -> None:
    packed = gzip.compress(bytes(1 << 28))
    with HttpClient(server(saying(answer(packed, b"Content-Encoding: gzip")))) as client:
        tracemalloc.start()
        body = client.ask("GET", "/", NOTHING).body
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert body == packed
    assert peak < 8 << 20


SMALL = {
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", "small"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "longer"),
}


@pytest.mark.parametrize("what", SMALL)
def test_an_answer_of_very_small_parts_is_given_up_early(server, what) -> None:
    first, part, named = SMALL[what]

    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        for _ in range(1000):
            connection.sendall(part * 4096)

    began = time.thread_time()
    with HttpClient(server(script)) as client, pytest.raises(HttpError, match=named):
        client.ask("GET", "/", NOTHING)
    assert time.thread_time() - began < 3


def test_how_far_an_exchange_came_is_named(server) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        away = Endpoint("test", "127.0.0.1", trial.getsockname()[1], "", 1.0)
        with HttpClient(away) as client, pytest.raises(NotConnected) as caught:
            client.ask("GET", "/", NOTHING)
    assert isinstance(caught.value.reason, ConnectionRefusedError)
    tls = client_context("test", "ca", None)
    plain = server(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), tls=tls)
    with HttpClient(plain) as client, pytest.raises(NotEncrypted):
        client.ask("GET", "/", NOTHING)
    for nonsense in (b"", b"\x00" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"):
        with HttpClient(server(saying(nonsense))) as client, pytest.raises(HttpError) as caught:
            client.ask("GET", "/", NOTHING)
        assert not isinstance(caught.value, NotConnected)


def test_an_httpx_that_takes_no_limits_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("httpx.HTTPTransport", lambda **_: object())
    with pytest.raises(RuntimeError, match="cannot be given limits"):
        HttpClient(Endpoint("test", "127.0.0.1", 1))


def reading_then_leaving(*answers: bytes) -> Script:
    """Answer, read one more request, and hang up without a word."""

    def script(connection: socket.socket) -> None:
        for one in answers:
            connection.recv(65536)
            connection.sendall(one)
        connection.recv(65536)

    return script


def test_a_get_is_repeated_once_if_the_server_leaves_a_kept_connection(server) -> None:
    with HttpClient(server(reading_then_leaving(answer(b"1")))) as client:
        assert [client.ask("GET", "/a", NOTHING).body for _ in range(3)] == [b"1"] * 3


def test_nothing_is_repeated_on_a_new_connection_and_no_post_at_all(server) -> None:
    with HttpClient(server(reading_then_leaving())) as client, pytest.raises(HttpError):
        client.ask("GET", "/a", NOTHING)
    for _ in range(5):  # the client may learn that the connection ended before it sends
        with HttpClient(server(reading_then_leaving(answer(b"1")))) as client:
            assert client.ask("POST", "/a", NOTHING, b"x").body == b"1"
            try:
                client.ask("POST", "/a", NOTHING, b"x")
            except HttpError:
                break
    else:
        pytest.fail("each request was repeated")
