"""Multipart bodies: cut anywhere, they come to the same as one that is read at once."""

from __future__ import annotations

import itertools
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammolens.errors import NotAnImage
from mammolens.serve.dicomweb import parse_media_type
from mammolens.serve.web._multipart import Multipart

BOUNDARY = "b0"


class Collected:
    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, str], bytearray, list[bool]]] = []

    def begin(self, headers: dict[str, str]):
        content, ended = bytearray(), []
        self.parts.append((headers, content, ended))
        return content.extend, lambda: ended.append(True)


def read(body: bytes, cuts: list[int], boundary: str = BOUNDARY) -> list[bytes]:
    collected = Collected()
    multipart = Multipart(boundary, collected.begin)
    ends = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(ends):
        multipart.feed(body[start:end])
    multipart.close()
    assert all(ended == [True] for _, _, ended in collected.parts)
    return [bytes(content) for _, content, _ in collected.parts]


NASTY = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"--", b"--b0", b"\r\n--b", b"b0", b"\0", b"x"]),
    max_size=12,
).map(b"".join)
CLEAN = NASTY.filter(lambda part: b"\r\n--b0" not in b"\r\n" + part + b"\r\n")


@given(st.lists(CLEAN, min_size=1, max_size=4), st.lists(st.integers(0, 500), max_size=20))
@settings(max_examples=200)
def test_parts_come_out_as_they_went_in(parts, cuts):
    head = b"--b0 \t\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"preamble\r\n" + b"\r\n".join(head + part for part in parts) + b"\r\n--b0--\r\nrest"
    assert read(body, cuts) == parts


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=200)
def test_anything_else_is_refused_or_read_alike(body, cuts):
    outcomes = []
    for where in ([], cuts):
        try:
            outcomes.append(read(body, where))
        except NotAnImage:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


def test_the_standard_library_reads_the_same():
    parts = [b"one", b"", b"two\r\n--b", b"\r\nthree"]
    head = b"--b0\r\nContent-Type: application/octet-stream\r\n\r\n"
    body = b"\r\n".join(head + part for part in parts) + b"\r\n--b0--"
    message = message_from_bytes(b"Content-Type: multipart/related; boundary=b0\r\n\r\n" + body)
    assert read(body, [7, 50]) == [part.get_payload(decode=True) for part in message.get_payload()]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0",
        b"--b0\r\n\r\nopen",
        b"--b0x\r\n\r\n\r\n--b0--",
        b"--b0\r\nno header\r\n\r\n\r\n--b0--",
        b"--b0\r\nA: " + b"x" * 9000,
        b"--b0" + b" " * 2000,
    ],
)
def test_bodies_that_are_none(body):
    with pytest.raises(NotAnImage):
        read(body, list(range(0, 100, 3)))


def test_a_part_may_have_no_content_and_no_headers():
    assert read(b"--b0\r\n\r\n\r\n--b0\r\nA: b\r\n\r\n--b0--", []) == [b"", b""]


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a\r\nb", "ends ", "ä"])
def test_boundaries_that_are_none(boundary):
    with pytest.raises(NotAnImage):
        Multipart(boundary, Collected().begin)


@pytest.mark.parametrize("text", ["", "text", "a/b/c", "a b/c", ";", "text/\n"])
def test_media_types_that_are_none(text):
    assert parse_media_type(text) is None
