"""The analysis on the device in Chromium: its own page, the network cut, results as in Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEV = ROOT / "web" / "dev"


@pytest.mark.usefixtures("chromium")
def test_the_sample_exams_are_analysed_without_a_connection(tmp_path) -> None:
    if not (ROOT / "web" / "node_modules").is_dir():
        pytest.skip("the front end's packages are missing: make page")
    npm = [sys.executable, str(ROOT / "deploy" / "npm.py"), "run", "build:device"]
    subprocess.run(npm, cwd=ROOT, check=True)
    made = [sys.executable, str(DEV / "golden_device.py"), str(tmp_path), "films"]
    subprocess.run(made, check=True)
    checked = [sys.executable, str(DEV / "check_device.py"), str(tmp_path)]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no request after loading" in done.stdout
