"""The documents name only commands, options, targets, extras, pages and code that exist."""

from __future__ import annotations

import json
import re
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from mammolens import cli
from mammolens.serve.settings import NodeSettings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
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


SPOKEN = [(name(p), words) for p in DOCUMENTS for words in spoken_commands(p.read_text("utf-8"))]


def test_documents_speak_of_commands() -> None:
    assert len(SPOKEN) > 100
    assert {"analyze", "doctor", "models", "evaluate", "train", "export"} <= {
        words[0] for _, words in SPOKEN if words
    }


def test_every_command_and_option_is_known() -> None:
    assert [(page, words) for page, words in SPOKEN if not is_known(words)] == []


def is_known(words: list[str]) -> bool:
    command, rest = COMMANDS, words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return False
        command, rest = command.commands[rest[0]], rest[1:]
    options = {opt for param in command.params for opt in param.opts} | {"--help"}
    return {word.partition("=")[0] for word in words if word.startswith("-")} <= options


@pytest.fixture(scope="module")
def generated() -> Iterator[Any]:
    """The module that writes pages from the code while the site is built."""
    sys.path.insert(0, str(DOCS / "_site"))
    yield import_module("hooks")
    sys.path.remove(str(DOCS / "_site"))


@pytest.fixture(scope="module")
def written(generated: Any) -> dict[str, str]:
    """Every page that the code writes."""
    return {place: write() for place, write in generated.pages().items()}


def commands(command: Any, words: str = "mammolens") -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{words} {name}")


@pytest.mark.parametrize(("words", "command"), list(commands(COMMANDS))[1:])
def test_every_option_is_documented(written: dict[str, str], words: str, command: Any) -> None:
    section = (
        written["reference/command-line.md"].partition(f"## {words}\n")[2].partition("\n## ")[0]
    )
    longest = {max(param.opts, key=len) for param in command.params}
    options = {option for option in longest if option.startswith("-")} - {"--help"}
    assert section
    assert {option for option in options if f"`{option}`" not in section} == set()


@pytest.mark.parametrize(
    ("page", "some"),
    [
        ("reference/node-settings.md", ("`max_mb`", "`[dimse]`", "`[[routes]]`", "`quiet_time_s`")),
        ("reference/run-settings.md", ("`head_rate`", "`[augment]`", "`frozen_stages`")),
        ("reference/results-schema.md", ("`exams[].images[]`", "`box_source_px`", "`category`")),
        ("reference/sinks.md", ("`dicom-cad-sr`", "`fhir`", "`worklist", "`json`")),
        ("reference/api/index.md", ("::: mammolens.api", "Prediction")),
        ("start/tutorial.md", ("ml.analyze", "data:image/jpeg;base64,")),
    ],
)
def test_pages_come_from_the_code(
    written: dict[str, str], page: str, some: tuple[str, ...]
) -> None:
    assert [words for words in some if words not in written[page]] == []


def test_every_setting_says_what_it_means(written: dict[str, str]) -> None:
    for page in ("reference/node-settings.md", "reference/run-settings.md"):
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| ", written[page], re.MULTILINE)
        assert len(rows) > 40
        assert [key for key, meaning in rows if not meaning.strip()] == []


def test_settings_in_examples_exist() -> None:
    schema = NodeSettings.model_json_schema()
    blocks = [
        (name(path), block)
        for path in sorted(DOCS.rglob("*.md"))
        for block in re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    ]
    assert len(blocks) > 8
    unknown = [(page, key) for page, block in blocks for key in strangers(schema, block)]
    assert unknown == []


def strangers(schema: dict[str, Any], block: str) -> Iterator[str]:
    """Name the keys of an example of ``node.toml`` that are not settings."""
    lines = textwrap.dedent(block)
    for section, inside in tomllib.loads(lines).items():
        known = schema["properties"].get(section)
        if known is None:
            yield section
            continue
        forms = [known, known.get("items", {}), *known.get("anyOf", ())]
        names = [form["$ref"].rpartition("/")[2] for form in forms if "$ref" in form]
        for one in inside if isinstance(inside, list) else [inside]:
            for key in one if names and isinstance(one, dict) else ():
                if key not in schema["$defs"][names[0]]["properties"]:
                    yield f"{section}.{key}"


def test_what_would_load_from_the_net_is_found(generated: Any, tmp_path: Path) -> None:
    (tmp_path / "near.html").write_text(
        '<script src="a.js"></script><a href="https://b.example">b</a>'
    )
    assert list(generated.loads_from_the_net(tmp_path)) == []
    (tmp_path / "far.html").write_text('<link rel="stylesheet" href="https://c.example/d.css">')
    (tmp_path / "far.css").write_text("@font-face { src: url(https://c.example/e.woff2) }")
    assert len(list(generated.loads_from_the_net(tmp_path))) == 2


