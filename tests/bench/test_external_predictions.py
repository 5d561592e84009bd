"""Scores made elsewhere: read back exactly, or refused by name."""

from __future__ import annotations

import csv
import json

import pytest

from mammolens.bench.evaluate import _origin, run
from mammolens.bench.settings import Settings
from mammolens.data.manifest import Split
from mammolens.errors import ConfigError, InvalidManifest


@pytest.fixture(scope="module")
def scored(package, rows, write_table, tmp_path_factory):
    """A table, and the folder of the model's evaluation of it."""
    table = write_table("given.csv", rows[1])
    out = tmp_path_factory.mktemp("scored")
    return table, run(str(package), table, out)


def rewrite(source, target, change, columns=None):
    with source.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    lines = change(lines)
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns or list(lines[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    return target


@pytest.mark.slow
def test_what_was_written_reads_back_to_the_same_figures(package, scored, tmp_path):
    table, summary = scored
    again = run(None, table, tmp_path, predictions=summary.predictions_path)
    for key in ("malignancy", "tumour", "calibration", "conformal", "manifest_digest"):
        assert again.metrics[key] == summary.metrics[key], key
    assert again.metrics["model"] is again.metrics["prevalence"] is None
    assert again.metrics["predictions"]["path"] == str(summary.predictions_path)
    assert list(again.metrics["operating_points"]) == ["sensitivity=0.95", "specificity=0.9"]
    with_card = run(str(package), table, tmp_path, predictions=summary.predictions_path)
    for key in ("operating_points", "decision", "curves", "readers", "workload", "confusion"):
        assert with_card.metrics[key] == summary.metrics[key], key


@pytest.mark.slow
def test_order_of_rows_does_not_matter(scored, tmp_path):
    table, summary = scored
    turned = rewrite(summary.predictions_path, tmp_path / "p.csv", lambda lines: lines[::-1])
    again = run(None, table, tmp_path / "out", predictions=turned)
    assert again.metrics["malignancy"] == summary.metrics["malignancy"]


@pytest.mark.slow
def test_malignancy_alone_says_nothing_of_tumours(scored, tmp_path):
    table, summary = scored
    bare = rewrite(
        summary.predictions_path,
        tmp_path / "p.csv",
        lambda lines: lines,
        ["dataset", "image_id", "malignancy"],
    )
    found = run(None, table, tmp_path / "out", predictions=bare).metrics
    assert found["malignancy"]["image"]["auc"] == summary.metrics["malignancy"]["image"]["auc"]
    assert found["tumour"]["image"]["n"] == 0
    assert found["tumour"]["image"]["auc"] is None
    assert found["confusion"]["classes"]["matrix"] is None
    assert any("no tumour figures" in note for note in found["notes"])


@pytest.mark.slow
def test_tumour_may_be_given_in_place_of_normal(scored, tmp_path):
    table, summary = scored
    columns = ["dataset", "image_id", "malignancy", "tumour"]
    given = rewrite(summary.predictions_path, tmp_path / "p.csv", lambda lines: lines, columns)
    found = run(None, table, tmp_path / "out", predictions=given).metrics
    auc = found["tumour"]["breast"]["auc"]["value"]
    assert auc == pytest.approx(summary.metrics["tumour"]["breast"]["auc"]["value"])


def changed(**cells):
    def change(lines):
        lines[3].update(cells)
        return lines

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], r"1 of 48 images of the table have no row: drawn/p00-R-CC"),
        (lambda lines: [*lines, lines[5]], r"p01-R-MLO is there twice, in line 7 and line 50;"),
        (changed(image_id="stranger"), r"images that are not in the table: drawn/stranger"),
        (changed(p_malignant="nan", malignancy="NA"), r"line 5 has neither a score nor a reason"),
        (changed(p_malignant="0.9", malignancy="0.2"), r"line 5 says '0.2' \[malignancy\]"),
        (changed(p_malignant="1.2"), r"line 5 says '1.2' \[p_malignant\]"),
        (changed(p_normal="inf"), r"line 5 says 'inf' \[p_normal\]"),
        (changed(p_normal="0.9", p_malignant="0.9", malignancy=""), r"line 5: .* not sum to one"),
        (changed(p_malignant="", malignancy=""), r"line 5 has neither a score nor a reason"),
        (lambda lines: [{k: v for k, v in row.items() if k != "image_id"} for row in lines],
         r"columns are missing: image_id"),
        (lambda lines: [
            {k: v for k, v in row.items() if k not in ("malignancy", "p_malignant")}
            for row in lines
        ], r"columns are missing: p_malignant or malignancy"),
        (lambda lines: [{**row, "manifest_digest": "0" * 64} for row in lines],
         r"belong to another table"),
    ],
)  # fmt: skip
def test_faulty_predictions_are_refused_by_name(scored, tmp_path, change, said):
    table, summary = scored
    bad = rewrite(summary.predictions_path, tmp_path / "p.csv", change)
    with pytest.raises(InvalidManifest, match=said) as refused:
        run(None, table, tmp_path / "out", predictions=bad)
    assert refused.value.source == str(bad)
    assert refused.value.remedy or "no predictions" in str(refused.value)


