"""A new node.toml: every setting is in it, and all of it is taken as it stands."""

from __future__ import annotations

import re
import tomllib

import pytest

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.delivery import open_transport
from mammolens.serve.settings import NodeSettings, load_settings, write_template
from mammolens.serve.settings.loading import _keys
from mammolens.serve.settings.template import node_template


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "node.toml"
    write_template(path)
    return path


def uncommented(text: str) -> str:
    """Every setting and section put in force, with secrets that are long enough."""
    live = re.sub(r"^#(?=[\[a-z])", "", text, flags=re.MULTILINE)
    live = live.replace('NAME = ""', f'ehr = "{"k" * 40}"')
    secrets = r'^(key|secret|client_secret) = ""'
    return re.sub(secrets, f'\\1 = "{"k" * 40}"', live, flags=re.MULTILINE)


def test_as_it_is_written_it_changes_nothing(written):
    assert load_settings(written) == NodeSettings()


def test_every_setting_can_be_put_in_force_as_it_stands(written):
    written.write_text(uncommented(written.read_text("utf-8")), "utf-8")
    settings = load_settings(written)
    assert settings.intake.deidentify is not None
    assert settings.model.prevalence == 0.005
    (route,) = settings.routes
    with pytest.raises(ConfigError, match="certificate"):
        open_transport(route, settings)


def test_what_it_shows_is_the_default(written):
    """Put in force, each default gives the settings that are there without a file."""
    text = written.read_text("utf-8").partition("#[[routes]]")[0]
    text = re.sub(r"#\[oidc\].*?(?=\[retention\])", "", text, flags=re.DOTALL)
    text = re.sub(r"#\[alerts\.mail\].*?(?=\[people\])", "", text, flags=re.DOTALL)
    lines = text.splitlines()
    kept = [
        line
        for number, line in enumerate(lines)
        if not (line.startswith("#") and lines[number - 1].endswith("Example:"))
    ]
    live = uncommented("\n".join(kept).replace("#[intake.deidentify]\n", "#\n"))
    live = live.partition('\nkey = "kkkk')[0] + "\n[exams]" + live.partition("[exams]")[2]
    written.write_text(re.sub(r"^(secrets|tokens) = .*$", "", live, flags=re.MULTILINE), "utf-8")
    assert load_settings(written) == NodeSettings()


def test_no_setting_is_left_out(written):
    found, section = set(), ""
    for line in written.read_text("utf-8").splitlines():
        if header := re.match(r"#?\[+([a-z_.]+)\]+$", line):
            section = f"{header[1]}."
            found.add(header[1])
        elif key := re.match(r"#([a-z_]+) = ", line):
            found.add(f"{section}{key[1]}")
    assert found == {*_keys()}


def test_every_setting_is_explained():
    lines = node_template().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#[a-z_]+ = ", line):
            assert lines[number - 1].startswith("# "), line


def test_secrets_are_left_empty_and_their_variables_named():
    text = node_template()
    assert "MAMMOLENS_INTAKE__DEIDENTIFY__KEY" in text
    assert '#key = ""' in text
    assert tomllib.loads(text)["dimse"] == {}


def test_nothing_is_written_over(written):
    written.write_text('data = "mine"', "utf-8")
    with pytest.raises(ConfigError, match="not overwritten"):
        write_template(written)
    assert written.read_text("utf-8") == 'data = "mine"'


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"absent.*No such file"):
        write_template(tmp_path / "absent" / "node.toml")
