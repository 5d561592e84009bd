"""`mammolens explain` from a table to its files, and what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.errors import (
    BadModelPackage,
    ConfigError,
    ContractMismatch,
    InvalidManifest,
    StorageError,
)

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)

from mammolens import cli  # noqa: E402
from mammolens.bench.explaining.explanation_sheet import draw_sheet  # noqa: E402
from mammolens.bench.explaining.explanations import explain_model  # noqa: E402
from mammolens.bench.report import write_report  # noqa: E402
from mammolens.learn.export import trace_graph  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402


def export_onnx(net, path, **settings):
    """Write the graph that `trace_graph` makes, and give its report."""
    graph, report = trace_graph(net, str(path), **settings)
    path.write_bytes(graph)
    return report


@pytest.fixture(scope="module")
def small_model(package: Path, tmp_path_factory) -> Path:
    """A package of a drawn network."""
    torch.manual_seed(3)
    net = MammoNet("test_efficientnet", hidden=16, pooling="gem")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
        net.out.weight.normal_(0.0, 0.5)
        net(torch.randint(0, 255, (8, 1, 96, 64), dtype=torch.uint8))
    folder = tmp_path_factory.mktemp("small")
    report = export_onnx(net.eval(), folder / "model.onnx")
    said = json.loads((package / "card.json").read_text()) | {
        "graph_sha256": report.sha256,
        "architecture": "test_efficientnet, gem pooling, fully connected 16, ReLU",
    }
    (folder / "card.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def table(rows, write_table) -> Path:
    """Twelve drawn breasts of six women, the ill ones marked; one file cannot be read."""
    folder, drawn = rows
    marked = []
    for row in [row for row in drawn if row["image_id"][-4:] == "R-CC"]:
        ill = row["malignant"] == "1"
        spot = {"lesion_x": "80", "lesion_y": "160", "lesion_radius": "40"}
        marked.append(row | {"dataset": "synthetic-drawn"} | (spot if ill else {}))
    (folder / "broken.png").write_bytes(b"no picture")
    marked.append(marked[1] | {"image_id": "broken", "patient_id": "p99", "path": "broken.png"})
    columns = (*drawn[0], "lesion_x", "lesion_y", "lesion_radius")
    return write_table("marked.csv", marked, columns)


@pytest.fixture(scope="module")
def explained(small_model: Path, table: Path, tmp_path_factory) -> tuple[Path, list[str]]:
    out, lines = tmp_path_factory.mktemp("explained"), []
    explain_model(str(small_model), [table], out, slow=3, draws=100, on_progress=lines.append)
    return out, lines


@pytest.mark.slow
def test_every_method_is_measured_with_its_numbers(explained):
    out, lines = explained
    found = json.loads((out / "explanations.json").read_text())
    assert found["patients"] == {"unknown": 13}
    assert (found["n_images"], found["n_unreadable"]) == (12, 1)
    assert any("broken.png" in line for line in lines)
    methods = found["methods"]
    assert [*methods] == [
        *("grad_cam", "grad_cam_pp", "hires_cam", "layer_cam"),
        *("integrated_gradients", "occlusion", "brightness", "chance"),
    ]
    for name, one in methods.items():
        slow = name in ("integrated_gradients", "occlusion")
        here = one["localisation"]["all"]
        assert one["n_images"] == (3 if slow else 12)
        assert (here["n_lesions"], here["n_images_without"]) == ((3, 0) if slow else (6, 6))
        assert one["localisation"]["datasets"]["synthetic-drawn"] == here
        assert here["pointing_game"]["n"] == here["n_lesions"]
        assert 0.02 < here["pointing_game"]["chance"] < 0.5
        assert one["faithfulness"]["deletion"]["n"] == 3
        assert {*one["shuffled_weights"]} == {"head", "all"}
        assert ("difference" in one) is (name != "grad_cam")
    assert methods["grad_cam"]["time_ratio"] == 1.0


@pytest.mark.slow
def test_made_up_patients_are_called_so(explained):
    out, lines = explained
    said = "SYNTHETIC data (synthetic-drawn)"
    assert any(said in line for line in lines)
    assert said in (out / "explanations.md").read_text("utf-8")[:400]
    assert said in json.loads((out / "explanations.json").read_text())["notes"][0]


@pytest.mark.slow
def test_what_looks_at_the_picture_alone_does_not_depend_on_weights(explained):
    out, _ = explained
    methods = json.loads((out / "explanations.json").read_text())["methods"]
    for layers in ("head", "all"):
        alike = methods["brightness"]["shuffled_weights"][layers]
        assert alike["rank_correlation"]["value"] == pytest.approx(1.0)
        assert alike["structural_similarity"]["value"] == pytest.approx(1.0)
        assert alike["depends_on_weights"] is False


@pytest.mark.slow
def test_differences_are_of_the_same_images(explained):
    out, _ = explained
    methods = json.loads((out / "explanations.json").read_text())["methods"]
    both = [
        methods[name]["localisation"]["all"]["energy_in_lesion"]["value"]
        for name in ("brightness", "grad_cam")
    ]
    gap = methods["brightness"]["difference"]["energy_in_lesion"]
    assert gap["value"] == pytest.approx(both[0] - both[1])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert methods["occlusion"]["difference"]["energy_in_lesion"]["n"] == 3


@pytest.mark.slow
def test_the_tables_and_the_sheet_are_written(explained):
    out, _ = explained
    said = (out / "explanations.md").read_text()
    assert said.count("| Grad-CAM (in the graph) |") == 2
    assert said.count("| Occlusion |") == 3
    assert "6 lesions, 6 images without" in said
    assert "| Occlusion | 3; 3; 3 |" in said
    assert "| Brightness of the picture | 6; 12; 3 |" in said
    assert "1.00 (1.00–1.00), n 3; 1.00 (1.00–1.00), n 3" in said
    sheet = cv2.imread(str(out / "explanations.png"))
    assert sheet.shape[0] > 3 * 360
    assert sheet.shape[1] > 9 * 200


@pytest.mark.slow
def test_the_folder_has_a_report_with_the_sheet(explained, tmp_path):
    pytest.importorskip("typst", reason="needs the extra mammolens[report]")
    out, _ = explained
    page, print_ = write_report(out, tmp_path)
    text = page.read_text("utf-8")
    assert "Explanations of " in text
    assert text.count("<img") == 1
    assert "Occlusion" in text
    assert print_.read_bytes().startswith(b"%PDF")


def test_the_outline_lies_on_the_lesion(table: Path):
    from mammolens.data.cache import prepare_record
    from mammolens.data.manifest import Manifest
    from mammolens.preprocess import PreprocessConfig

    record = next(r for r in Manifest.read(table).records if r.lesions)
    view = prepare_record(record, PreprocessConfig(height=96, width=64))
    heat = np.zeros((3, 2), np.float32)
    heat[1, 0] = 1.0
    sheet = draw_sheet([(record, view, {"a": heat})], {"a": "A", "b": "B"})
    pink = (sheet[..., 0] > 180) & (sheet[..., 1] < 110) & (sheet[..., 2] > 140)
    rows, cols = np.nonzero(pink[:, :240])
    assert pink[:, 240:480].sum() > 20
    assert pink[:, 480:].sum() == 0
    assert np.ptp(cols) > 10
    assert np.ptp(rows) > 10


def door(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["mammolens", "explain", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.slow
def test_the_command_limits_names_and_tells(small_model, table, tmp_path, monkeypatch, capsys):
    words = (str(small_model), "--manifest", str(table), "--out", str(tmp_path / "out"))
    code, out, err = door(
        monkeypatch, capsys, *words, "--methods", "layer_cam", "--limit", "2", "--slow", "1"
    )
    assert code == 0
    assert "explanations.json" in out
    assert "Grad-CAM (in the graph), LayerCAM: " in err
    found = json.loads((tmp_path / "out" / "explanations.json").read_text())
    assert found["n_images"] + found["n_unreadable"] == 4
    assert [*found["methods"]] == ["grad_cam", "layer_cam"]
    code, _, err = door(monkeypatch, capsys, *words, "--methods", "layercam")
    assert code == 2
    assert "Use 'layer_cam'" in err


@pytest.mark.slow
def test_what_cannot_be_explained_is_refused_by_name(
    small_model, package, rows, table, write_table, tmp_path
):
    _, drawn = rows
    plain = write_table("plain.csv", drawn)
    with pytest.raises(
        InvalidManifest, match=r"plain\.csv: none of these images has a marked lesion"
    ):
        explain_model(str(small_model), [plain], tmp_path)
    with pytest.raises(ConfigError, match="no split 'held'"):
        explain_model(str(small_model), [table], tmp_path, split="held")
    with pytest.raises(InvalidManifest, match="none of these images"):
        explain_model(str(small_model), [table], tmp_path, split="test")
    with pytest.raises(BadModelPackage, match="cannot be rebuilt"):
        explain_model(str(package), [table], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        explain_model(str(small_model), [table], tmp_path / "file")


@pytest.mark.slow
def test_a_model_of_lesions_has_no_place_to_find(small_model, make_lesion_package, table, tmp_path):
    (tmp_path / "model.onnx").write_bytes((small_model / "model.onnx").read_bytes())
    said, own = (
        json.loads((folder / "card.json").read_text())
        for folder in (make_lesion_package(), small_model)
    )
    said |= {key: own[key] for key in ("graph_sha256", "architecture")}
    (tmp_path / "card.json").write_text(json.dumps(said))
    with pytest.raises(ContractMismatch, match="reads marked lesions"):
        explain_model(str(tmp_path), [table], tmp_path / "out")


def run_toml(folder: Path, table: Path, path: Path, localisation: Path | None = None) -> Path:
    further = f'localisation = ["{localisation}"]' if localisation else ""
    path.write_text(
        f"""
