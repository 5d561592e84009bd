"""What the architecture promises, checked: layers, light imports, sorted names, short files."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mammolens"
MODULES = sorted(SOURCE.rglob("*.py"))
HEAVY = ("torch", "torchvision", "timm", "captum", "pandas", "sklearn", "scipy", "matplotlib")
LIGHT_ROOMS = ("mammolens", "mammolens.analysis", "mammolens.cli", "mammolens.sinks")
MAX_LINES = 350


def test_import_contracts_hold() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [script, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_sink_is_under_contract() -> None:
    from mammolens.sinks import SINKS

    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (independent,) = [c for c in linter["contracts"] if c["name"].startswith("Sinks")]
    assert {target.partition(":")[0] for target in SINKS.values()} == set(independent["modules"])


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


OWN_FILES = {
    *("learn/checkpoint.py", "learn/curves.py", "learn/journal.py"),
    *("sinks/_folder.py", "sinks/overlay.py"),
}
"""Modules that read again what they wrote themselves: a run's log, a sink's index."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: relative(path))
def test_tables_are_read_in_one_room(path: Path) -> None:
    if relative(path) in OWN_FILES or relative(path).startswith("tables/"):
        pytest.skip("the room for it, or a reader of its own file")
    names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text("utf-8")))}
    assert not names & {"csv.reader", "csv.DictReader", "load_workbook", "xlrd"}


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_all_is_sorted_and_true(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and "__all__" in ast.unparse(node).partition("=")[0]
    ]
    private = path.name.startswith("_") and path.name != "__init__.py"
    if not listed:
        assert private or path.name == "__main__.py" or not tree.body[1:], "__all__ is missing"
        return
    assert listed[0] == sorted(listed[0], key=rank)
    stub = path.with_suffix(".pyi")
    binds = ast.parse(stub.read_text("utf-8")) if stub.is_file() else tree
    assert set(listed[0]) <= defined_names(binds)


def rank(name: str) -> tuple[int, str]:
    """Order of names in `__all__`, as ruff keeps it: CONSTANTS, then Classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def defined_names(tree: ast.Module) -> set[str]:
    """Everything that a module binds; names given out lazily count by their string."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name="__getattr__"):
                names |= {str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant)}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import() | ast.ImportFrom():
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_the_server_reads_the_environment(path: Path) -> None:
    if relative(path) == "serve/settings/loading.py":
        pytest.skip("the one place for it")
    if relative(path) == "learn/processes.py":
        pytest.skip("torchrun and SLURM speak through it, and through nothing else")
    names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text("utf-8")))}
    assert not names & {"os.environ", "os.getenv"}
