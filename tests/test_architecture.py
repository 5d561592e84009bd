"""What the architecture promises, checked: layers, light imports, sorted names, short files."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mammolens"
MODULES = sorted(SOURCE.rglob("*.py"))
HEAVY = (
    *("torch", "torchvision", "timm", "captum", "pandas", "sklearn", "scipy"),
    *("matplotlib", "jinja2", "typst"),
)
LIGHT_ROOMS = ("mammolens", "mammolens.analysis", "mammolens.cli", "mammolens.sinks")
MAX_LINES = 350


def test_import_contracts_hold() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [script, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_importing_stays_light(room: str) -> None:
    code = f"import sys, {room}; print(*sorted({{n.partition('.')[0] for n in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(HEAVY) & set(done.stdout.split()) == set()
    assert done.stderr == ""


def test_the_command_line_starts_without_the_engine() -> None:
    code = "import sys, mammolens.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "cv2", "onnxruntime", "pydicom", "pydantic"} & set(
        done.stdout.split()
    ) == set()


def test_every_module_can_be_imported() -> None:
    for path in MODULES:
        if path.name != "__main__.py":
            parts = path.relative_to(SOURCE.parent).with_suffix("").parts
            importlib.import_module(".".join(parts).removesuffix(".__init__"))


def test_files_are_short() -> None:
    long = {path for path in MODULES if len(path.read_text("utf-8").splitlines()) > MAX_LINES}
    assert {path.relative_to(SOURCE) for path in long} == set()


def test_public_modules_say_what_they_offer() -> None:
    """Ruff holds that what `__all__` names exists and is sorted, not that it is there at all."""
    silent = set()
    for path in MODULES:
        tree = _parsed(path)
        private = path.name.startswith("_") and path.name != "__init__.py"
        empty = not tree.body[1:]
        names = {ast.unparse(n).partition(" =")[0].partition(":")[0] for n in tree.body}
        if not (private or empty or path.name == "__main__.py" or "__all__" in names):
            silent.add(path.relative_to(SOURCE))
    assert silent == set()


def test_no_package_imports_what_another_keeps_private() -> None:
    """A name with a leading underscore is for the package that holds it."""
    found = [
        f"{path.relative_to(SOURCE)}: {'.'.join(target)}"
        for path in MODULES
        for target in _imported(path)
        for depth, part in enumerate(target)
        if part.startswith("_") and not part.startswith("__")
        if path.relative_to(SOURCE.parent).parts[:depth] != target[:depth]
    ]
    assert found == []


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Every name of this product that a file imports, as its parts."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mammolens"):
            for alias in node.names:
                yield (*(node.module or "").split("."), alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("mammolens"):
                    yield tuple(alias.name.split("."))