name = "tiny"
[data]
manifests = ["{table}"]
cache = "{folder}/cache"
validation = 0.4
{further}
[preprocess]
height = 96
width = 64
[network]
backbone = "test_efficientnet"
"""
    )
    return path


@pytest.mark.slow
def test_a_run_holds_patients_out_and_only_its_own_model(small_model, rows, table, tmp_path):
    from mammolens.data.splits import split_digest
    from mammolens.learn.config import load_manifest, read_run

    folder, _ = rows
    run = run_toml(folder, table, tmp_path / "run.toml")
    with pytest.raises(InvalidManifest, match="split is not the one that brightness"):
        explain_model(str(small_model), [run], tmp_path / "out")
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.onnx").write_bytes((small_model / "model.onnx").read_bytes())
    card = json.loads((small_model / "card.json").read_text())
    manifest = load_manifest(read_run(run))
    card["training"]["split_digest"] = split_digest(manifest)
    (own / "card.json").write_text(json.dumps(card))
    for split, side in ((None, "held out"), ("train", "learned from")):
        paths = explain_model(
            str(own), [run], tmp_path / "out", methods=["hires_cam"], split=split, slow=1, draws=50
        )
        found = json.loads(paths[0].read_text())
        wanted = {r.patient for r in manifest.records if r.split.value == (split or "validation")}
        assert found["patients"] == {side: len(wanted)}


@pytest.mark.slow
def test_only_benign_marks_are_any_marks(small_model, table, write_table, tmp_path):
    with table.open(newline="") as stream:
        cells = [row for row in csv.DictReader(stream) if row["lesion_x"]][:2]
    benign = write_table(
        "benign.csv", [row | {"malignant": "0", "tumour": "1"} for row in cells], tuple(cells[0])
    )
    paths = explain_model(str(small_model), [benign], tmp_path, draws=20)
    methods = json.loads(paths[0].read_text())["methods"]
    assert methods["grad_cam"]["localisation"]["all"]["target"] == "any"
    assert methods["occlusion"]["n_images"] == 0
    assert methods["occlusion"]["localisation"]["all"] is None
    assert len(paths) == 2
