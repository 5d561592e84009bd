"""Checks of A-ASSOCIATE-RQ and A-ASSOCIATE-AC before they are decoded.

pynetdicom decodes a PDU item by item, compares every transfer syntax with all earlier ones, and
notices missing items only during the negotiation. Therefore the bytes are checked first, by PS3.8
9.3.2 and 9.3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["LONGEST_ASSOCIATE", "check_associate"]

LONGEST_ASSOCIATE: Final = 1 << 17
"""Most bytes of a request or an acceptance: 128 contexts with 35 transfer syntaxes each."""
MOST_CONTEXTS: Final = 128
"""Identifiers of contexts are the odd numbers of a byte (PS3.8 9.3.2.2)."""
MOST_SYNTAXES: Final = 64
"""Transfer syntaxes of one context: the standard has about 60."""
LONGEST_UID: Final = 64
"""pydicom would quote a longer UID in a warning (PS3.5 9.1)."""
MOST_USER_ITEMS: Final = 1024
"""Items of the user information: a role or an extension for each context, and a few others."""

REQUEST: Final = 0x01
FIXED_BYTES: Final = 74
CONTEXT_OF_REQUEST: Final = 0x20
CONTEXT_OF_ACCEPTANCE: Final = 0x21
ABSTRACT: Final = 0x30
TRANSFER: Final = 0x40
APPLICATION: Final = 0x10
USER: Final = 0x50
HEAD: Final = struct.Struct(">BxH")


def check_associate(pdu: bytes | bytearray) -> None:
    """Check the structure of an A-ASSOCIATE-RQ or A-ASSOCIATE-AC.

    Raises
    ------
    ValueError
        An item is missing, repeated or too long, or there are too many of a kind.
    """
    asks = pdu[0] == REQUEST
    items = list(_items(memoryview(pdu)[FIXED_BYTES:], MOST_CONTEXTS + 2))
    kinds = [kind for kind, _ in items]
    if kinds.count(APPLICATION) > 1 or kinds.count(USER) != 1:
        raise ValueError("the request does not have exactly one application and one user item")
    contexts = [
        value for kind, value in items if kind in (CONTEXT_OF_REQUEST, CONTEXT_OF_ACCEPTANCE)
    ]
    if not contexts or len(contexts) > MOST_CONTEXTS:
        raise ValueError("the request has no context or too many")
    numbers = set()
    for context in contexts:
        if len(context) < 4 or context[0] % 2 == 0 or context[0] in numbers:
            raise ValueError("a context has no identifier of its own")
        numbers.add(context[0])
        if asks:
            _check_context(context)
    for kind, value in items:
        if kind == USER:
            list(_items(value, MOST_USER_ITEMS))


def _check_context(context: memoryview) -> None:
    items = list(_items(context[4:], MOST_SYNTAXES + 1))
    uids = [bytes(value).strip(b"\0 ") for _, value in items]
    kinds = [kind for kind, _ in items]
    if kinds.count(ABSTRACT) != 1 or TRANSFER not in kinds:
        raise ValueError("a context has no abstract syntax or no transfer syntax")
    if not all(0 < len(uid) <= LONGEST_UID for uid in uids):
        raise ValueError("a context has an identifier that is not valid")


def _items(content: memoryview, most: int) -> Iterator[tuple[int, memoryview]]:
    at = count = 0
    while at < len(content):
        if len(content) - at < HEAD.size:
            raise ValueError("an item has no head")
        kind, length = HEAD.unpack_from(content, at)
        end, count = at + HEAD.size + length, count + 1
        if end > len(content) or count > most:
            raise ValueError("an item is longer than its place, or there are too many")
        yield kind, content[at + HEAD.size : end]
        at = end
