"""People in a database."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher

from mammolens.serve.people import passwords
from mammolens.serve.record import Database

from ..house import House


@pytest.fixture
def house(database: Database, clock: Any, monkeypatch: pytest.MonkeyPatch) -> House:
    """People whose passwords cost little; what a real hash costs is the matter of one test."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    return House(database, clock)
