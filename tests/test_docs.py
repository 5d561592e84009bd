"""The documents name only commands, options, targets, extras and files that exist."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from mammolens import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS: Any = typer.main.get_command(cli.app)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def spoken_commands(text: str) -> list[list[str]]:
    """Every `mammolens …` line of a code block, and every one in backticks within a sentence."""
    blocks = re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`(mammolens [a-z][^`]*)`(?!`)", text)
    spoken = [line for line in [*lines, *inline] if re.match(r"(\.venv/bin/)?mammolens\b", line)]
    return [shlex.split(line, comments=True)[1:] for line in spoken]


CASES = [
    pytest.param(words, id=f"{name(path)}: {' '.join(words)}")
    for path in DOCUMENTS
    for words in spoken_commands(path.read_text("utf-8"))
]


def test_documents_speak_of_commands() -> None:
    assert {"analyze", "doctor", "models", "evaluate", "train", "export"} <= {
        case.values[0][0] for case in CASES
    }


@pytest.mark.parametrize("words", CASES)
def test_command_is_known(words: list[str]) -> None:
    command, rest = COMMANDS, words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands
        command, rest = command.commands[rest[0]], rest[1:]
    options = {opt for param in command.params for opt in param.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options


@pytest.mark.parametrize("command", sorted(COMMANDS.commands))
def test_every_option_is_documented(command: str) -> None:
    usage = (ROOT / "docs" / "usage.md").read_text("utf-8")
    section = re.search(
        rf"^## [^\n]*\b{command}\b[^\n]*\n(.*?)(?=^## |\Z)", usage, re.DOTALL | re.MULTILINE
    )
    assert section, f"docs/usage.md has no section on {command}"
    longest = {max(param.opts, key=len) for param in COMMANDS.commands[command].params}
    options = {option for option in longest if option.startswith("-")} - {"--help"}
    assert {option for option in options if option not in section[1]} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_resolve(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
    local = [t.partition("#")[0] for t in targets if not re.match(r"https?://|mailto:|#", t)]
    missing = {
        t for t in local if not any((path.parent / f"{t}{end}").exists() for end in ("", ".md"))
    }
    assert missing - {"docs/images/hanging.png"} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_make_targets_exist(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    text = path.read_text("utf-8")
    spoken = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    assert set(spoken) <= set(targets)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_extras_exist(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    spoken = re.findall(r"mammolens\[([a-z,]+)\]", path.read_text("utf-8"))
    named = {extra for group in spoken for extra in group.split(",")}
    assert named <= set(project["optional-dependencies"])


def test_every_named_test_exists() -> None:
    """The table of odd input names its tests; a row whose test is gone is no rule any more."""
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[\w-]+/)*test_\w+\.py(?:::test_\w+)?)`", text))
    assert len(named) > 30
    for one in sorted(named):
        file, _, function = one.partition("::")
        found = [*(ROOT / "tests").glob(file), *(ROOT / "tests").rglob(file.rpartition("/")[2])]
        assert found, one
        if function:
            assert any(f"def {function}(" in path.read_text("utf-8") for path in found), one


def test_the_readme_says_what_this_is_not() -> None:
    assert "Research use only, not a medical device" in (ROOT / "README.md").read_text("utf-8")


def test_usage_names_every_exit_code() -> None:
    from mammolens import status

    usage = (ROOT / "docs" / "usage.md").read_text("utf-8")
    codes = {status.EXIT_OK, 1, *(entry.exit_code for entry in status.STATUS.values())}
    assert {code for code in codes if f"| {code} |" not in usage} == set()


def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch, capsys) -> None:
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) > 5
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert "P_00820 intermediate" in capsys.readouterr().out
    assert {e.category.value for e in names["exams"]} == {"low", "intermediate"}


def test_the_tutorial_runs_and_says_what_it_shows(tmp_path, monkeypatch, capsys) -> None:
    """Its cells run in order, as a kernel runs them, and print what is kept in the file."""
    pytest.importorskip("pandas")
    cells = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text("utf-8"))["cells"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        exec(compile("".join(cell["source"]), "docs/tutorial.ipynb", "exec"), names)
        kept = [out["text"] for out in cell["outputs"] if out["output_type"] == "stream"]
        assert capsys.readouterr().out == "".join("".join(text) for text in kept)
