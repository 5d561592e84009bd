"""The beginning of every page: what a browser may load and run."""

from __future__ import annotations

import base64
import hashlib
import re

from mammolens._pages import page_start


def policy(page: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    return found.group(1)


def test_a_page_without_script_runs_none_and_loads_nothing_from_elsewhere():
    said = policy(page_start("<b>Doe</b>", "p{}"))
    assert "default-src 'none'" in said
    assert "script-src 'none'" in said
    assert "http:" not in said
    assert "https:" not in said


def test_a_page_runs_its_own_script_and_no_other():
    script = "let x = 1 < 2;"
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{hashed}';" in policy(page_start("a", "", script))


def test_a_title_is_escaped():
    page = page_start("<script>x</script>\x1b", "")
    assert "<title>&lt;script&gt;x&lt;/script&gt;\ufffd</title>" in page