def test_links_resolve(generated: Any) -> None:
    made = {DOCS / place for place in generated.pages()}
    for path in DOCUMENTS:
        targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
        local = [t.partition("#")[0] for t in targets if not re.match(r"https?://|mailto:|#", t)]
        found = {target: (path.parent / target).resolve() for target in local}
        missing = [t for t, file in found.items() if not file.exists() and file not in made]
        assert missing == [], name(path)


def test_every_page_is_in_the_navigation(generated: Any) -> None:
    """MkDocs says the same; here it is said without MkDocs."""
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE)
    pages = [
        *(file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md")),
        *generated.pages(),
    ]
    assert sorted(named) == sorted(pages)


def test_pages_that_messages_and_code_name_exist() -> None:
    spoken = {
        (page, file)
        for folder in ("src", "configs", "benchmarks", "deploy")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".py", ".toml", ".j2", ".sh", ".service"}
        for page in re.findall(r"docs/[\w/-]+\.(?:md|ipynb)", file.read_text("utf-8"))
    }
    assert len(spoken) > 5
    assert [(page, name(file)) for page, file in spoken if not (ROOT / page).exists()] == []


def walks() -> dict[str, list[str]]:
    """The walks of the architecture page: title → steps."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    section = text.partition("## Five walks\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (.*)$", section, flags=re.MULTILINE)[1:]
    steps = [re.findall(r"^\d\. (.*(?:\n   .*)*)", body, re.MULTILINE) for body in parts[1::2]]
    return dict(zip(parts[::2], steps, strict=True))


@pytest.mark.parametrize("title", walks())
def test_a_walk_leads_to_places_that_exist(title: str) -> None:
    steps = walks()[title]
    assert 2 < len(steps) <= 5
    for step in steps:
        place, said = re.match(r"`([^`]+)`, `([^`]+)`: ", step).groups()  # type: ignore[union-attr]
        others = map(step_place, re.findall(r"`([\w/]+\.[\w.]+)`", step))
        assert [str(file) for file in others if not file.is_file()] == [], step
        at = step_place(place)
        files = sorted(at.rglob("*.py")) if at.is_dir() else [at]
        assert any(said in file.read_text("utf-8") for file in files), step


def step_place(place: str) -> Path:
    """A file or a package; those of the product lie in its own folder."""
    outside = place.startswith(("tests/", "docs/", "benchmarks/"))
    return ROOT / place if outside else ROOT / "src" / "mammolens" / place


def test_there_are_five_walks() -> None:
    assert len(walks()) == 5


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for path in DOCUMENTS:
        spoken = re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE)
        assert set(spoken) <= set(targets), name(path)


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for path in DOCUMENTS:
        spoken = re.findall(r"mammolens\[([a-z,]+)\]", path.read_text("utf-8"))
        named = {extra for group in spoken for extra in group.split(",")}
        assert named <= set(project["optional-dependencies"]), name(path)


def test_every_named_test_exists() -> None:
    """The table of odd input names its tests; a row whose test is gone is no rule any more."""
    text = (DOCS / "evidence" / "reliability.md").read_text("utf-8")
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


def test_every_exit_code_has_a_meaning(written: dict[str, str]) -> None:
    from mammolens import status

    codes = {status.EXIT_OK, 1, *(entry.exit_code for entry in status.STATUS.values())}
    assert {c for c in codes if f"\n| {c} |" not in written["reference/exit-codes.md"]} == set()


def test_words_are_plain() -> None:
    """Patients are patients, and no sentence has to be read twice."""
    riddles = r"\b(wom[ae]n|anew|wherein|lest|told|said of|tells? of|lean to the bright side)\b"
    for path in DOCUMENTS:
        text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
        found = re.findall(riddles, text)
        assert path.name == "CHANGELOG.md" or found == [], name(path)


@pytest.mark.slow
def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch, capsys) -> None:
    text = (DOCS / "how-to" / "use-from-python.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) > 5
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/how-to/use-from-python.md", "exec"), names)
    assert "P_00820 intermediate" in capsys.readouterr().out
    assert {e.category.value for e in names["exams"]} == {"low", "intermediate"}


@pytest.mark.slow
def test_the_tutorial_runs_and_says_what_it_shows(tmp_path, monkeypatch, capsys) -> None:
    """Its cells run in order, as a kernel runs them, and print what is kept in the file."""
    pytest.importorskip("pandas")
    cells = json.loads((DOCS / "start" / "tutorial.ipynb").read_text("utf-8"))["cells"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        exec(compile("".join(cell["source"]), "docs/start/tutorial.ipynb", "exec"), names)
        kept = [out["text"] for out in cell["outputs"] if out["output_type"] == "stream"]
        assert capsys.readouterr().out == "".join("".join(text) for text in kept)
