"""How often a sign-in may be tried: by account, and by address.

The counts lie in memory and are bounded, so that a flood fills neither the database nor the memory;
a process that starts again begins with none. A name counts whether an account has it or not, so
that the answer tells nothing about that. Whoever signs in gets the attempt back: a hospital behind
one address is slowed down by wrong passwords alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mammolens.serve.people.refusals import Refusal, Refused

__all__ = ["Attempts", "of_code", "of_provider", "of_share", "of_sign_in"]

MOST_KEYS: Final = 50_000
"""Names and addresses that are remembered, about 10 MB; the one that was silent longest goes."""
IPV6_NETWORK: Final = 64
"""One line of a provider has a network of this many bits, and all of its addresses."""


@dataclass(frozen=True)
class Limit:
    """So many attempts in so many seconds; they come back one by one."""

    most: int
    window_s: float


Limits = dict[bytes, Limit]
"""The limits that count for an attempt, by what is counted."""
PER_ACCOUNT_AND_ADDRESS: Final = Limit(10, 900.0)
PER_ACCOUNT: Final = Limit(100, 900.0)
"""From all addresses together: less would let a stranger lock a reader out from afar, and 9,600
guesses a day do not find a password of 12 characters."""
PER_ADDRESS: Final = Limit(100, 300.0)
PER_CODE: Final = Limit(10, 900.0)
"""Codes of one account: of a million, three are right at a time. Who has the password already finds
one with a chance of 0.3 % a day."""


@dataclass
class Attempts:
    """The attempts of this process; safe for threads."""

    clock: Callable[[], float] = time.monotonic
    most_keys: int = MOST_KEYS
    _spent: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, limits: Limits) -> None:
        """Count an attempt.

        Raises
        ------
        Refused
            There were too many; this one is not looked at.
        """
        with self._lock:
            now = self.clock()
            for key, limit in limits.items():
                left = self._level(key, limit, now) + 1 - limit.most
                if left > 0:
                    wait_s = left * limit.window_s / limit.most
                    raise Refused(Refusal.TOO_MANY, max(1, round(wait_s + 0.5)))
            for key, limit in limits.items():
                self._spent[key] = (self._level(key, limit, now) + 1, now)
                self._spent.move_to_end(key)
            while len(self._spent) > self.most_keys:
                self._spent.popitem(last=False)

    def give_back(self, limits: Limits) -> None:
        """Take back the attempt of somebody who had what was asked for."""
        with self._lock:
            now = self.clock()
            for key, limit in limits.items():
                level = self._level(key, limit, now) - 1
                if level > 0:
                    self._spent[key] = (level, now)
                else:
                    self._spent.pop(key, None)

    def _level(self, key: bytes, limit: Limit, now: float) -> float:
        level, since = self._spent.get(key, (0.0, now))
        return max(0.0, level - (now - since) * limit.most / limit.window_s)


def address_key(address: str) -> str:
    """Give what an address is counted as: itself, or its network.

    Examples
    --------
    >>> address_key("10.1.2.3"), address_key("2001:db8::1"), address_key("::ffff:10.1.2.3")
    ('10.1.2.3', '2001:db8::/64', '10.1.2.3')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed, IPV6_NETWORK), strict=False))
    return str(found)


def of_sign_in(name: str, address: str) -> Limits:
    """Limit attempts to sign in."""
    place = address_key(address)
    return {
        _key("address", place): PER_ADDRESS,
        _key("both", name, place): PER_ACCOUNT_AND_ADDRESS,
        _key("account", name): PER_ACCOUNT,
    }


def of_provider(address: str) -> Limits:
    """Limit how often somebody comes back from the OpenID Connect provider."""
    return {_key("provider", address_key(address)): PER_ADDRESS}


def of_share(address: str) -> Limits:
    """Limit attempts to open a link to a report, also good ones: its pictures cost time."""
    return {_key("share", address_key(address)): PER_ADDRESS}


def of_code(person_id: int) -> Limits:
    """Limit codes that are tried."""
    return {_key("code", str(person_id)): PER_CODE}


def _key(*parts: str) -> bytes:
    """Give a short key, however long the name that was sent is."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
