"""People in a database."""

from __future__ import annotations

from typing import Any

import pytest

from mammolens.serve.record import Database

from ..house import House


@pytest.fixture
def house(database: Database, clock: Any) -> House:
    return House(database, clock)
