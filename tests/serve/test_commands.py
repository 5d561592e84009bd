"""The parts of the node begin one after the other and end together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from mammolens.serve.commands import ended_together


@contextlib.contextmanager
def part(name: str, seen: list[str], ends_after_s: float = 0.0) -> Iterator[None]:
    seen.append(f"{name} begins")
    try:
        yield
    finally:
        time.sleep(ends_after_s)
        seen.append(f"{name} ends")


@contextlib.contextmanager
def broken() -> Iterator[None]:
    raise ValueError("no port")
    yield


def test_the_end_takes_as_long_as_the_slowest_part() -> None:
    seen: list[str] = []
    with ended_together(*(part(name, seen, 0.5) for name in "abc")):
        began = time.monotonic()
    assert time.monotonic() - began < 1.0
    assert seen[:3] == ["a begins", "b begins", "c begins"]
    assert sorted(seen[3:]) == ["a ends", "b ends", "c ends"]


def test_a_part_that_cannot_begin_ends_those_before_it() -> None:
    seen: list[str] = []
    with pytest.raises(ValueError, match="no port"), ended_together(part("a", seen), broken()):
        seen.append("never")
    assert seen == ["a begins", "a ends"]


def test_an_error_of_the_block_is_raised_once_all_have_ended() -> None:
    seen: list[str] = []
    with pytest.raises(KeyError), ended_together(part("a", seen), part("b", seen)):
        raise KeyError("x")
    assert sorted(seen[2:]) == ["a ends", "b ends"]