def test_predictions_beside_the_metrics_of_another_table_are_refused(
    scored, rows, write_table, tmp_path
):
    _, summary = scored
    other = [dict(row) for row in rows[1]]
    other[0]["malignant"] = other[0]["tumour"] = "1"
    with pytest.raises(InvalidManifest, match="another table, or its labels have changed"):
        run(
            None,
            write_table("other.csv", other),
            tmp_path,
            predictions=summary.predictions_path,
        )


@pytest.mark.slow
def test_a_failure_needs_a_reason_and_is_counted(scored, tmp_path):
    table, summary = scored
    empty = dict.fromkeys(("p_normal", "p_benign", "p_malignant", "malignancy", "tumour"), "")
    failed = rewrite(
        summary.predictions_path, tmp_path / "p.csv", changed(**empty, error="NotAnImage: torn")
    )
    again = run(None, table, tmp_path / "out", predictions=failed)
    assert again.exit_code == 3
    assert again.metrics["unreadable"][0]["error"] == "NotAnImage"
    assert again.metrics["unreadable"][0]["message"] == "torn"
    assert again.metrics["malignancy"]["image"]["n"] == 47


def test_unreadable_files_are_named(scored, tmp_path):
    table, _ = scored
    with pytest.raises(InvalidManifest, match="cannot be read"):
        run(None, table, tmp_path, predictions=tmp_path / "none.csv")
    (tmp_path / "metrics.json").write_text("{")
    (tmp_path / "p.csv").write_text("dataset,image_id,malignancy\nd,i,0.5\n")
    with pytest.raises(InvalidManifest, match=r"metrics\.json"):
        run(None, table, tmp_path / "out", predictions=tmp_path / "p.csv")
    with pytest.raises(ConfigError, match="neither a model nor predictions"):
        run(None, table, tmp_path)


@pytest.mark.slow
def test_thresholds_are_fixed_on_the_named_side(package, rows, write_table, tmp_path):
    chosen = [
        {**row, "split": "test" if row["patient_id"] < "p06" else "validation"} for row in rows[1]
    ]
    table = write_table("sides.csv", chosen, (*chosen[0],))
    settings = Settings(fit_split=Split.VALIDATION, draws=50)
    found = run(str(package), table, tmp_path, "test", settings=settings)
    assert found.n_rows == 24
    point = found.metrics["operating_points"]["sensitivity=0.95"]
    assert point["threshold"] is not None
    assert point["malignancy"]["patient"]["fixed_on"] == (
        "the validation side: 6 units, 3 positive"
    )
    assert json.loads(found.metrics_path.read_text())["settings"]["fit_split"] == "validation"
    for split in (None, "validation"):
        with pytest.raises(ConfigError, match="other patients than those who are judged"):
            run(str(package), table, tmp_path, split, settings=settings)


def test_predictions_that_disappear_during_an_evaluation_are_named(tmp_path):
    with pytest.raises(InvalidManifest, match=r"scores\.csv.*can no longer be read"):
        _origin(tmp_path / "scores.csv")
