"""What every reader of a data set keeps to, whatever the source looks like."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
from pathlib import Path

import pytest

from mammolens.data.manifest import Manifest
from mammolens.data.manifest_writer import write_manifest
from mammolens.data.sources import build_source, list_sources, load_source
from mammolens.errors import ConfigError, InvalidManifest

PLUGINS = Path(inspect.getfile(load_source)).parent


MODULES = {info.name: load_source(info.name).__module__ for info in list_sources()}
"""Name of a reader → its module."""


@pytest.fixture(params=sorted(MODULES))
def source(request, tmp_path, make_sources, make_dicom, make_ljpeg):
    """The name of a source, and a tree in its real layout."""
    if request.param in ("cesm", "cmmd"):
        pytest.importorskip("openpyxl", reason="sheets need: pip install 'mammolens[data]'")
    root = tmp_path / "tree"
    make_sources.TREES[request.param](root, make_dicom, make_ljpeg)
    return request.param, root


def test_its_tree_is_read_into_records_that_name_their_files(source):
    manifest = build_source(*source)
    assert manifest.records
    for record in manifest.records:
        assert record.path.is_file()
        assert record.dataset
        assert record.patient_id


def test_nothing_is_written_into_the_tree(source):
    name, root = source
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    build_source(name, root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_digest_is_the_same_each_time_and_wherever_the_tree_lies(source, tmp_path):
    name, root = source
    first, second = build_source(name, root), build_source(name, root)
    assert first == second
    moved = tmp_path / "moved" / root.name
    shutil.copytree(root, moved)
    assert build_source(name, moved).digest == first.digest


def test_what_is_built_reads_back_from_its_table(source, tmp_path):
    built = build_source(*source)
    table, *_ = write_manifest(built, tmp_path / "table.csv")
    read = Manifest.read(table)
    assert read.digest == built.digest
    assert read.records == built.records


def test_labels_that_the_source_does_not_give_are_unknown(source):
    said = {
        "cbis-ddsm": {(True, False), (True, True)},
        "cesm": {(False, False), (True, True)},
        "cmmd": {(True, False), (True, True), (None, None)},
        "ddsm": {(False, False), (True, True), (None, None)},
        "folder": {(False, False), (True, False), (None, False), (True, True)},
        "inbreast": {(False, False), (True, None)},
        "mendeley": {(True, False), (True, True)},
        "mias": {(False, False), (True, False), (True, True)},
        "rsna": {(None, False), (True, True)},
        "table": {(True, None), (None, False)},
        "vindr": {(False, False), (True, False), (True, None), (True, True)},
    }
    found = {(r.tumour, r.malignant) for r in build_source(*source).records}
    assert found == said[source[0]]


def test_an_empty_folder_is_refused_by_name(source, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidManifest, match="empty"):
        build_source(source[0], empty)


def test_a_missing_folder_and_an_unknown_option_are_refused(source, tmp_path):
    name, root = source
    with pytest.raises(InvalidManifest, match="this folder does not exist"):
        build_source(name, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="colour"):
        build_source(name, root, {"colour": "blue"})


def test_the_list_names_every_source_with_licence_and_origin():
    infos = list_sources()
    assert [info.name for info in infos] == sorted(MODULES)
    assert all(info.summary and info.licence and info.home for info in infos)


def test_every_module_of_a_reader_is_named():
    modules = {path.stem for path in PLUGINS.glob("[a-z]*.py")}
    named = {module.rpartition(".")[2] for module in MODULES.values()}
    assert modules == named


def test_readers_do_not_import_each_other():
    readers = set(MODULES.values())
    for reader in readers:
        tree = ast.parse(Path(importlib.import_module(reader).__file__).read_text("utf-8"))
        imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not imported & (readers - {reader})


def test_a_third_party_comes_in_through_an_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "further-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: further\nVersion: 1.0\nSummary: One more set\nLicense: MIT\n"
    )
    (package / "entry_points.txt").write_text(
        "[mammolens.sources]\nfurther = further_source:build\nbroken = no_such_module:build\n"
    )
    (tmp_path / "further_source.py").write_text(
        "from mammolens.data.manifest import Manifest, Record\n"
        "def build(root):\n    return Manifest.of([Record('further', '1', 'p', root)])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build_source("further", tmp_path).records[0].dataset == "further"
    further = next(info for info in list_sources() if info.name == "further")
    assert (further.summary, further.licence) == ("One more set", "MIT")
    with pytest.raises(ConfigError, match=r"broken.*no_such_module"):
        load_source("broken")
