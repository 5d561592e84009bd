"""Bodies of answers, made piece by piece: a study is never whole in memory.

What goes wrong after the first piece ends the answer before its last boundary, so that nobody takes
a part for the whole.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from mammolens.errors import NotAnImage
from mammolens.serve.dicomweb.finding import FoundObject
from mammolens.serve.dicomweb.json_model import Attributes, header_json
from mammolens.serve.dicomweb.media import ANY, DICOM, EXPLICIT, OCTETS, FrameWay
from mammolens.serve.dicomweb.stored_object import (
    PIECE_BYTES,
    OpenObject,
    frame_bytes,
    object_pieces,
    open_object,
    span,
)
from mammolens.serve.holdings import SOURCE, NodeState

__all__ = [
    "NoSuchValue",
    "Part",
    "bulk_parts",
    "frame_parts",
    "make_boundary",
    "metadata_pieces",
    "multipart_pieces",
    "object_parts",
    "primed",
]

Part = tuple[str, Iterable[bytes]]
"""The media type of a part, and its content in pieces."""
Address = Callable[[FoundObject], str]
"""Gives the address of an instance."""
LINE: Final = b"\r\n"
PRIMED_PIECES: Final = 6
"""Heads of part, file, data set and pixels, and the first frame."""


class NoSuchValue(Exception):
    """The object has no such frame or value."""


def make_boundary() -> str:
    """Make a boundary that no content has."""
    return secrets.token_hex(16)


def multipart_pieces(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """Give a multipart body (RFC 2046 section 5.1.1)."""
    mark = f"--{boundary}".encode()
    for media, pieces in parts:
        yield mark + LINE + f"Content-Type: {media}".encode() + LINE + LINE
        yield from pieces
        yield LINE
    yield mark + b"--" + LINE


def object_parts(state: NodeState, chosen: Sequence[tuple[FoundObject, str]]) -> Iterator[Part]:
    """Give objects, each in its transfer syntax."""
    for found, syntax in chosen:
        yield f"{DICOM}; transfer-syntax={syntax}", object_pieces(state, found, syntax)


def metadata_pieces(
    state: NodeState, found: Sequence[FoundObject], address: Address
) -> Iterator[bytes]:
    """Give a JSON array with all attributes of each object; large values stand as addresses."""
    yield b"["
    for number, one in enumerate(found):
        yield b"," * (number > 0)
        yield json.dumps(_metadata(state, one, address), allow_nan=False).encode()
    yield b"]"


def _metadata(state: NodeState, one: FoundObject, address: Address) -> Attributes:
    base = address(one)

    with open_object(state, one) as item:
        made = header_json(item.header, lambda tag: f"{base}/bulkdata/{tag:08X}")
    made["00081190"] = {"vr": "UR", "Value": [base]}
    return made


def frame_parts(item: OpenObject, numbers: Sequence[int], way: FrameWay) -> Iterator[Part]:
    """Give frames; the object stays open until all are read.

    Raises
    ------
    NoSuchValue
        A number is higher than that of the last frame.
    InputError
        A frame is damaged, or is not what the transfer syntax says.
    """
    frames = item.frames()
    if max(numbers) > frames.count:
        raise NoSuchValue
    media = f"{way.media}; transfer-syntax={way.syntax}"
    for number in numbers:
        if not way.is_stored:
            yield media, (frame_bytes(frames, number, way.syntax),)
            continue
        data = frames.stored(number)
        if not frames.is_as_declared(data):
            raise NotAnImage("the frame is not what the transfer syntax says", source=SOURCE)
        yield media, (data,)


def bulk_parts(item: OpenObject, tag: int, syntax: str | None) -> Iterator[Part]:
    """Give one large value: pixels uncompressed, or frame by frame as they are stored.

    Raises
    ------
    NoSuchValue
        The object has no such value that is given by its address.
    InputError
        The pixels cannot be given in this way.
    """
    header = item.header
    if header.pixels is not None and tag == header.pixels.tag == 0x7FE00010:
        frames = item.frames()
        stored = item.found.transfer_syntax_uid
        numbers = range(1, frames.count + 1)
        if not frames.is_native and syntax in (ANY, stored):
            for number in numbers:
                yield f"{OCTETS}; transfer-syntax={stored}", (frames.stored(number),)
            return
        pieces = (frame_bytes(frames, number, EXPLICIT) for number in numbers)
        yield f"{OCTETS}; transfer-syntax={EXPLICIT}", pieces
        return
    places = {**header.large, **({header.pixels.tag: header.pixels} if header.pixels else {})}
    place = places.get(tag)
    if place is None or place.length is None:
        raise NoSuchValue
    yield OCTETS, span(item.stream, place.start, place.length)


def primed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first pieces now, so that what cannot be begun is refused and not broken off.

    Heads of parts and of objects are short pieces, which a picture follows.

    Raises
    ------
    InputError, StorageError, NoSuchValue
        As making them does.
    """
    first: list[bytes] = []
    for piece in islice(pieces, PRIMED_PIECES):
        first.append(piece)
        if len(piece) >= PIECE_BYTES:
            break

    def all_of_them() -> Iterator[bytes]:
        while first:
            yield first.pop(0)
        yield from pieces

    return all_of_them()
