"""The beginning of every page: what a browser may load and run."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from mammolens._pages import page_start, templates


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


def test_a_template_escapes_text_and_replaces_control_characters():
    page = templates("mammolens.sinks").from_string(
        '<p title="{{ name }}">{{ name }}</p>{{ made }}'
    )
    hostile = "<script>\"'\u202e\x07"
    shown = "&lt;script&gt;&#34;&#39;\ufffd\ufffd"
    made = page.render(name=hostile, made=Markup("<b>x</b>"))
    assert made == f'<p title="{shown}">{shown}</p><b>x</b>'


def test_a_missing_variable_of_a_template_is_an_error():
    with pytest.raises(UndefinedError, match="missing"):
        templates("mammolens.sinks").from_string("{{ missing }}").render()
