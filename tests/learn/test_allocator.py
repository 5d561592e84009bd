"""Memory that is kept: asked of the real C library, in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from mammolens.learn.predict import keep_freed_memory
if {kept}:
    assert keep_freed_memory()
def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        block = np.empty(64_000_000, np.uint8)
        block[::4096] = 1
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(2)
print(faults(20))
"""


def has_mallopt() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "mallopt")
    except (OSError, TypeError):
        return False


@pytest.mark.skipif(not has_mallopt(), reason="the C library has no mallopt")
def test_a_block_that_was_given_back_costs_no_page_faults_again() -> None:
    pytest.importorskip("torch", reason="needs the extra mammolens[train]")

    def count(kept: bool) -> int:
        command = [sys.executable, "-c", SCRIPT.format(kept=kept)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        return int(done.stdout)

    assert count(kept=True) < 100
    assert count(kept=False) > 300


def test_another_c_library_is_left_alone(monkeypatch) -> None:
    pytest.importorskip("torch", reason="needs the extra mammolens[train]")
    from mammolens.learn import predict

    monkeypatch.setattr(predict.ctypes, "CDLL", lambda _: object())
    assert predict.keep_freed_memory() is False
