"""The build hook carries the built front end into sdist and wheel, and says when there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE", ".gitignore")

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path) -> Path:
    """The project with a package of one file, so that it builds at once."""
    folder = tmp_path / "project"
    package = folder / "src" / "mammolens"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Nothing."""\n')
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(project: Path, *options: str) -> tuple[str, Path]:
    out = project.parent / "dist"
    command = [sys.executable, "-m", "build", "--outdir", str(out), *options, str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, out


def test_the_page_is_in_sdist_and_wheel(project) -> None:
    assets = project / "web" / "dist" / "assets"
    assets.mkdir(parents=True)
    (project / "web" / "dist" / "index.html").write_text("<!doctype html>")
    (assets / "app-1.js").write_text("")
    said, out = build(project)  # the sdist first, and the wheel of what is in it
    assert "is not built" not in said
    (archive,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    carried = ["mammolens/page/assets/app-1.js", "mammolens/page/index.html"]
    with tarfile.open(archive) as packed:
        names = [name.partition("/")[2] for name in packed.getnames()]
    assert sorted(name for name in names if "page" in name) == [f"src/{name}" for name in carried]
    assert not [name for name in names if name.startswith("web/dist")]
    inside = zipfile.ZipFile(wheel).namelist()
    assert sorted(name for name in inside if "page" in name) == carried


def test_without_it_a_wheel_is_built_and_says_so(project) -> None:
    said, out = build(project, "--wheel")
    assert "the front end is not built, so this wheel has no page" in said
    assert "make page" in said
    (wheel,) = out.glob("*.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "page" in name]
