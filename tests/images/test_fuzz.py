"""Mutated files: an `InputError` or a picture, never another exception, a hang, or noise.

Seeded, so that a failure can be replayed: the message names seed and kind of mutation. In a child
process, so that a decoder that crashed would fail a test and not end the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MUTANTS_PER_KIND = 160
CHILD = Path(__file__).parent / "fuzz_child.py"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", CHILD, str(MUTANTS_PER_KIND)],
        cwd=tmp_path_factory.mktemp("fuzz"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_at_least_two_thousand_dicoms_were_mutated(report) -> None:
    assert report["dicoms"] >= 2_000
    assert report["pictures"] >= 600


def test_only_input_errors_were_raised(report) -> None:
    assert report["strange"] == []


def test_both_outcomes_occurred(report) -> None:
    assert report["refused"] > 500
    assert report["read"] > 100


def test_nothing_hung(report) -> None:
    assert report["slowest_s"] < 10


def test_memory_stayed_small(report) -> None:
    assert report["peak_growth_mib"] < 400
