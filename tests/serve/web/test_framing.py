"""Heads and chunks: what is refused, in linear time, and that h11 agrees on what is not."""

from __future__ import annotations

import time

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens.serve.dicomweb import parse_media_type
from mammolens.serve.web._framing import (
    FREE_CHUNKS,
    BadFraming,
    ChunkScanner,
    check_head,
    check_partial_head,
)

GET = b"GET / HTTP/1.1\r\nHost: node\r\n"


def refused(head: bytes) -> int:
    with pytest.raises(BadFraming) as found:
        check_head(head)
    return found.value.status


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET http://node/ HTTP/1.1\r\nHost: node\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: node\r\n\r\n", 400),
        (b"CONNECT node:443 HTTP/1.1\r\nHost: node\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\nHost: node\r\n\r\n", 405),
        (b"get / HTTP/1.1\r\nHost: node\r\n\r\n", 405),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: node\r\n\r\n", 414),
        (GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (GET + b"X: a\r\n" * 200 + b"\r\n", 431),
        (GET + b"X: a\0b\r\n\r\n", 400),
        (GET + b"X: a\rb\r\n\r\n", 400),
        (GET + b"X: a\nb\r\n\r\n", 400),
        (GET + b"X: a\r\n folded\r\n\r\n", 400),
        (GET + b": a\r\n\r\n", 400),
        (GET + b"no header\r\n\r\n", 400),
        (GET + b"X:" + b" " * 100 + b"\r\n\r\n", 400),
        (GET + b"Host: other\r\n\r\n", 400),
        (GET + b"Authorization: a\r\nauthorization: b\r\n\r\n", 400),
        (GET + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (GET + b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"Content-Length: 1, 1\r\n\r\n", 400),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (GET + b"Expect: a-miracle\r\n\r\n", 417),
    ],
)
def test_heads_that_are_refused(head, status):
    assert refused(head) == status


def test_heads_that_are_taken():
    check_head(GET + b"\r\n")
    check_head(GET + b"Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n")
    check_head(b"GET / HTTP/1.0\r\n\r\n")
    check_head(GET + b"Authorization: Bearer " + b"t" * 12_000 + b"\r\n\r\n")


def test_a_head_is_refused_before_it_ends():
    for begun in (GET + b"X: " + b"a" * 20_000, b"GET /" + b"a" * 5000, b"\x16\x03\x01", b"G\n"):
        with pytest.raises(BadFraming):
            check_partial_head(begun)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b":", b"Host", b"Content-Length", b"5"]
            ),
            st.binary(max_size=5),
        ),
        max_size=20,
    ).map(b"".join)
)
@settings(max_examples=300)
def test_a_head_that_is_taken_is_one_for_h11(middle):
    head = GET + middle.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    try:
        check_head(head[: head.index(b"\r\n\r\n") + 4])
    except BadFraming:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return
    assert isinstance(event, h11.Request)
    assert event.target == b"/"


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.integers(1, 30), st.binary())
@settings(max_examples=200)
def test_the_end_of_chunks_is_where_h11_finds_it(parts, step, rest):
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    scanner, connection = ChunkScanner(), h11.Connection(h11.SERVER)
    connection.receive_data(GET + b"Transfer-Encoding: chunked\r\n\r\n")
    connection.next_event()
    sent, taken, content = body + rest, 0, b""
    while not scanner.done:
        piece = sent[taken : taken + step]
        end = scanner.scan(piece)
        connection.receive_data(piece[:end])
        taken += end
    while (event := connection.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.EndOfMessage):
            break
        content += bytes(event.data)
    assert (taken, content) == (len(body), b"".join(parts))
    assert connection.their_state is h11.DONE


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b" " * 60_000 + b"\nX\r\n",
        b"1" + b" " * 300,
        b"1 ;a\r\nx\r\n0\r\n\r\n",
        b"1\nx\n",
        b"-1\r\n",
        b"f" * 16 + b"\r\n",
        b"\r\n",
        b"0\r\nTrailer: a\r\n\r\n",
        b"1\r\nx\r\n" * (FREE_CHUNKS + 100),
    ],
)
def test_chunks_that_are_refused(body):
    with pytest.raises(BadFraming):
        ChunkScanner().scan(body)


def test_a_long_header_costs_little():
    """Each of these took seconds to minutes, in the event loop, and nobody was answered then."""
    hard = [
        'a/b; x="' + ";" * 200_000,
        "a/b" + ';"' * 100_000,
        "a/b" + "; " * 100_000,
        "a/b;" + " " * 200_000,
    ]
    began = time.monotonic()
    assert parse_media_type('a/b; x="' + "\\" * 1000) is None
    for text in hard:
        assert parse_media_type(text) is None
        for start in (b"X: " + text.encode(), b"X:" + b" " * 200_000 + b"\0"):
            with pytest.raises(BadFraming):
                check_head(GET + start + b"\r\n\r\n")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("a/b;x=1", {"x": "1"}),
        ('a/b ; x="1;\\"2" ;Y=a/b;', {"x": '1;"2', "y": "a/b"}),
        ("a/b; boundary==_x_=", {"boundary": "=_x_="}),
        ('a/b; x=""', {"x": ""}),
    ],
)
def test_parameters(text, parameters):
    media = parse_media_type(text)
    assert media is not None
    assert (media.name, media.parameters) == ("a/b", parameters)


@pytest.mark.parametrize("text", ["a/b; x=1; X=2", "a/b; x", 'a/b; x="1', "a/b; x=1 2", "a/b x=1"])
def test_parameters_that_are_none(text):
    assert parse_media_type(text) is None
