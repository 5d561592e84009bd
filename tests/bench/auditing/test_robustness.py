"""What alterations do to scores: figures of planted changes, refusals counted, all repeatable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammolens.bench.auditing.alterations import ALTERATIONS, Alteration
from mammolens.bench.auditing.robustness import (
    altered_scores,
    robustness_figures,
    robustness_section,
)
from mammolens.bench.evaluate import read_tables
from mammolens.bench.scoring import score_records
from mammolens.data.manifest import Record
from mammolens.errors import ContractMismatch
from mammolens.model import ModelPackage

BY_NAME = {one.name: one for one in ALTERATIONS}
SOME = tuple(
    BY_NAME[name]
    for name in (
        "written again, nothing else",
        "inverted, tagged MONOCHROME1",
        "mirrored, laterality too",
        "laterality swapped",
        "noise, SD 1.0% of the range",
        "resolution × 0.25 and back",
    )
)


def blank(mammogram, _):
    return replace(mammogram, pixels=np.zeros_like(mammogram.pixels))


BLANK = Alteration("blank", "nothing", blank)


@pytest.fixture(scope="module")
def model(package):
    return ModelPackage.load(package, threads=1)


@pytest.fixture(scope="module")
def records(rows, write_table):
    return read_tables([write_table("robust.csv", rows[1])]).records


def test_scores_are_those_of_an_evaluation_and_of_the_altered_picture(model, records):
    chosen = records[:5]
    scores = altered_scores(model, chosen, SOME)
    plain = [one.scores.malignant for one in score_records(model, chosen)]
    assert scores[:, 0] == pytest.approx(plain, abs=1e-6)
    change = dict(
        zip((one.name for one in SOME), np.abs(scores[:, 1:] - scores[:, :1]).T, strict=True)
    )
    assert change["laterality swapped"].max() == 0.0
    assert change["written again, nothing else"].max() < 0.01
    assert change["inverted, tagged MONOCHROME1"].max() < 0.01
    assert change["mirrored, laterality too"].max() < 0.02
    assert change["noise, SD 1.0% of the range"].min() > 0.0
    assert np.array_equal(scores, altered_scores(model, chosen, SOME))
    back = altered_scores(model, chosen[::-1], SOME)[::-1]
    assert back == pytest.approx(scores, abs=1e-6)


def test_what_is_refused_is_counted_and_has_no_score(model, records, rows):
    (rows[0] / "broken.png").write_bytes(b"")
    broken = replace(records[1], path=rows[0] / "broken.png")
    found = robustness_section(
        model, [records[0], broken, *records[2:12]], alterations=(*SOME[:1], BLANK), draws=50
    )
    assert (found["n_images"], found["n_unreadable"]) == (11, 1)
    kept, refused = found["alterations"]
    assert (kept["n"], kept["n_refused"], kept["refused"]["value"]) == (11, 0, 0.0)
    assert (refused["n"], refused["n_refused"], refused["refused"]["value"]) == (0, 11, 1.0)
    assert refused["mean_absolute_change"] is None
    json.dumps(found, allow_nan=False)


def test_a_sample_is_seeded_and_takes_labels_in_turn(model, records):
    arguments = {"limit": 8, "alterations": SOME[4:5], "draws": 20}
    first = robustness_section(model, records, **arguments)
    assert first == robustness_section(model, records, **arguments)
    assert first != robustness_section(model, records, seed=1, **arguments)
    assert first["n_images"] == 8
    assert first["auc"] is not None


def women(n: int) -> list[Record]:
    return [
        Record(f"d{row % 2}", str(row), f"w{row // 4}", Path("x"), malignant=row % 3 == 0)
        for row in range(n)
    ]


def test_figures_are_those_of_the_scores():
    rng = np.random.default_rng(3)
    records, scores = women(120), rng.uniform(size=(120, 2))
    scores[:7, 1] = np.nan
    found = robustness_figures(records, scores, SOME[:1], threshold=0.6, draws=300)
    (row,) = found["alterations"]
    before, after = scores[7:].T
    moved = after - before
    assert (row["n"], row["n_refused"]) == (113, 7)
    assert row["refused"]["value"] == pytest.approx(7 / 120)
    assert row["mean_change"]["value"] == pytest.approx(moved.mean())
    assert row["mean_absolute_change"]["value"] == pytest.approx(np.abs(moved).mean())
    assert row["p95_absolute_change"]["value"] == pytest.approx(
        np.quantile(np.abs(moved), 0.95, method="inverted_cdf")
    )
    assert row["flipped"]["value"] == pytest.approx(np.mean((before >= 0.6) != (after >= 0.6)))
    labels = np.array([record.malignant for record in records[7:]])
    source = np.array([record.dataset == "d0" for record in records[7:]])
    pairs, areas = [], []
    for own in (source, ~source):
        pairs.append(labels[own].sum() * (~labels[own]).sum())
        areas.append([roc_auc_score(labels[own], column[own]) for column in (before, after)])
    first, second = np.average(areas, axis=0, weights=pairs)
    assert row["auc"]["value"] == pytest.approx(second)
    assert row["auc_difference"]["value"] == pytest.approx(second - first)
    for name in ("mean_absolute_change", "auc_difference", "flipped", "p95_absolute_change"):
        assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]
    assert row["datasets"]["d1"]["n"] == (~source).sum()
    assert row["datasets"]["d1"]["mean_change"]["value"] == pytest.approx(moved[~source].mean())


def test_sources_are_not_ranked_against_each_other():
    """Within both sources nothing is told; between them everything would be."""
    records = [
        Record(name, f"{row}", f"{name}{row}", Path("x"), malignant=row < ill)
        for name, ill in (("many", 20), ("few", 4))
        for row in range(24)
    ]
    scores = np.repeat([[0.9, 0.9], [0.1, 0.1]], 24, axis=0)
    found = robustness_figures(records, scores, SOME[:1], threshold=0.5, draws=20)
    assert found["auc"]["value"] == 0.5


def test_unknown_labels_count_for_changes_and_not_for_the_auc():
    records = [replace(one, malignant=None) for one in women(30)]
    found = robustness_figures(records, np.full((30, 2), 0.4), SOME[:1], threshold=0.5, draws=20)
    assert found["auc"] is None
    assert found["alterations"][0]["n"] == 30
    assert "auc" not in found["alterations"][0]


def test_a_model_of_lesions_is_refused(make_lesion_package, records):
    lesions = ModelPackage.load(make_lesion_package(), threads=1)
    with pytest.raises(ContractMismatch):
        altered_scores(lesions, records[:1], SOME)
