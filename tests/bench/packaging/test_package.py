"""A run becomes a package whose card says what `evaluate` measures."""

import pytest

pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.bench import evaluate
from mammolens.bench.packaging import export_run
from mammolens.errors import ConfigError
from mammolens.learn.train import train
from mammolens.model import ModelPackage


@pytest.fixture(scope="module")
def run_file(rows, write_table, tmp_path_factory):
    table = write_table("train.csv", rows[1])
    path = tmp_path_factory.mktemp("run") / "run.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
manifests = ["{table}"]
cache = "{path.parent}/cache"
validation = 0.5
[preprocess]
height = 192
width = 128
[network]
frozen_stages = 9
[train]
epochs = 1
epoch_images = 16
batch = 8
threads = 1
trunk_rate = 1e-6
head_rate = 1e-3
average = 0.5
"""
    )
    return path


@pytest.mark.slow
def test_the_card_of_an_exported_run_is_reproduced_by_evaluate(run_file, tmp_path):
    folder = run_file.parent / "out"
    train(run_file, folder, on_progress=lambda _: None)
    package = export_run(folder, tmp_path / "package")
    card = ModelPackage.load(tmp_path / "package").card
    assert card == package.card
    assert card.training.datasets[0].images == 24
    assert card.calibration.prior.malignant == pytest.approx(0.25, abs=0.05)
    summary = evaluate.run(str(tmp_path / "package"), run_file, tmp_path / "ev", "validation")
    for figure in card.validation:
        measured = summary.metrics["datasets"][figure.dataset][figure.task][figure.unit]
        assert (measured["n"], measured["n_positive"]) == (figure.n, figure.n_positive)
        assert measured["auc"]["value"] == pytest.approx(figure.auc.value, abs=0.02)


def test_a_folder_without_a_finished_pass_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has no finished pass.*mammolens train"):
        export_run(tmp_path, tmp_path / "package")
