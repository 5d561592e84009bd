"""The whole way: pictures and a table in, metrics.json and predictions.csv out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from mammolens import DISCLAIMER
from mammolens.bench.evaluate import read_tables, run
from mammolens.bench.packaging.card_figures import (
    ALL_DATASETS,
    fix_operating_points,
    validation_figures,
)
from mammolens.bench.scoring import score_records
from mammolens.bench.settings import Remedy, Settings
from mammolens.data.manifest import Split
from mammolens.data.splits import split_digest, split_patients
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak, StorageError
from mammolens.model import DEFAULT_MODEL, AgePrior, ModelPackage, list_models, save_package


def predictions(summary):
    with summary.predictions_path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_figures_are_those_of_the_predictions_written(package, rows, write_table, tmp_path):
    table = write_table("all.csv", rows[1])
    seen = []
    summary = run(str(package), table, tmp_path, jobs=2, on_progress=lambda *at: seen.append(at))
    metrics = json.loads(summary.metrics_path.read_text("utf-8"))
    assert metrics == json.loads(json.dumps(summary.metrics))
    written = predictions(summary)
    assert list(written[0]) == [
        *("dataset", "image_id", "patient_id", "laterality", "view", "path"),
        *("label_tumour", "label_malignant", "p_normal", "p_benign", "p_malignant"),
        *("malignancy", "tumour", "error", "warnings"),
    ]
    assert [row["image_id"] for row in written] == [row["image_id"] for row in rows[1]]
    image = metrics["malignancy"]["image"]
    expected = roc_auc_score(
        [int(row["label_malignant"]) for row in written],
        [float(row["malignancy"]) for row in written],
    )
    assert image["auc"]["value"] == pytest.approx(expected, abs=1e-12)
    assert 0.5 < image["auc"]["low"] < image["auc"]["value"] < image["auc"]["high"] <= 1
    assert (image["n"], image["n_positive"]) == (48, 12)
    assert (metrics["tumour"]["breast"]["n"], metrics["tumour"]["breast"]["n_positive"]) == (24, 6)
    assert metrics["malignancy"]["patient"]["n"] == 12
    assert metrics["datasets"]["drawn"]["malignancy"] == metrics["malignancy"]
    for row in written:
        parts = [float(row[f"p_{name}"]) for name in ("normal", "benign", "malignant")]
        assert sum(parts) == pytest.approx(1)
        assert float(row["tumour"]) == pytest.approx(1 - parts[0])
    calibration = metrics["calibration"]
    labels = [int(row["label_malignant"]) for row in written]
    values = [float(row["malignancy"]) for row in written]
    assert calibration["brier"]["value"] == pytest.approx(
        brier_score_loss(labels, values), abs=1e-12
    )
    assert (calibration["n"], calibration["ece"]) == (48, None)
    assert metrics["disclaimer"] == DISCLAIMER
    assert metrics["model"]["name"] == "brightness"
    assert len(metrics["manifest_digest"]) == 64
    assert metrics["bootstrap"]["draws"] == 2000
    assert (summary.n_rows, summary.exit_code, seen[-1]) == (48, 0, (48, 48))
    asked_for = ("localisation", "mitigation", "robustness", "source_probe", "without_age")
    told = (Path(__file__).parents[2] / "docs/reference/evaluation.md").read_text("utf-8")
    assert [key for key in (*metrics, *asked_for) if f"`{key}`" not in told] == []


@pytest.mark.slow
def test_jobs_and_order_of_rows_do_not_change_a_score(package, rows, write_table, tmp_path):
    forward = run(str(package), write_table("few.csv", rows[1][:11]), tmp_path / "a", jobs=1)
    backward = run(str(package), write_table("back.csv", rows[1][10::-1]), tmp_path / "b", jobs=3)
    first = {row["image_id"]: row["malignancy"] for row in predictions(forward)}
    second = {row["image_id"]: row["malignancy"] for row in predictions(backward)}
    assert first.keys() == second.keys()
    for name, score in first.items():
        assert float(second[name]) == pytest.approx(float(score), abs=1e-6)


@pytest.mark.slow
def test_unreadable_rows_are_counted_named_and_never_scored(package, rows, write_table, tmp_path):
    folder, drawn = rows
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    chosen = [dict(row) for row in drawn]
    chosen[0]["path"], chosen[5]["path"] = "empty.png", "text.png"
    summary = run(str(package), write_table("broken.csv", chosen), tmp_path)
    assert (summary.n_rows, summary.n_unreadable, summary.exit_code) == (48, 2, 3)
    written = predictions(summary)
    for row in (written[0], written[5]):
        assert row["malignancy"] == row["tumour"] == row["p_normal"] == ""
        assert row["error"]
    assert all(row["malignancy"] and not row["error"] for row in written[6:])
    assert summary.metrics["malignancy"]["image"]["n"] == 46
    assert summary.metrics["malignancy"]["image"]["n_unscored"] == 2
    assert summary.metrics["malignancy"]["image"]["n_positive_unscored"] == 1
    assert {item["path"] for item in summary.metrics["unreadable"]} == {
        str(folder / "empty.png"),
        str(folder / "text.png"),
    }
    assert "2 images could not be read" in summary.metrics["notes"][0]


def test_a_table_of_which_nothing_can_be_read_has_no_figures(package, rows, write_table, tmp_path):
    (rows[0] / "empty.png").write_bytes(b"")
    chosen = [{**row, "path": "empty.png"} for row in rows[1][:3]]
    summary = run(str(package), write_table("dead.csv", chosen), tmp_path)
    assert summary.n_unreadable == 3
    assert summary.metrics["malignancy"]["image"]["auc"] is None
    assert summary.metrics["malignancy"]["image"]["n"] == 0


@pytest.mark.slow
def test_unknown_labels_are_left_out_of_their_task_only(package, rows, write_table, tmp_path):
    chosen = [dict(row) for row in rows[1]]
    for row in chosen:
        row["tumour"] = row["malignant"] if row["malignant"] == "1" else ""
    summary = run(str(package), write_table("partial.csv", chosen), tmp_path)
    assert summary.metrics["malignancy"]["image"]["n"] == 48
    tumour = summary.metrics["tumour"]["image"]
    assert (tumour["n"], tumour["n_positive"], tumour["auc"]) == (12, 12, None)
    assert "all 12 labels are positive" in tumour["note"]
    assert {row["label_tumour"] for row in predictions(summary)} == {"", "1"}


@pytest.mark.slow
def test_figures_stand_per_data_set(package, rows, write_table, tmp_path):
    chosen = [
        {**row, "dataset": "first" if row["patient_id"] < "p06" else "second"} for row in rows[1]
    ]
    summary = run(str(package), write_table("two.csv", chosen), tmp_path)
    sets = summary.metrics["datasets"]
    assert [sets[name]["malignancy"]["image"]["n"] for name in ("first", "second")] == [24, 24]
    assert any("per data set" in note for note in summary.metrics["notes"])
    results = score_records(ModelPackage.load(package), read_tables([rows[0] / "two.csv"]).records)
    for figure in validation_figures(results):
        judged = summary.metrics if figure.dataset == ALL_DATASETS else sets[figure.dataset]
        measured = judged[figure.task][figure.unit]
        assert (figure.n, figure.n_positive) == (measured["n"], measured["n_positive"])
        assert figure.auc.value == measured["auc"]["value"]


def test_operating_points_reach_their_goals(package, rows, write_table):
    table = write_table("points.csv", rows[1])
    results = score_records(ModelPackage.load(package), read_tables([table]).records)
    points = fix_operating_points(results, fixed_on="drawn breasts")
    assert points.low.threshold <= points.high.threshold
    assert points.low.sensitivity.value >= 0.95
    assert points.high.specificity.value >= 0.90
    assert (points.low.n, points.low.n_positive) == (12, 6)


@pytest.mark.slow
def test_a_split_column_chooses_rows(package, rows, write_table, tmp_path):
    chosen = [{**row, "split": "test" if row["patient_id"] < "p04" else "train"} for row in rows[1]]
    columns = (*chosen[0],)
    summary = run(str(package), write_table("split.csv", chosen, columns), tmp_path, split="test")
    assert (summary.n_rows, summary.metrics["split"]) == (16, "test")
    with pytest.raises(InvalidManifest, match="no row belongs to the split 'validation'"):
        run(str(package), rows[0] / "split.csv", tmp_path, split="validation")
    chosen[0]["split"] = "train"
    with pytest.raises(PatientLeak):
        run(str(package), write_table("leak.csv", chosen, columns), tmp_path, split="test")


@pytest.mark.slow
def test_a_run_gives_the_split_that_its_model_was_trained_with(
    make_package, rows, write_table, tmp_path
):
    table = write_table("trained.csv", rows[1])
    recipe = tmp_path / "run.toml"
    recipe.write_text(
        f'name = "brightness"\n[data]\nmanifests = ["{table}"]\nvalidation = 0.5\nsplit_seed = 3\n'
    )
    whole = split_patients(read_tables([table]), validation=0.5, seed=3)
    folder = make_package(split_digest(whole))
    summary = run(str(folder), recipe, tmp_path / "out", split="validation")
    expected = whole.select(split=Split.VALIDATION)
    assert [row["image_id"] for row in predictions(summary)] == [
        record.image_id for record in expected.records
    ]
    assert summary.n_rows == 24
    (chosen,) = [note for note in summary.metrics["notes"] if "were chosen on" in note]
    assert chosen.startswith("WARNING: the pass, the calibration and the card's thresholds")
    assert "6 of the 6 judged patients" in chosen
    taught = run(str(folder), recipe, tmp_path / "taught", split="train")
    assert any("learned from 6 of the 6 judged" in note for note in taught.metrics["notes"])
    every = run(str(folder), recipe, tmp_path / "every").metrics["notes"]
    assert [note.split(" of the ")[0][-1] for note in every if "judged patients" in note] == [
        *("6", "6")
    ]
    assert not any("not known" in note for note in every)
    recipe.write_text(recipe.read_text().replace("split_seed = 3", "split_seed = 4"))
    with pytest.raises(InvalidManifest, match="not the one that brightness was trained with"):
        run(str(folder), recipe, tmp_path / "out", split="validation")


def test_one_image_twice_is_refused(package, rows, write_table, tmp_path):
    table = write_table("twice.csv", [rows[1][0], rows[1][0]])
    with pytest.raises(InvalidManifest, match="twice"):
        run(str(package), table, tmp_path)


def test_impossible_settings_are_refused_by_name(package, rows, write_table, tmp_path):
    table = write_table("one.csv", rows[1][:1])
    with pytest.raises(ConfigError, match="jobs"):
        run(str(package), table, tmp_path, jobs=0)
    with pytest.raises(ConfigError, match="Known are test, train, validation"):
        run(str(package), table, tmp_path, split="holdout")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="may write"):
        run(str(package), table, blocked)


def test_what_cannot_be_measured_is_refused_before_scoring(package, rows, write_table, tmp_path):
    seen = []
    table, settings = write_table("axis.csv", rows[1]), Settings.read(None, 0.005, 0.9, None)
    for asked, said in (
        (replace(settings, remedy=Remedy.RECALIBRATE, by="vendor"), "no axis 'vendor'"),
        (replace(settings, remedy=Remedy.RECALIBRATE, by=""), "no axis ''"),
    ):
        with pytest.raises(ConfigError, match=said):
            run(
                *(str(package), table, tmp_path / "out"),
                settings=asked,
                on_progress=lambda *at: seen.append(at),
            )
    assert not seen
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(DEFAULT_MODEL not in list_models(), reason="the built-in model is not here")
def test_the_built_in_model_is_evaluated_too(rows, write_table, tmp_path):
    summary = run(DEFAULT_MODEL, write_table("built-in.csv", rows[1][:8]), tmp_path)
    assert summary.metrics["malignancy"]["image"]["n"] == 8
    assert summary.metrics["model"]["name"] == DEFAULT_MODEL


@pytest.mark.slow
def test_figures_stand_with_and_without_age(package, rows, write_table, tmp_path):
    """Here the young are ill, so that an age prior does harm, and taking it away must mend it."""
    ages = [{**row, "age": "40" if row["malignant"] == "1" else "75"} for row in rows[1]]
    table = write_table("ages.csv", ages, (*rows[1][0], "age"))
    model = ModelPackage.load(package)
    age = AgePrior(
        log_odds_per_decade=2.0,
        centre_years=58,
        youngest_years=35,
        oldest_years=80,
        fitted_on="nothing",
        n=0,
    )
    calibration = model.card.calibration.model_copy(update={"age": age})
    card = model.card.model_copy(update={"calibration": calibration})
    save_package(tmp_path / "aged", card, (package / "model.onnx").read_bytes())
    assert "for ten years above 58" in (tmp_path / "aged" / "CARD.md").read_text()
    plain = run(str(package), table, tmp_path / "plain").metrics
    aged = run(str(tmp_path / "aged"), table, tmp_path / "out").metrics
    assert "without_age" not in plain
    bare = aged["without_age"]["malignancy"]["breast"]
    assert bare["auc"] == pytest.approx(plain["malignancy"]["breast"]["auc"])
    assert bare["n"] == plain["malignancy"]["breast"]["n"]
    assert aged["malignancy"]["breast"]["auc"]["value"] < bare["auc"]["value"] - 0.1
    assert aged["datasets"]["drawn"]["without_age"] == aged["without_age"]
