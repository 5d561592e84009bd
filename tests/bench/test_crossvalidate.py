"""Cross-validation: every patient is judged once, by the run that held her out."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.bench.crossvalidate import crossvalidate, image_results  # noqa: E402
from mammolens.bench.sections.figures import calibration_figures  # noqa: E402
from mammolens.console import show_evaluation  # noqa: E402
from mammolens.data.cache import PreparedCache  # noqa: E402
from mammolens.data.manifest import Manifest, Record, Split  # noqa: E402
from mammolens.errors import ConfigError  # noqa: E402
from mammolens.learn.config import load_manifest, read_run  # noqa: E402
from mammolens.metrics import calibration_line_statistics  # noqa: E402

SETTINGS = ("train.epochs=1", "train.epoch_images=8", "network.dropout=0")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """The small run of the tests of training."""
    path = Path(__file__).parents[1] / "learn" / "conftest.py"
    spec = importlib.util.spec_from_file_location("mammolens_test_small_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("crossvalidate")
    module.write_small_run(folder)
    return folder


@pytest.mark.slow
def test_every_patient_is_held_out_once_and_folds_are_not_trained_twice(small_run, capsys):
    lines: list[str] = []
    out = small_run / "cross"
    found = crossvalidate(small_run / "run.toml", out, 3, SETTINGS, lines.append, draws=50)
    with (out / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len({row["image_id"] for row in rows}) == 40
    folds: dict[str, set[str]] = {}
    for row in rows:
        folds.setdefault(row["fold"], set()).add(row["patient_id"])
    assert folds.keys() == {"0", "1", "2"}
    assert sum(map(len, folds.values())) == len(set().union(*folds.values())) == 20
    assert found.metrics["malignancy"]["patient"]["n"] == 20
    assert found.metrics["malignancy"]["image"]["n_positive"] == 20
    assert [fold["images"] for fold in found.metrics["folds"]] == [
        len([row for row in rows if row["fold"] == name]) for name in ("0", "1", "2")
    ]
    assert found.metrics["calibration"]["n"] == 40
    assert found.exit_code == 0
    assert any(line.startswith("fold 2: ") for line in lines)

    before = [(out / f"fold-{n}" / "state.pt").stat().st_mtime_ns for n in range(3)]
    again = crossvalidate(small_run / "run.toml", out, 3, SETTINGS, lambda _: None, draws=50)
    assert [(out / f"fold-{n}" / "state.pt").stat().st_mtime_ns for n in range(3)] == before
    created = {"created": None}
    assert {**again.metrics, **created} == {**found.metrics, **created}

    show_evaluation(again)
    said = capsys.readouterr().out
    assert "malignancy" in said
    assert str(out / "predictions.csv") in said


@pytest.mark.slow
def test_a_cross_validation_and_a_vote_have_a_report(small_run, tmp_path):
    pytest.importorskip("typst", reason="needs the extra mammolens[report]")
    from mammolens.bench.crossvalidate import evaluate_ensemble
    from mammolens.bench.report import write_reports
    from mammolens.learn.train import train

    table = small_run / "manifest.csv"
    damaged = tmp_path / "39.png"
    damaged.write_bytes(b"no picture")
    moved = table.read_text().replace(",39.png,", f",{damaged},")
    (small_run / "damaged.csv").write_text(moved)
    settings = (*SETTINGS, f"data.table={small_run / 'damaged.csv'}")
    crossvalidate(small_run / "run.toml", tmp_path / "cross", 3, settings, print, draws=50)
    page, print_ = write_reports([tmp_path / "cross"], None, False)
    text = page.read_text("utf-8").replace("<wbr>", "")
    assert "tiny over 3 folds" in text
    assert "divided by a temperature fitted on the other folds" in text
    assert text.count("fold 0") == text.count("fold 2") == 1
    assert "NotAnImage" in text or "39.png" in text
    assert "Every image could be read" not in text
    assert print_.read_bytes().startswith(b"%PDF")

    for name, seed in (("a", 1), ("b", 2)):
        train(small_run / "run.toml", tmp_path / name, (*SETTINGS, f"train.seed={seed}"), print)
    evaluate_ensemble([tmp_path / "a", tmp_path / "b"], tmp_path / "vote", draws=50)
    page, _ = write_reports([tmp_path / "vote"], tmp_path / "elsewhere", False)
    assert "the mean vote of 2 runs" in page.read_text("utf-8")


@pytest.mark.slow
def test_inner_folds_leave_those_apart_unseen_and_may_be_judged_without_a_checkpoint(small_run):
    out = small_run / "inner"
    config = small_run / "run.toml"
    found = crossvalidate(config, out, 2, SETTINGS, lambda _: None, draws=50, inner=True)
    with (out / "predictions.csv").open(newline="") as stream:
        judged = {row["patient_id"] for row in csv.DictReader(stream)}
    run = load_manifest(read_run(config))
    assert judged == {record.patient_id for record in run.select(split=Split.TRAIN).records}

    for number in range(2):
        (out / f"fold-{number}" / "state.pt").unlink()
    arguments = (config, out, 2, SETTINGS, lambda _: None)
    again = crossvalidate(*arguments, draws=50, inner=True, trained=True)
    created = {"created": None}
    assert {**again.metrics, **created} == {**found.metrics, **created}
    with pytest.raises(ConfigError, match="fold-0: it holds out other patients"):
        crossvalidate(*arguments, draws=50, trained=True)
    with pytest.raises(ConfigError, match=r"nowhere.*has no finished pass"):
        crossvalidate(config, out / "nowhere", 2, SETTINGS, lambda _: None, trained=True)


def test_calibration_is_given_with_its_interval_and_refused_images_have_no_score():
    rng = np.random.default_rng(0)
    truth = rng.random(500)
    records = [
        Record("d", str(i), f"p{i // 2}", Path(f"{i}.png"), malignant=bool(rng.random() < p))
        for i, p in enumerate(truth)
    ]
    refused = Record("d", "refused", "p0", Path("refused.png"), malignant=True)
    cache = PreparedCache(
        tuple(records), np.arange(500), np.zeros((500, 1, 1), np.uint8), {"refused.png": "torn"}
    )
    probabilities = np.stack([0.9 * (1 - truth), 0.1 * (1 - truth), truth], 1)
    results = image_results(Manifest.of([*records, refused]), cache, probabilities)
    assert results[-1].record.image_id == "refused"
    assert results[-1].unreadable is not None
    assert results[-1].unreadable.message == "torn"
    found = calibration_figures(results, draws=200)
    assert found["n"] == 500
    assert found["slope"]["low"] < 1 < found["slope"]["high"]
    assert found["ece"]["value"] < 0.1
    for name in ("slope", "intercept", "brier", "ece"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    labels = [bool(one.malignant) for one in records]
    line = calibration_line_statistics(labels, truth)(np.ones((1, len(labels))))
    for name in ("slope", "intercept"):
        assert found[name]["value"] == pytest.approx(line[name][0], abs=1e-6)
    one_class = calibration_figures([one for one in results[:50] if not one.record.malignant])
    assert one_class["slope"] is None
    assert "one class" in one_class["note"]
