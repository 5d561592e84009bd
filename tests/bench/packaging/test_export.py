"""What an export leaves: nothing of a failure, a card of its own data, whom it learned from."""

from __future__ import annotations

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="training needs mammolens[train]")

from safetensors.torch import save_file  # noqa: E402

from mammolens.bench.packaging import export, export_run  # noqa: E402
from mammolens.errors import ConfigError, InvalidManifest  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.train import train  # noqa: E402
from mammolens.model import ModelPackage, patient_digest, read_patients  # noqa: E402

BACKBONE = "test_efficientnet"
FOREIGN = """
[card]
intended_use = "A second reader of RSNA's images."
weaknesses = [
    "Normal is learned from INbreast alone.",
    "Its authors are in a hurry.",
    "CBIS-DDSM's masses taught it.",
]
licence = "As mini-MIAS."
attribution = "DDSM (University of South Florida)."

[notes]
rsna = "digital screening"
drawn = "drawn by a program"
"""


def configure(folder, table, further=""):
    path = folder / "run.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
table = "{table}"
cache = "{folder}/cache"
validation = 0.5
exclude_machines = ["DBA 21"]
[preprocess]
height = 64
width = 64
[network]
backbone = "{BACKBONE}"
weights = "{folder}/trunk.safetensors"
hidden = 16
frozen_stages = 2
[train]
epochs = 1
epoch_images = 8
batch = 8
threads = 1
{further}"""
    )
    return path


@pytest.fixture(scope="module")
def run(rows, write_table, tmp_path_factory):
    """A run over drawn breasts, with words of other people's data in its configuration."""
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    trunk = MammoNet(BACKBONE, hidden=8).trunk.state_dict()
    save_file({k: v.contiguous() for k, v in trunk.items()}, folder / "trunk.safetensors")
    known = [
        {**row, "age": str(40 + int(row["patient_id"][1:])), "machine": "M1"} for row in rows[1]
    ]
    columns = (*rows[1][0], "age", "machine")
    config = configure(folder, write_table("export.csv", known, columns), FOREIGN)
    train(config, folder / "run", on_progress=lambda _: None)
    return folder / "run"


@pytest.fixture(scope="module")
def exported(run):
    lines: list[str] = []
    export_run(run, run.parent / "package", lines.append)
    return run.parent / "package", lines


@pytest.mark.slow
def test_a_card_speaks_of_the_data_that_the_run_has_seen(exported):
    package, lines = exported
    card = ModelPackage.load(package).card
    words = (package / "CARD.md").read_text("utf-8").lower()
    for foreign in ("rsna", "ddsm", "inbreast", "mias", "dba 21", "digital screening"):
        assert foreign not in words
        assert foreign not in (package / "card.json").read_text("utf-8").lower()
    assert sum("left out of the card" in line for line in lines) == 5
    assert card.training.datasets[0].note == "drawn by a program"
    assert "Its authors are in a hurry." in card.weaknesses
    said = " ".join(card.weaknesses)
    for fact in (
        "24 images of 6 patients, 3 of them with cancer, of drawn",
        "64 × 64 pixels",
        "on the 6 validation patients (3 with cancer) of drawn",
        "of the 3 patients with cancer",
        "years (median",
        "No breast density of its training images is known",
        "Machines of its training images: M1 100%",
    ):
        assert fact in said, fact
    assert "licence not stated" in card.licence
    assert "origin not stated" in card.attribution


@pytest.mark.slow
def test_a_package_names_whom_it_learned_from_by_digest(exported):
    known = read_patients(exported[0])
    assert known is not None
    assert (len(known.taught), len(known.held_out), known.complete) == (6, 6, True)
    everyone = {patient_digest(("drawn", f"p{n:02d}")) for n in range(12)}
    assert known.taught | known.held_out == everyone


@pytest.mark.parametrize("stage", ["fix_operating_points", "checked_level", "validation_figures"])
@pytest.mark.parametrize("old", [False, True])
def test_a_failure_while_judging_leaves_what_was_there(
    run, exported, tmp_path, monkeypatch, stage, old
):
    def fail(*_, **__):
        raise InvalidManifest("it cannot be judged")

    graph = (exported[0] / "model.onnx").read_bytes()
    report = export.ModelPackage.load(exported[0]).card.graph_sha256
    made = type("Report", (), {"sha256": report, "size_bytes": 1})()
    made.rounding = made.graph = type("Change", (), {"probability": 0.0})()
    monkeypatch.setattr("mammolens.learn.export.trace_graph", lambda *_, **__: (graph, made))
    monkeypatch.setattr(export, stage, fail)
    target = tmp_path / "package"
    if old:
        shutil.copytree(exported[0], target)
        before = {path.name: path.read_bytes() for path in target.iterdir()}
    with pytest.raises(InvalidManifest, match="cannot be judged"):
        export_run(run, target)
    assert target.exists() == old
    if old:
        assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_a_place_that_holds_other_files_is_refused_before_anything_is_scored(run):
    lines: list[str] = []
    with pytest.raises(ConfigError, match="other files"):
        export_run(run, run, lines.append)
    assert not lines
    assert not (run / "card.json").exists()


@pytest.mark.slow
def test_a_network_that_goes_on_from_an_unknown_package_says_so(run, exported, tmp_path):
    """Known patients that are held out, and a package that names nobody: both are told."""
    (tmp_path / "unknown").mkdir()
    for name in ("model.onnx", "card.json"):
        shutil.copy(exported[0] / name, tmp_path / "unknown" / name)
    config = run.parent / "run.toml"
    for start, words in (
        (exported[0], "of the 6 patients that are held out here"),
        (tmp_path / "unknown", "does not list its patients"),
    ):
        lines: list[str] = []
        out = tmp_path / f"from-{start.name}"
        settings = (f"network.start={start}", "data.split_seed=2")
        train(config, out, settings, lines.append)
        assert any(line.startswith("caution: ") and words in line for line in lines)
        lineage = json.loads((out / "run.json").read_text())["lineage"]
        assert any(words in caution for caution in lineage["cautions"])
        assert lineage["complete"] == (start == exported[0])
        made = tmp_path / f"package-{start.name}"
        card = export_run(out, made).card
        assert any(words in weakness for weakness in card.weaknesses)
        assert any("Its trunk comes from" in weakness for weakness in card.weaknesses)
        assert "licence not stated" in card.licence
        assert f"{start}, whose terms apply as well: Research use only" in card.licence
        known = read_patients(made)
        assert known is not None
        assert known.complete == (start == exported[0])
        if known.complete:
            before = read_patients(exported[0])
            assert before is not None
            assert before.taught < known.taught


def test_a_validation_side_without_healthy_patients_is_refused_before_training(
    rows, write_table, run, tmp_path
):
    """Images of both kinds are there, but every patient has cancer: export could fix nothing."""
    ill = [{**row, "split": "train" if n % 2 else "validation"} for n, row in enumerate(rows[1])]
    for row in ill:
        number = int(row["patient_id"][1:])
        row["split"] = "validation" if number % 4 == 1 else "train"
    table = write_table("ill.csv", ill, (*rows[1][0], "split"))
    config = configure(tmp_path, table)
    settings = ("data.official=true", f"network.weights={run.parent}/trunk.safetensors")
    with pytest.raises(
        InvalidManifest,
        match=r"validation side has 3 patients with cancer and 0 without.*data\.validation",
    ):
        train(config, tmp_path / "out", settings, lambda _: None)
    assert not (tmp_path / "out").exists()
