"""Fitting and judging a fusion: what is learned, what is refused, and what the figures are of."""

import json
import math
from datetime import date

import numpy as np
import pytest

from mammolens.clinical.fitting import evaluate_fusion, fit_fusion, judge
from mammolens.clinical.fusion import Fusion, read_fusion, write_fusion
from mammolens.clinical.fusion_table import FusionTable, read_fusion_table
from mammolens.core import ClinicalItem, Laterality, ModelId
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.probability import patient_folds

MODEL = ModelId("m", "1.0", "ab" * 32)


def write_table(path, *, slope=0.6, n=300, seed=0, scale=1.0):
    """Two breasts of each patient; the age adds `slope` for ten years to calibrated log-odds."""
    rng = np.random.default_rng(seed)
    lines = ["dataset,patient_id,laterality,malignant,image_log_odds,age,density,lump"]
    for patient in range(n):
        age = rng.uniform(40, 80)
        for side in "LR":
            image = rng.normal(-0.5, 1.2)
            odds = scale * (image + slope * (age - 60) / 10)
            malignant = int(rng.random() < 1 / (1 + math.exp(-odds)))
            known = f"{age:.1f}" if rng.random() < 0.8 else ""
            density = rng.choice(["a", "2", "C", "extremely dense", ""])
            lump = rng.choice(["no", side, ""])
            cells = (rng.choice(["x", "y"]), patient, side, malignant, f"{image:.4f}")
            lines.append(",".join(map(str, (*cells, known, density, lump))))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("fusion") / "t.csv")


@pytest.fixture(scope="module")
def fusion(table):
    return fit_fusion(table, MODEL)


def test_what_the_data_hold_is_found(fusion):
    age = next(one for one in fusion.inputs if one.name == "age")
    assert age.log_odds * 10 / age.scale == pytest.approx(0.6, abs=0.25)
    assert fusion.image_slope == pytest.approx(1.0, abs=0.25)
    others = [abs(one.log_odds) for one in fusion.inputs if one.name != "age"]
    assert max(others) < 0.4  # three standard errors of a slope of 600 breasts
    assert fusion.n_breasts == 600
    assert fusion.n_patients > 300  # a patient of two data sets counts in each


def test_a_gain_is_found_out_of_fold_and_a_table_without_one_shows_none(fusion, tmp_path):
    gains = [found["difference"]["low"] for found in fusion.evaluation.values()]
    assert max(gains) > 0
    nothing = fit_fusion(write_table(tmp_path / "n.csv", slope=0.0, seed=3), MODEL)
    for found in nothing.evaluation.values():
        assert found["difference"]["low"] < 0.01
        assert abs(found["difference"]["value"]) < 0.03


def test_scores_that_are_too_steep_do_not_change_what_is_added(tmp_path):
    fitted = fit_fusion(write_table(tmp_path / "s.csv", scale=0.5, n=500), MODEL)
    assert fitted.image_slope == pytest.approx(0.5, abs=0.15)
    age = next(one for one in fitted.inputs if one.name == "age")
    assert age.log_odds * 10 / age.scale == pytest.approx(0.6, abs=0.35)


def test_a_file_comes_back_as_it_was_written(fusion, tmp_path):
    path = write_fusion(fusion, tmp_path / "f.json")
    assert read_fusion(path, MODEL) == fusion
    said = json.loads(path.read_text())
    assert "not a medical device" in said["disclaimer"]
    assert said["model_digest"] == MODEL.digest
    assert said["evaluation"]["x"]["folds"][0].keys() == {"fold", "n", "image", "fused"}


