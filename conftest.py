"""What holds for every test process: bytecode, threads, and which modules have doctests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

sys.dont_write_bytecode = False  # to compile everything again takes longer than most tests
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the commands that tests start read it
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(name, "1")  # on small arrays, threads mostly wait for each other


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Iterator[list[pytest.Collector]]:
    """Do not import a module only to learn that its docstrings have no example."""
    collectors = yield
    if b">>>" in file_path.read_bytes():
        return collectors
    return [found for found in collectors if not isinstance(found, DoctestModule)]
