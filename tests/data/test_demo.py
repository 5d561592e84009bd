"""The synthetic table: named as synthetic, the same for one seed, small, for every command."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from mammolens.core import Laterality
from mammolens.data import demo as drawing
from mammolens.data.cache import prepare_record
from mammolens.data.check import Severity, check_manifest
from mammolens.data.demo import write_demo
from mammolens.data.manifest import Manifest, Split
from mammolens.data.splits import refuse_leak
from mammolens.data.summary import DEMO_DATASET, synthetic_warnings
from mammolens.errors import ConfigError
from mammolens.images import read_image
from mammolens.preprocess import PreprocessConfig

first = drawing._patients


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    manifest, files = write_demo(folder)
    return folder, manifest, files


def test_sixty_patients_with_four_views_on_three_sides(demo):
    folder, manifest, files = demo
    assert {record.dataset for record in manifest.records} == {DEMO_DATASET}
    views = Counter(record.patient_id for record in manifest.records)
    assert len(views) == 60
    assert set(views.values()) == {4}
    refuse_leak(manifest.records)
    for side in Split:
        here = [record for record in manifest.records if record.split is side]
        assert {(r.tumour, r.malignant) for r in here} == {
            *((False, False), (True, False), (True, True)),
        }
        ill = {record.patient_id for record in here if record.malignant}
        assert 4 <= len(ill) < len({record.patient_id for record in here}) - 4
    assert [path.name for path in files] == ["manifest.csv", "lesions.csv", "SYNTHETIC.txt"]
    assert "mean nothing clinically" in files[-1].read_text()
    assert Manifest.read(folder / "manifest.csv") == manifest


def test_it_is_small(demo):
    folder, *_ = demo
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 20_000_000


def test_one_seed_draws_the_same_again(demo, tmp_path, monkeypatch):
    _, manifest, _ = demo
    monkeypatch.setattr(drawing, "_patients", lambda *args: islice(first(*args), 24))
    again, _ = write_demo(tmp_path / "again")
    other, _ = write_demo(tmp_path / "other", seed=2)
    for record, same, new in zip(manifest.records, again.records, other.records, strict=False):
        assert replace(same, path=record.path) == record
        assert same.path.read_bytes() == record.path.read_bytes() != new.path.read_bytes()


def test_the_marked_places_are_where_something_was_drawn(demo):
    _, manifest, _ = demo
    marked = [record for record in manifest.records if record.lesions]
    assert all(record.tumour for record in marked)
    assert len(marked) == sum(record.tumour is True for record in manifest.records)
    brighter = []
    for record in marked:
        pixels = read_image(record.path).pixels.astype(float)
        row0, col0, row1, col1 = map(int, record.lesions[0].box_source_px)
        assert 0 <= row0 < row1 <= pixels.shape[0]
        assert 0 <= col0 < col1 <= pixels.shape[1]
        core = pixels[row0:row1, col0:col1]
        third = (row1 - row0) // 3
        brighter.append(core[third:-third, third:-third].mean() > np.median(core))
    assert np.mean(brighter) > 0.9


def test_the_chest_wall_is_where_the_side_says(demo):
    _, manifest, _ = demo
    for record in manifest.records[::17]:
        pixels = read_image(record.path).pixels.astype(float)
        wall = pixels[:, 0] if record.laterality is Laterality.LEFT else pixels[:, -1]
        assert wall.mean() > 20
        view = prepare_record(record, PreprocessConfig(height=256, width=192))
        assert view.pixels.any()


@pytest.mark.slow
def test_a_check_reports_synthetic_data_and_no_shortcut(demo):
    report = check_manifest(demo[1])
    assert [found.code for found in report.findings][:1] == ["synthetic_data"]
    assert not [one.code for one in report.findings if one.severity is Severity.ERROR]
    assert all(probe.auc.low < 0.6 for probe in report.probes)


def test_only_a_demonstration_is_written_over(demo, tmp_path, monkeypatch):
    folder, *_ = demo
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other files than a demonstration"):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    own = tmp_path / "own"
    (own / "images").mkdir(parents=True)
    text = (folder / "manifest.csv").read_text().replace(DEMO_DATASET, "clinic")
    (own / "manifest.csv").write_text(text)
    with pytest.raises(ConfigError, match="other files than a demonstration"):
        write_demo(own)
    assert (own / "manifest.csv").read_text() == text
    monkeypatch.setattr(drawing, "_patients", lambda *args: islice(first(*args), 4))
    once, _ = write_demo(tmp_path / "twice")
    assert write_demo(tmp_path / "twice")[0] == once


def test_only_a_synthetic_data_set_gives_the_warning():
    assert synthetic_warnings(["clinic", "photosynthetic"]) == []
    (said,) = synthetic_warnings(["Synthetic-own", "clinic", "synthetic-demo", "synthetic-demo"])
    assert said.startswith("WARNING: SYNTHETIC data (Synthetic-own, synthetic-demo): ")
    assert "mean nothing clinically" in said
