"""The built wheel installs into a clean environment and reads the sample exams there."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_models_licences_and_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for ending in ("/LICENSE", "/NOTICE", "/py.typed", "/card.json", "/CARD.md", "/model.onnx"):
        assert any(member.endswith(ending) for member in names), ending
    assert not [member for member in names if member.endswith((".dcm", ".pt", ".ckpt"))]


def test_the_wheel_stays_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 30e6


def test_the_wheel_reads_the_sample_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    run(binaries / "python", "-m", "pip", "install", "--quiet", f"{wheel}[sample]", cwd=tmp_path)
    installed = run(binaries / "python", "-m", "pip", "list", cwd=tmp_path).stdout
    assert "torch" not in installed
    run(binaries / "mammolens", "analyze", "--sample", "--out", tmp_path / "out", cwd=tmp_path)
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert len(results["exams"]) == 2
    assert results["unreadable"] == []
    for exam in results["exams"]:
        assert exam["category"] in {"high", "intermediate", "low"}
        assert len(exam["images"]) == 4
        assert 0 < exam["malignancy"] < 1
    assert (tmp_path / "out" / "report.html").is_file()
    run(binaries / "mammolens", "doctor", cwd=tmp_path)
