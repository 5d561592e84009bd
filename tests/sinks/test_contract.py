"""What every sink keeps to, and the recipe of CONTRIBUTING.md, followed to the letter."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from mammolens.errors import ConfigError
from mammolens.serve.settings import load_settings
from mammolens.sinks import SINKS, exam_artefacts, find_sink, sink_names

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "src" / "mammolens" / "sinks"
RECIPE = "note"
START = "from mammolens.cli import main; main()"


@pytest.fixture
def site(tmp_path: Path, monkeypatch) -> Path:
    """A folder on the path with a package that was made as the recipe says."""
    recipe = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Adding a sink")[2]
    blocks = dict(re.findall(r"^   ```(python|toml)\n(.*?)^   ```$", recipe, re.M | re.S))
    code, table = (re.sub("^   ", "", blocks[kind], flags=re.M) for kind in ("python", "toml"))
    folder = tmp_path / "site"
    info = folder / "lenslist-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "lenslist.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lenslist\nVersion: 1.0\n")
    (name, target) = re.findall(r'^(\w+) = "(.+)"$', table, re.M)[0]
    (info / "entry_points.txt").write_text(
        f"[mammolens.sinks]\n{name} = {target}\nbroken = lenslist:nothing\n"
        "old = lenslist:notes\njson = lenslist:no\n"
    )
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("lenslist", None)


@pytest.fixture(params=[*SINKS, RECIPE])
def sink(request, site):  # noqa: ARG001
    return find_sink(request.param)


def test_its_files_lie_where_it_says(sink, study):
    summary = study.bench.write([study.exam(), study.failed()], sink.name)
    tops = {Path(pattern).parts[0] for pattern in sink.files}
    assert {path.name for path in summary.files} == tops
    assert {path.name for path in study.bench.out.iterdir()} == tops
    suffixes = {Path(pattern).suffix for pattern in sink.files}
    written = [path for path in study.bench.out.rglob("*") if path.is_file()]
    assert {path.suffix for path in written if path.name != "index.csv"} <= suffixes


def test_the_artefacts_of_an_exam_are_its_files(sink, study):
    made = list(exam_artefacts(sink.name, study.exam(), study.bench.run))
    assert made
    study.bench.write([study.exam()], sink.name)
    names = [artefact.name for artefact in made]
    files = [path for path in study.bench.out.rglob("*") if path.is_file()]
    assert sorted(names) == sorted(
        path.relative_to(study.bench.out).as_posix() for path in files if path.name != "index.csv"
    )
    for artefact in made:
        size = (study.bench.out / artefact.name).stat().st_size
        assert len(artefact.read()) == size
    assert sink.media_type in {artefact.media_type for artefact in made}


def test_a_dicom_file_says_by_which_identifiers_it_is_known(sink, study):
    for artefact in exam_artefacts(sink.name, study.exam(), study.bench.run):
        assert (artefact.dicom is None) is (sink.sop_class == "")
        if artefact.dicom is None:
            continue
        held = pydicom.dcmread(BytesIO(artefact.read()))
        assert artefact.dicom.sop_class_uid == held.SOPClassUID == sink.sop_class
        assert artefact.dicom.sop_instance_uid == held.SOPInstanceUID
        assert artefact.dicom.series_instance_uid == held.SeriesInstanceUID
        assert artefact.dicom.study_instance_uid == held.StudyInstanceUID == "1.2.840.99.1"


def test_it_says_that_it_is_for_research_only(sink, study):
    made = list(exam_artefacts(sink.name, study.exam(), study.bench.run))
    drawn = {"image/png", "image/jpeg"}
    for artefact in made:
        if artefact.media_type not in drawn:
            assert b"esearch use only" in artefact.read()


def test_a_sink_that_draws_says_so(sink, study):
    """One that says that it needs no pictures makes the same without them."""
    if sink.pictures:
        return
    bare = study.exam(*(study.image(side, view, display=None) for side in "RL" for view in ("CC",)))
    whole = study.exam(*(study.image(side, view) for side in "RL" for view in ("CC",)))
    names = [
        [artefact.name for artefact in exam_artefacts(sink.name, exam, study.bench.run)]
        for exam in (bare, whole)
    ]
    assert names[0] == names[1]


def test_no_sink_imports_another():
    modules = {s.make or s.row for s in SINKS.values()}
    sinks = {target.partition(":")[0] for target in modules}
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                assert not names & sinks, path.name


def test_reading_the_table_loads_nothing_heavy():
    code = (
        "import sys, mammolens.sinks as s; [s.find_sink(n) for n in s.SINKS];"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "cv2", "pydicom", "highdicom", "jinja2", "onnxruntime", "pydantic"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("name", [s.name for s in SINKS.values() if s.identified])
def test_the_documentation_says_what_the_table_says(name):
    """One row on one of two reference pages, with the class and the extra."""
    pages = [
        (ROOT / "docs" / "reference" / page).read_text("utf-8")
        for page in ("other-results.md", "dicom-reports.md")
    ]
    (row,) = (
        line for page in pages for line in page.splitlines() if line.startswith(f"| `{name}`")
    )
    sink = SINKS[name]
    assert sink.sop_class.removeprefix("1.2.840.10008.5.1.4.1") in row
    assert ("the extra `dicom`" in row) is (sink.extra == "dicom")


def test_the_recipe_is_known_at_every_door(site, study, package, make_dicom, tmp_path):
    assert sink_names() == sorted({"broken", "note", "old", *SINKS})
    summary = study.bench.write([study.exam(), study.exam(patient_id="P2")], "note", "json")
    assert [path.name for path in summary.files] == ["note", "results.json"]
    assert (study.bench.out / "note" / "P2.txt").read_text().startswith("high")
    out = tmp_path / "results"
    make_dicom.save(tmp_path / "a.dcm")
    path = os.pathsep.join([str(site), str(ROOT / "src")])

    def call(*words: object) -> str:
        command = [sys.executable, "-c", START, "analyze", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode in (0, 3), done.stderr
        return done.stdout

    assert "note" in call("--help")
    call(tmp_path / "a.dcm", "--model", package, "--sinks", "note", "--out", out)
    assert list((out / "note").glob("*.txt"))
    (tmp_path / "node.toml").write_text('sinks = ["note", "json"]\n')
    assert load_settings(tmp_path / "node.toml").all_sinks == ("note", "json")
    (tmp_path / "node.toml").write_text('sinks = ["noet"]\n')
    with pytest.raises(ConfigError, match="Use 'note'"):
        load_settings(tmp_path / "node.toml")


@pytest.mark.usefixtures("site")
def test_a_sink_of_others_that_cannot_be_used_is_named():
    with pytest.raises(ConfigError, match="'broken' cannot be loaded"):
        find_sink("broken")
    with pytest.raises(ConfigError, match="'old' is not described by a"):
        find_sink("old")
    assert find_sink("json") is SINKS["json"]
