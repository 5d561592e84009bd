"""People in a database, and what several of them do at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from argon2 import PasswordHasher

from mammolens.serve.people import Refused, passwords
from mammolens.serve.record import Database

from ..house import House


@pytest.fixture
def house(database: Database, clock: Any, monkeypatch: pytest.MonkeyPatch) -> House:
    """People whose passwords cost little; what a real hash costs is the matter of one test."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    return House(database, clock)


@pytest.fixture
def at_once() -> Callable[..., list[str]]:
    """Give a function that calls others at the same moment, and lists "done" or why not."""

    def run(*calls: Callable[[], Any]) -> list[str]:
        barrier = Barrier(len(calls))

        def one(call: Callable[[], Any]) -> str:
            barrier.wait(30)
            try:
                call()
            except Refused as refused:
                return refused.why.value
            return "done"

        with ThreadPoolExecutor(len(calls)) as pool:
            return sorted(pool.map(one, calls))

    return run