def test_a_fusion_of_another_model_is_refused(fusion, tmp_path):
    path = write_fusion(fusion, tmp_path / "f.json")
    with pytest.raises(
        ConfigError, match=r"f\.json: the fusion was fitted for m 1.0.*Fit it again"
    ):
        read_fusion(path, ModelId("m", "1.1", "cd" * 32))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs": []}, "inputs"),
        ({"form": "mammolens.fusion/2"}, "form"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_damaged_file_is_refused(fusion, tmp_path, change, told):
    path = tmp_path / "f.json"
    path.write_text(json.dumps(json.loads(fusion.model_dump_json()) | change))
    with pytest.raises(ConfigError, match=rf"f\.json.*{told}.*fuse fit"):
        read_fusion(path, MODEL)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"f\.json.*fuse fit"):
        read_fusion(path, MODEL)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_fusion(tmp_path / "none.json", MODEL)


def test_race_is_no_input(fusion):
    said = json.loads(fusion.model_dump_json())
    said["inputs"][0]["name"] = "race"
    with pytest.raises(ValueError, match="race"):
        Fusion.model_validate(said)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("patient_id,malignant,age\n1,1,60\n2,0,50\n", "no image score"),
        ("patient_id,malignant,image_log_odds,age\n1,1,0.5,60\n2,1,0.2,50\n", "one class"),
        ("patient_id,malignant,image_log_odds,age\n1,1,,60\n2,0,0.2,50\n", "line 2.*score"),
        ("patient_id,malignant,image_probability,age\n1,1,1.5,60\n2,0,0.2,50\n", "line 2.*score"),
        ("patient_id,malignant,image_log_odds,age\n1,1,0.5,60\n2,0,0.2,50\n", "known for 2"),
        ("patient_id,malignant,image_log_odds\n1,1,0.5\n2,0,0.2\n", "no clinical data"),
    ],
)
def test_tables_from_which_nothing_can_be_learned_are_refused(tmp_path, body, told):
    path = tmp_path / "t.csv"
    path.write_text(body)
    with pytest.raises(InvalidManifest, match=told):
        fit_fusion(path, MODEL)


def test_an_input_that_the_table_lacks_is_named(table):
    with pytest.raises(InvalidManifest, match=r"no input biopsies.*age, density, lump"):
        fit_fusion(table, MODEL, ["biopsies"])


def test_scores_that_rank_nothing_are_refused(tmp_path):
    with pytest.raises(InvalidManifest, match="do not rank"):
        fit_fusion(write_table(tmp_path / "r.csv", scale=-1.0), MODEL)


def test_the_table_of_the_fit_judges_nothing(fusion, table, tmp_path):
    with pytest.raises(InvalidManifest, match="fitted on this table"):
        evaluate_fusion(table, fusion)
    fresh = evaluate_fusion(write_table(tmp_path / "fresh.csv", seed=9), fusion)
    assert max(found["difference"]["low"] for found in fresh.values()) > 0


def test_an_unknown_input_adds_nothing_and_a_known_one_its_share(fusion):
    items = (ClinicalItem("age", 75.0, "t"), ClinicalItem("lump", True, "t", None, Laterality.LEFT))
    sides = [Laterality.LEFT, Laterality.RIGHT, None]
    found = fusion.contributions(items, sides)
    assert [(one.name, one.laterality) for one in found] == [
        ("age", None),
        ("lump", Laterality.LEFT),
    ]
    assert fusion.missing(found) == ("density",)
    assert fusion.contributions((), sides) == ()


def test_the_mean_of_folds_is_judged_not_the_pool():
    """Scores that are shifted between folds rank perfectly within each of them."""
    patients = np.array([str(n) for n in range(200)])
    folds = patient_folds(patients.tolist())
    labels = np.arange(200) % 2 == 0
    image = np.where(labels, 1.0, 0.0) + 10.0 * folds
    table = FusionTable(
        labels, image, np.full((200, 1), np.nan), ("age",), np.full(200, "x"), patients
    )
    found = judge(table, image, folds, draws=50)["x"]
    assert found["image"]["value"] == 1.0
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_probability_is_read_as_log_odds(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "patient_id,malignant,image_probability,age\n1,1,0.75,60\n2,0,0.5,50\n3,,0.1,40\n"
    )
    read = read_fusion_table(path, date(2026, 1, 1))
    assert read.image.tolist() == pytest.approx([math.log(3), 0.0])
