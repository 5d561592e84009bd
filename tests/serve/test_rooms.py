"""The rooms of the node: each has one door, and a worker loads neither DICOM nor HTTP servers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mammolens.serve

SERVE = Path(mammolens.serve.__file__).parent
ROOMS = sorted(path.parent.name for path in SERVE.glob("*/__init__.py"))
MODULES = sorted(SERVE.rglob("*.py"))


def test_there_are_rooms() -> None:
    assert {"dimse", "holdings", "record", "web"} <= {*ROOMS}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SERVE).as_posix())
def test_rooms_are_entered_by_their_doors(path: Path) -> None:
    own = path.relative_to(SERVE).parts[0]
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    named = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    for name in named:
        _, serve, room, inside = [*name.split("."), "", "", ""][:4]
        assert serve != "serve" or room in (own, "") or not inside, name


def test_a_worker_starts_without_what_the_node_listens_with() -> None:
    code = "import sys, mammolens.serve.commands, mammolens.serve.work; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"fastapi", "httpx", "pynetdicom", "uvicorn"} & set(done.stdout.split())
