"""``mammolens datasets``: list, build, show."""

import cv2
import pytest
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.data.manifest import Manifest
from mammolens.data.sources import list_sources
from mammolens.errors import ConfigError

RUN = CliRunner()


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.folder(tmp_path / "clinic", make_dicom, make_ljpeg)
    return tmp_path / "clinic"


def test_every_source_is_listed_with_its_licence():
    shown = RUN.invoke(app, ["datasets", "list"])
    assert shown.exit_code == 0
    for name in (info.name for info in list_sources()):
        assert f"\n{name} " in f"\n{shown.output}"
    assert "CC BY 4.0" in shown.output
    assert "https://doi.org/10.7937/tcia.eqde-4b16" in shown.output
    assert "Research use only" in shown.output


def test_a_tree_becomes_a_table_and_is_shown(tree, tmp_path):
    table, sheet = tmp_path / "table.csv", tmp_path / "sheet.png"
    built = RUN.invoke(app, ["datasets", "build", "folder", str(tree), "-o", str(table)])
    assert built.exit_code == 0, built.output
    assert "caution: PATIENTS_UNKNOWN" in built.output
    assert "16 images of 16 patients" in built.output
    assert len(Manifest.read(table).records) == 16
    shown = RUN.invoke(app, ["datasets", "show", str(table), "-o", str(sheet), "--images", "4"])
    assert shown.exit_code == 0, shown.output
    assert "malignant" in shown.output
    assert "Research use only" in shown.output
    assert cv2.imread(str(sheet)) is not None


def test_options_reach_the_reader(tree, tmp_path):
    command = ["datasets", "build", "folder", str(tree), "-o", str(tmp_path / "t.csv")]
    built = RUN.invoke(app, [*command, "--set", r"patient=(\w+)-\d", "--set", "name=mine"])
    assert built.exit_code == 0, built.output
    assert {r.dataset for r in Manifest.read(tmp_path / "t.csv").records} == {"mine"}
    refused = RUN.invoke(app, [*command, "--set", "patient"])
    assert refused.exit_code == 2
    assert "is not KEY=VALUE" in refused.output


def test_an_unknown_source_is_refused_with_the_nearest(tree, tmp_path):
    refused = RUN.invoke(app, ["datasets", "build", "rsnaa", str(tree), "-o", str(tmp_path / "t")])
    assert isinstance(refused.exception, ConfigError)
    assert "Use 'rsna'" in str(refused.exception)
    assert not (tmp_path / "t").exists()
