"""Two runs side by side: the paired images, and the refused inputs."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammolens.bench.report import write_comparison
from mammolens.bench.report.document import Alarm, Figure, Table
from mammolens.bench.report.html import render_html
from mammolens.bench.report.run_folder import read_predictions, read_run
from mammolens.bench.report.side_by_side import build_comparison, pair_rows
from mammolens.errors import ConfigError, InvalidManifest


@pytest.fixture
def other(evaluation, tmp_path):
    """The same evaluation by a model with noisy scores; a function may change its rows."""

    def make(name="other", change=lambda rows: rows, digest=None):
        folder = tmp_path / name
        shutil.copytree(evaluation, folder)
        rng = np.random.default_rng(3)
        path = folder / "predictions.csv"
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            if row["p_normal"]:
                shaken = [float(row[f"p_{k}"]) * rng.uniform(0.3, 3) for k in CLASSES]
                row |= {f"p_{k}": v / sum(shaken) for k, v in zip(CLASSES, shaken, strict=True)}
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(change(rows))
        if digest:
            metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
            metrics["manifest_digest"] = digest
            (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
        return folder

    return make


CLASSES = ("normal", "benign", "malignant")


def blocks(document, kind):
    return [b for section in document.sections for b in section.blocks if isinstance(b, kind)]


def paired(document):
    return [t for t in blocks(document, Table) if t.caption == "Paired differences of AUC"]


def test_paired_differences_are_those_of_the_predictions(evaluation, other):
    folder = other()
    document = build_comparison(read_run(evaluation), read_run(folder), common=False)
    (table,) = paired(document)
    row = next(r for r in table.rows if r[:3] == ("made", "malignancy", "image"))
    one, two = read_predictions(evaluation), read_predictions(folder)
    keys = [k for k, v in one.items() if k[0] == "made" and v.scores]
    labels = [one[k].record.malignant for k in keys]
    first, second = (
        roc_auc_score(labels, [rows[k].scores.malignant for k in keys]) for rows in (one, two)
    )
    assert row[5].startswith(f"{first:.3f} (")
    assert row[6].startswith(f"{second:.3f} (")
    assert row[7].replace("−", "-").startswith(f"{first - second:.3f} (")
    assert {r[2] for r in table.rows if r[8]} == {"patient"}
    assert len(blocks(document, Figure)) == 1
    assert "B)" in render_html(document)


@pytest.mark.slow
def test_the_same_run_twice_differs_by_nothing(evaluation):
    run = read_run(evaluation)
    (table,) = paired(build_comparison(run, run, common=False))
    assert {row[7] for row in table.rows} == {"0.000 (0.000–0.000)"}


def test_other_tables_are_paired_only_when_asked(evaluation, other):
    folder = other(change=lambda rows: rows[20:], digest="0" * 64)
    apart = build_comparison(read_run(evaluation), read_run(folder), common=False)
    alarms = " ".join(alarm.words for alarm in blocks(apart, Alarm))
    assert "digests differ" in alarms
    assert "of 324 and 304 images 304 are common" in alarms
    assert paired(apart) == []
    common = build_comparison(read_run(evaluation), read_run(folder), common=True)
    assert len(paired(common)) == 1
    assert any("digests differ" in alarm.words for alarm in blocks(common, Alarm))


def test_runs_without_common_images_say_so(evaluation, other):
    folder = other(
        change=lambda rows: [{**row, "image_id": f"z{row['image_id']}"} for row in rows],
        digest="0" * 64,
    )
    pairing = pair_rows(read_run(evaluation), read_run(folder), common=True)
    assert pairing.refusal == "they have no image in common"


@pytest.mark.parametrize(
    ("column", "value"), [("label_malignant", ""), ("patient_id", "x"), ("laterality", "R")]
)
def test_other_labels_patients_or_sides_are_refused(evaluation, other, column, value):
    def change(rows):
        # Without a tumour, an empty label_malignant would mean the same.
        place = next(
            n
            for n, row in enumerate(rows)
            if row[column] != value and (column != "label_malignant" or row["label_tumour"] == "1")
        )
        return [{**row, column: value} if n == place else row for n, row in enumerate(rows)]

    with pytest.raises(InvalidManifest, match="another label, patient or laterality"):
        build_comparison(read_run(evaluation), read_run(other(change=change)), common=True)


def test_damaged_predictions_are_refused(evaluation, other):
    twice = other("twice", lambda rows: [*rows, rows[5]])
    with pytest.raises(InvalidManifest, match="is there twice"):
        read_predictions(twice)
    words = other("words", lambda rows: [{**rows[5], "p_normal": "much"}])
    with pytest.raises(InvalidManifest, match=r"'much' \[p_normal\]"):
        read_predictions(words)
    (words / "predictions.csv").unlink()
    with pytest.raises(InvalidManifest, match="cannot be read"):
        build_comparison(read_run(evaluation), read_run(words), common=False)


def test_the_files_are_written_and_no_report_is_lost(evaluation, other, tmp_path):
    folder = other()
    files = write_comparison(evaluation, folder, tmp_path / "both")
    assert [path.name for path in files] == ["report.html", "report.pdf"]
    assert all(path.stat().st_size > 10_000 for path in files)
    with pytest.raises(ConfigError, match="would be overwritten"):
        write_comparison(evaluation, folder, folder)
