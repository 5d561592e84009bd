"""Places in lists, sealed: what a page gives to get the next one, and nobody else can read or make.

A place in the worklist holds the rank of an exam, which may be hidden from the very person. So it
is encrypted with a key that follows from the secret of their session or token: no other key has to
be kept, and any process can open it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mammolens.serve.people import Refusal, Refused

__all__ = ["LONGEST_CURSOR", "open_cursor", "seal_cursor"]

NONCE_BYTES: Final = 12
LONGEST_CURSOR: Final = 1024


def seal_cursor(secret: str, place: bytes, about: str) -> str:
    """Write a place in the list that `about` names.

    Examples
    --------
    >>> open_cursor("s", seal_cursor("s", b"3", "exams"), "exams")
    b'3'
    """
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_key(secret)).encrypt(nonce, place, about.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")


def open_cursor(secret: str, cursor: str, about: str) -> bytes:
    """Read a place.

    Raises
    ------
    Refused
        It was made for another session or list, or changed: the list begins again.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return AESGCM(_key(secret)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError) as error:
        raise Refused(Refusal.CURSOR) from error


def _key(secret: str) -> bytes:
    return hashlib.sha256(b"cursor\0" + secret.encode("utf-8", "surrogatepass")).digest()
