"""The tables of the page are what this version of mammolens would write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"


def test_the_tables_are_current() -> None:
    """Words, codes and every sentence that the page must say in four languages."""
    if not WEB.is_dir():
        pytest.skip("the front end is not part of this package")
    program = [sys.executable, str(WEB / "dev" / "device_tables.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_code_of_the_source_is_in_the_list() -> None:
    """The reader of the source finds codes of every kind: named, composed, and made elsewhere."""
    listed = json.loads((WEB / "tests" / "golden" / "reasons.json").read_text("utf-8"))
    codes = listed["cautions"]
    for code in ("low_withheld", "film_photograph", "quality_exposure", "view_from_name"):
        assert codes[code], code
    assert "BadPhotograph" in listed["refusals"]
