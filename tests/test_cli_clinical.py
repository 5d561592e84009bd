"""The commands of clinical data, on the real sample exams."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

from mammolens import cli
from mammolens.model import DEFAULT_MODEL, ModelPackage

pytestmark = pytest.mark.slow


@pytest.fixture
def call(capsys, monkeypatch):
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mammolens", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return (stop.value.code if isinstance(stop.value.code, int) else 0), out, err

    return run


def write_table(path):
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient_id", "laterality", "malignant", "image_log_odds", "age"])
        for patient in range(200):
            age, image = rng.uniform(40, 80), rng.normal()
            odds = image + 0.8 * (age - 60) / 10
            writer.writerow([patient, "L", int(rng.random() < 1 / (1 + np.exp(-odds))), image, age])
    return path


def test_a_fusion_is_fitted_judged_and_applied(call, tmp_path):
    table, fusion = write_table(tmp_path / "t.csv"), tmp_path / "fusion.json"
    code, out, err = call("fuse", "fit", table, "-o", fusion)
    assert (code, err) == (0, "")
    assert "not a medical device" in out
    digest = ModelPackage.load(DEFAULT_MODEL).model_id.digest
    assert json.loads(fusion.read_text())["model_digest"] == digest
    code, out, _ = call("fuse", "evaluate", table)
    assert code == 0
    assert "difference" in out
    clinical = tmp_path / "c.csv"
    clinical.write_text("patient_id,age\nP_00820,78\n")
    out = tmp_path / "out"
    words = ("--sinks", "json", "--clinical", clinical, "--fusion", fusion)
    assert call("analyze", "--sample", "--out", out, *words)[0] == 0
    exams = {e["patient_id"]: e for e in json.loads((out / "results.json").read_text())["exams"]}
    raised, plain = exams["P_00820"], exams["P_00173"]
    assert raised["fusion"]["contributions"][0]["name"] == "age"
    assert raised["malignancy"] > raised["fusion"]["images_malignancy"]
    assert plain["fusion"]["contributions"] == []
    assert plain["malignancy"] == plain["fusion"]["images_malignancy"]
    assert any(w.startswith("clinical_unknown") for w in plain["warnings"])


def test_faults_stop_the_run_before_any_image_is_read(call, tmp_path):
    table = tmp_path / "c.csv"
    table.write_text("patient_id,age\nP_00820,780\n")
    code, _, err = call("analyze", "--sample", "--out", tmp_path / "o", "--clinical", table)
    assert code == 2
    assert "line 2" in err
    code, _, err = call("analyze", "--sample", "--out", tmp_path / "o", "--fusion", table)
    assert code == 2
    assert "fuse fit" in err
    assert not (tmp_path / "o").exists()
