"""The examples of docs/how-to/use-the-api.md run as they are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "use-the-api.md"


@pytest.fixture
def place(service, tmp_path, mammogram, monkeypatch) -> Path:
    """A folder with an exam, and the environment that the page speaks of."""
    service.mode("concurrent")
    with zipfile.ZipFile(tmp_path / "exam.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.dcm", mammogram(number, AccessionNumber="A7"))
    monkeypatch.setenv("MAMMOLENS_ADDRESS", service.address)
    monkeypatch.setenv("MAMMOLENS_TOKEN", service.token)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_python(place, capsys):
    assert place
    names: dict[str, Any] = {}
    first, second, dicomweb = blocks("python")
    for block in (first, second):
        exec(compile(block, PAGE.name, "exec"), names)
    said = capsys.readouterr().out
    assert "0.dcm input" in said
    assert re.search(r"^1 (high|intermediate|low|withheld) ", said, re.MULTILINE)
    assert "P1" in said
    pytest.importorskip("dicomweb_client.api")
    exec(compile(dicomweb, PAGE.name, "exec"), names)
    assert capsys.readouterr().out.count("(96, 80)") >= 4


def test_curl(place):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    said = ""
    for block in blocks("bash"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert '"name":"exam.zip"' in said.replace(" ", "")
