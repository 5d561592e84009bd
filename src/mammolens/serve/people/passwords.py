"""Passwords: hashed with Argon2id, so many at a time, and never too plain.

A hash costs 19 MiB and some 30 ms of processor (OWASP's second choice of parameters), so a flood of
sign-ins could take all of both: two are made at a time, and only a few may wait.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mammolens.serve.people.refusals import Refusal, Refused

__all__ = ["LEAST_CHARS", "check_password", "hash_password", "is_password", "one_time_password"]

LEAST_CHARS: Final = 12
MOST_CHARS: Final = 256
LEAST_DIFFERENT: Final = 6
LEAST_NAME: Final = 4
"""A shorter name is part of many words by chance."""
AT_A_TIME: Final = 2
MOST_WAITING: Final = 16
AGAIN_S: Final = 2
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Signs of one-time passwords; none looks like another one in print."""
GROUPS: Final = 4
IN_A_GROUP: Final = 5

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$QUFBQUFBQUFBQUFBQUFBQQ$"
    "qxGbRKJ8IjTnkWqJAO64sEyVVlpEl3UsAXsO5QhSShA"
)
"""A hash that no password has. Where there is no account this is compared, which takes as long."""
_turns = threading.Semaphore(AT_A_TIME)
_places = threading.Semaphore(AT_A_TIME + MOST_WAITING)


def hash_password(password: str) -> str:
    """Hash a password with a salt of its own.

    Raises
    ------
    Refused
        Too many are hashed at this moment.
    """
    with _turn():
        return _hasher.hash(_normal(password))


def is_password(known: str | None, password: str) -> bool:
    """Compare a password with its hash; ``None`` takes as long, and is never right.

    Raises
    ------
    Refused
        Too many are compared at this moment.
    """
    with _turn():
        try:
            return _hasher.verify(known or _NOBODY, _normal(password)) and known is not None
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str, name: str) -> None:
    """Make sure that a new password of an account is not too plain.

    Raises
    ------
    Refused

    Examples
    --------
    >>> check_password("a calm grey morning", "alice")
    >>> check_password("password1234", "alice")
    Traceback (most recent call last):
    mammolens.serve.people.refusals.Refused: weak_password
    """
    plain = _normal(password).casefold()
    common = any(word in plain for word in ("password", "passwort", "12345678", "qwerty"))
    if (
        not LEAST_CHARS <= len(plain) <= MOST_CHARS
        or len({*plain}) < LEAST_DIFFERENT
        or (len(name) >= LEAST_NAME and name.casefold() in plain)
        or (common and len(plain) < 2 * LEAST_CHARS)
    ):
        raise Refused(Refusal.WEAK_PASSWORD)


def one_time_password() -> str:
    """Make a password of 99 random bits that can be read out over the telephone.

    Examples
    --------
    >>> len(one_time_password())
    23
    """
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(IN_A_GROUP)) for _ in range(GROUPS))
    return "-".join(groups)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for a turn, unless too many wait already."""
    if not _places.acquire(blocking=False):
        raise Refused(Refusal.BUSY, AGAIN_S)
    try:
        with _turns:
            yield
    finally:
        _places.release()


def _normal(password: str) -> str:
    """Give the same text for the same characters, whichever keyboard they came from."""
    return unicodedata.normalize("NFKC", password)
