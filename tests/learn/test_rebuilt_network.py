"""A network comes back out of a package or a run, and says what that says."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mammolens.analysis import score_pictures
from mammolens.errors import BadModelPackage
from mammolens.model import ModelPackage

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)

from mammolens.learn.attribution import METHODS, LogOdds, look_at, map_of  # noqa: E402
from mammolens.learn.export import trace_graph  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.rebuilt_network import rebuild_network  # noqa: E402


def export_onnx(net, path, **settings):
    """Write the graph that `trace_graph` makes, and give its report."""
    graph, report = trace_graph(net, str(path), **settings)
    path.write_bytes(graph)
    return report


def pictures(rows: int, cols: int, n: int = 3) -> np.ndarray:
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (n, 1, rows // 8, cols // 8), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 2).repeat(8, 3))


@pytest.fixture
def exported(package: Path, tmp_path: Path):
    """Give a function that exports a drawn network as a package."""

    def make(backbone: str, pooling: str = "gem", **card: object) -> Path:
        torch.manual_seed(3)
        net = MammoNet(backbone, hidden=16, pooling=pooling)
        torch.nn.init.normal_(net.out.weight, 0.0, 0.5)
        with torch.no_grad():
            for parameter in net.parameters():  # alike tensors are stored once, under one name
                parameter += 0.02 * torch.randn_like(parameter)
            net(torch.from_numpy(pictures(96, 64, 8)))
        folder = tmp_path / "exported"
        folder.mkdir()
        report = export_onnx(
            net.eval(),
            folder / "model.onnx",
            temperature=(1.3, 0.8, 1.7),
            bias=(0.2, -0.1, 0.4),
            pictures=pictures(96, 64),
        )
        words = f"{backbone}, {pooling} pooling, fully connected 16, ReLU, and so on"
        changed = {"graph_sha256": report.sha256, "architecture": words, **card}
        said = json.loads((package / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(said | changed))
        return folder

    return make


def check(source: str | Path) -> None:
    package, rebuilt = ModelPackage.load(source), rebuild_network(source)
    batch = pictures(*package.card.input_shape)
    with torch.no_grad():
        said = torch.softmax(rebuilt.net(torch.from_numpy(batch)), 1).numpy()
    wanted = package.predict(batch).probabilities
    assert np.ptp(wanted, axis=0).max() > 1e-3, "pictures must differ for the network"
    np.testing.assert_allclose(said, wanted, atol=1e-4)
    graph = score_pictures(package, batch[:1, 0]).malignancy_map[0]
    model = LogOdds(rebuilt.net)
    heat = map_of(METHODS["grad_cam"], model, look_at(model, batch[0, 0]))
    np.testing.assert_allclose(heat, graph, atol=1e-3 * max(graph.max(), 1e-6))
    assert rebuilt.card == package.card
    assert rebuilt.split_digest == package.card.training.split_digest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mammolens-2", "mammolens-lesion-1"])
def test_the_built_in_models_come_back(name: str) -> None:
    check(name)


@pytest.mark.parametrize("pooling", ["avg", "gem", "attention"])
def test_a_package_comes_back(exported, pooling: str) -> None:
    check(exported("test_efficientnet", pooling))


def test_a_zip_comes_back(exported, tmp_path: Path) -> None:
    folder = exported("test_resnet")
    check(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))


def test_a_network_that_cannot_be_rebuilt_is_named(exported, package: Path) -> None:
    with pytest.raises(BadModelPackage, match=r"gives the architecture as 'mean grey value'.*run"):
        rebuild_network(package)
    with pytest.raises(BadModelPackage, match="no built-in model"):
        rebuild_network("absent")
    folder = exported(
        "test_resnet", architecture="test_efficientnet, gem pooling, fully connected 16, x"
    )
    with pytest.raises(
        BadModelPackage, match="cannot be rebuilt: the package's graph does not hold"
    ):
        rebuild_network(folder)


def test_another_pooling_is_found_out(exported) -> None:
    """The weights fit, and the network says something else."""
    folder = exported(
        "test_resnet", "gem", architecture="test_resnet, avg pooling, fully connected 16, ReLU"
    )
    with pytest.raises(BadModelPackage, match=r"cannot be rebuilt: its probabilities differ"):
        rebuild_network(folder)


def test_a_trunk_in_another_form_is_refused_with_a_way_out(exported) -> None:
    folder = exported("test_convnext")
    with pytest.raises(BadModelPackage, match=r"cannot be rebuilt.*run folder"):
        rebuild_network(folder)


@pytest.mark.slow
def test_a_run_comes_back(small_run: Path) -> None:
    from mammolens.learn.config import read_run
    from mammolens.learn.predict import load_network
    from mammolens.learn.train import train

    run = small_run / "run"
    config = read_run(small_run / "run.toml", ["train.epochs=1"])
    train(small_run / "run.toml", run, ["train.epochs=1"], lambda _: None)
    rebuilt = rebuild_network(str(run))
    assert rebuilt.card is None
    batch = torch.from_numpy(pictures(64, 64))
    with torch.no_grad():
        wanted = load_network(config, run / "best.safetensors")(batch)
        torch.testing.assert_close(rebuilt.net(batch), wanted, atol=1e-4, rtol=1e-4)
    assert rebuilt.split_digest == json.loads((run / "run.json").read_text())["split_digest"]
