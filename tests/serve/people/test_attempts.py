"""How often may be tried: limits that come back, bounded memory, and a queue that is never long."""

from __future__ import annotations

import contextlib
import threading

import pytest

from mammolens.serve.people import Refusal, Refused, passwords
from mammolens.serve.people.attempts import Attempts, of_code, of_sign_in


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tick() -> Clock:
    return Clock()


def tries(attempts: Attempts, count: int, name: str = "alice", address: str = "10.0.0.1") -> int:
    """Try so often; gives how many were looked at."""
    done = 0
    for _ in range(count):
        with contextlib.suppress(Refused):
            attempts.spend(of_sign_in(name, address))
            done += 1
    return done


def test_attempts_come_back_one_by_one(tick):
    attempts = Attempts(tick)
    assert tries(attempts, 50) == 10
    tick.now += 90
    assert tries(attempts, 50) == 1
    tick.now += 10_000
    assert tries(attempts, 50) == 10


def test_the_time_that_is_told_is_enough(tick):
    attempts = Attempts(tick)
    tries(attempts, 10)
    with pytest.raises(Refused) as caught:
        attempts.spend(of_sign_in("alice", "10.0.0.1"))
    assert caught.value.why is Refusal.TOO_MANY
    tick.now += caught.value.retry_after_s
    assert tries(attempts, 2) == 1


def test_a_stranger_locks_nobody_out_from_one_address(tick):
    attempts = Attempts(tick)
    assert tries(attempts, 1000, address="192.0.2.1") == 10
    assert tries(attempts, 1, address="10.0.0.1") == 1


def test_many_addresses_together_try_one_account_so_often(tick):
    attempts = Attempts(tick)
    looked_at = sum(tries(attempts, 5, address=f"10.0.{n}.1") for n in range(100))
    assert looked_at == 100


def test_one_address_tries_many_accounts_so_often(tick):
    attempts = Attempts(tick)
    assert sum(tries(attempts, 1, name=f"n{n}") for n in range(300)) == 100
    assert sum(tries(attempts, 1, f"n{n}", f"2001:db8::{n:x}") for n in range(300)) == 100
    assert tries(attempts, 1, address="2001:db8:0:1::1") == 1


def test_who_signs_in_gets_the_attempt_back(tick):
    attempts = Attempts(tick)
    for number in range(500):
        attempts.spend(of_sign_in(f"n{number % 50}", "10.0.0.1"))
        attempts.give_back(of_sign_in(f"n{number % 50}", "10.0.0.1"))
    assert not attempts._spent


def test_names_of_a_flood_are_bounded(tick):
    attempts = Attempts(tick, most_keys=100)
    for number in range(1000):
        tries(attempts, 1, name="x" * 5000 + str(number), address=f"10.0.{number % 250}.1")
    assert len(attempts._spent) <= 100
    assert all(len(key) == 16 for key in attempts._spent)


def test_codes_have_their_own_limit(tick):
    attempts = Attempts(tick)
    for _ in range(10):
        attempts.spend(of_code(1))
    with pytest.raises(Refused):
        attempts.spend(of_code(1))
    attempts.give_back(of_code(1))
    attempts.spend(of_code(1))
    attempts.spend(of_code(2))


def test_few_hash_at_a_time_and_few_wait(monkeypatch):
    inside, most, go = [], [], threading.Event()

    class Slow:
        def hash(self, _password: str) -> str:
            inside.append(1)
            most.append(len(inside))
            go.wait(30)
            inside.pop()
            return "hash"

    monkeypatch.setattr(passwords, "_hasher", Slow())
    outcomes = []

    def run() -> None:
        try:
            outcomes.append(passwords.hash_password("x"))
        except Refused as refused:
            outcomes.append((refused.why, refused.retry_after_s))

    places = passwords.AT_A_TIME + passwords.MOST_WAITING
    threads = [threading.Thread(target=run) for _ in range(places + 5)]
    for thread in threads:
        thread.start()
    while outcomes.count((Refusal.BUSY, 2)) < 5:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert max(most) == passwords.AT_A_TIME
    assert outcomes.count("hash") == places
    assert passwords.hash_password("again") == "hash"
