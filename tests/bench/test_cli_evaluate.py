"""The command `mammolens evaluate`, its options and what it shows."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mammolens import cli
from mammolens.errors import ConfigError


@pytest.fixture(scope="module")
def call():
    def run(*words):
        return CliRunner().invoke(cli.app, ["evaluate", *map(str, words)])

    return run


@pytest.fixture(scope="module")
def judged(call, package, rows, write_table, tmp_path_factory):
    table = write_table("cli.csv", rows[1])
    out = tmp_path_factory.mktemp("cli")
    wanted = ("--point", "cost=20", "--point", "recall=0.2", "--prevalence", "0.01")
    told = call(package, "--manifest", table, "--out", out, *wanted, "--coverage", "0.6")
    return table, out, told


@pytest.mark.slow
def test_options_reach_the_document(judged):
    _, out, told = judged
    assert told.exit_code == 0, told.output
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["schema"] == "mammolens.evaluation/2"
    assert metrics["settings"] == {
        "points": ["cost=20", "recall=0.2"],
        "prevalence": 0.01,
        "coverage": 0.6,
        "fit_split": None,
    }
    assert list(metrics["operating_points"]) == ["low", "high", "cost=20", "recall=0.2"]
    assert metrics["workload"]["patient"]["prevalence"] == 0.01
    assert metrics["conformal"]["malignancy"]["patient"]["promised"] == 0.6


def test_few_positives_are_warned_of_on_the_console(judged):
    assert "WARNING: drawn, malignancy: 6 positive by breast" in judged[2].output
    assert "recall=0.2" in judged[2].output


def test_predictions_need_no_model(call, judged, tmp_path):
    table, out, _ = judged
    given = ("--predictions", out / "predictions.csv", "--manifest", table)
    told = call(*given, "--out", tmp_path)
    assert told.exit_code == 0, told.output
    first, again = (
        json.loads((folder / "metrics.json").read_text("utf-8")) for folder in (out, tmp_path)
    )
    assert again["malignancy"] == first["malignancy"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--point", "auc=0.9"), "not an operating point"),
        (("--fit-split", "other"), "no split 'other'"),
        (("--prevalence", "0"), "prevalence"),
    ],
)
def test_impossible_options_are_refused(call, judged, tmp_path, words, said):
    table, out, _ = judged
    told = call(
        "--predictions", out / "predictions.csv", "--manifest", table, "--out", tmp_path, *words
    )
    assert isinstance(told.exception, ConfigError)
    assert said in str(told.exception)
