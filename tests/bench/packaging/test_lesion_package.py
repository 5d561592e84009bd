"""A run on marked lesions becomes a lesion package: card, figures, regions scored with it."""

import csv

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.analysis import analyze_region_file
from mammolens.bench import evaluate
from mammolens.bench.packaging import export_run
from mammolens.core import InputKind
from mammolens.data.manifest import Manifest
from mammolens.data.regions import region_records
from mammolens.learn.train import train
from mammolens.model import ModelPackage
from mammolens.preprocess import RegionConfig

PLACES = ((120, 60), (230, 90))
AGAINST = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def lesion_run(tmp_path_factory):
    """Films of twelve women, two lesions each: an ill woman has one ragged star, all else is round.

    Four are drawn against their label, lest the ranking be perfect and the temperature tiny.
    """
    folder = tmp_path_factory.mktemp("films")
    rows, marks = [], []
    for woman in range(12):
        rng = np.random.default_rng(woman)
        y, x = np.mgrid[:360, :260]
        inside = ((y - 180) / 160) ** 2 + (x / 220) ** 2 < 1
        film = np.where(inside, 90 + rng.normal(0, 6, inside.shape), 0)
        ill = woman % 2
        for number, (row, col) in enumerate(PLACES):
            angle, far = np.arctan2(y - row, x - col), np.hypot(y - row, x - col)
            first = number == 0
            star = first and bool(ill) != (woman in AGAINST)
            film[far < (22 + 12 * np.cos(9 * angle) if star else 26)] = 190
            marks.append([f"f{woman}", int(ill and first), row - 30, col - 30, row + 30, col + 30])
        cv2.imwrite(str(folder / f"f{woman}.png"), np.clip(film, 0, 255).astype(np.uint8))
        rows.append(["drawn", f"f{woman}", f"w{woman}", f"f{woman}.png", 1, ill])
    with (folder / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["dataset", "image_id", "patient_id", "path", "tumour", "malignant"], *rows]
        )
    with (folder / "lesions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["image_id", "malignant", "row0", "col0", "row1", "col1"], *marks]
        )
    run = folder / "run.toml"
    run.write_text(
        f"""
name = "tiny-lesion"
[data]
manifests = ["{folder}/table.csv"]
cache = "{folder}/cache"
validation = 0.5
[preprocess]
kind = "lesion"
height = 128
width = 128
[network]
frozen_stages = 9
[train]
epochs = 1
head_rate = 1e-3
epoch_images = 16
batch = 8
threads = 1
average = 0.5
trunk_rate = 1e-6
"""
    )
    return run


@pytest.mark.slow
def test_a_lesion_run_becomes_a_package_that_scores_regions(lesion_run, tmp_path) -> None:
    train(lesion_run, tmp_path / "run", on_progress=lambda _: None)
    export_run(tmp_path / "run", tmp_path / "package")
    model = ModelPackage.load(tmp_path / "package")
    card = model.card
    assert card.input_kind is InputKind.LESION
    assert card.preprocess == RegionConfig(height=128, width=128)
    assert card.operating_points.low.unit == card.operating_points.high.unit == "lesion"
    assert card.operating_points.low.n == 12
    assert {(figure.task, figure.unit, figure.n) for figure in card.validation} == {
        ("malignancy", "lesion", 12)
    }
    assert card.training.datasets[0].images == 12
    assert card.calibration.prior.malignant == pytest.approx(0.25)
    assert card.calibration.prior.normal < 1e-6

    table = lesion_run.parent / "table.csv"
    regions = region_records(Manifest.read(table))
    assert len(regions.records) == 24
    scored = evaluate.run(str(tmp_path / "package"), lesion_run, tmp_path / "ev", "validation")
    measured = scored.metrics["malignancy"]["image"]
    assert (measured["n"], measured["n_positive"]) == (12, 3)
    assert measured["auc"]["value"] == pytest.approx(card.validation[0].auc.value, abs=0.1)
    points = scored.metrics["operating_points"]
    assert points["low"]["sensitivity"]["value"] > 0.6
    with scored.predictions_path.open() as stream:
        predicted = {row["image_id"]: row for row in csv.DictReader(stream)}
    assert all(float(row["p_normal"]) < 1e-8 for row in predicted.values())

    name, row = next(iter(predicted.items()))
    box = tuple(float(edge) for edge in name[name.index("[") + 1 : -1].split(","))
    film = lesion_run.parent / f"{name.partition('[')[0]}.png"
    region = analyze_region_file(film, [box], model).regions[0]
    assert region.malignant == pytest.approx(float(row["p_malignant"]), abs=1e-4)
