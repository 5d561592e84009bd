"""A missing peer is a named skip on a user's machine, and a failure in the whole check."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LACKING = """
import pytest

@pytest.mark.pacs
def test_lacking():
    pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc)")

def test_other():
    pytest.skip("something else")
"""


def test_a_missing_peer_fails_where_everything_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    for needed in ("conftest.py", "slow.txt"):
        shutil.copy(ROOT / "tests" / needed, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = pacs: x\n")
    (tmp_path / "test_lacking.py").write_text(LACKING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 failed, 1 skipped" in done.stdout
    assert "Orthanc is not installed" in done.stdout
