"""A package goes on learning: its trunk comes back out of the exported graph."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mammolens.errors import BadModelPackage, ConfigError

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)

from mammolens.learn.export import trace_graph  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.rebuilt_network import settle_statistics, unfold_trunk  # noqa: E402


def export_onnx(net, path, **settings):
    """Write the graph that `trace_graph` makes, and give its report."""
    graph, report = trace_graph(net, str(path), **settings)
    path.write_bytes(graph)
    return report


class Drawn:
    """Pictures in the form of a prepared cache."""

    records = tuple(range(40))

    def picture(self, row: int) -> np.ndarray:
        rng = np.random.default_rng(row)
        return rng.integers(0, 256, (12, 8), np.uint8).repeat(8, 0).repeat(8, 1)


@pytest.fixture
def exported(package: Path, tmp_path: Path):
    """Give a function that exports a network as a package."""

    def make(net: MammoNet) -> Path:
        folder = tmp_path / "exported"
        folder.mkdir()
        pictures = np.stack([Drawn().picture(row) for row in range(3)])[:, None]
        report = export_onnx(net, folder / "model.onnx", half_weights=False, pictures=pictures)
        card = json.loads((package / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(card | {"graph_sha256": report.sha256}))
        return folder

    return make


def learned(backbone: str) -> MammoNet:
    """A trunk whose batch norms have seen pictures, so that each does something of its own."""
    torch.manual_seed(3)
    net = MammoNet(backbone, hidden=16)
    with torch.no_grad():
        for parameter in net.trunk.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for start in range(0, 40, 8):
            net.maps(batch_of(range(start, start + 8)))
    return net.eval()


def batch_of(rows) -> torch.Tensor:
    return torch.from_numpy(np.stack([Drawn().picture(row) for row in rows])[:, None])


def settled(net: MammoNet) -> MammoNet:
    settle_statistics(net, Drawn(), seed=0, batch=8, device=torch.device("cpu"))
    return net


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_a_trunk_comes_back_and_says_what_it_said(backbone: str, exported) -> None:
    net = learned(backbone)
    back = MammoNet(backbone, hidden=16)
    unfold_trunk(back, str(exported(net)))
    assert back.training
    with torch.no_grad():
        expected = net.maps(batch_of(range(6)))
        scale = float(expected.abs().max())
        for stage in (back, settled(back)):
            found = stage.eval().maps(batch_of(range(6)))
            assert float((found - expected).abs().max()) < 1e-4 * scale
            stage.train()


def test_its_norms_know_what_they_see() -> None:
    """In training mode, on many pictures, it says nearly what it says in evaluation mode."""
    net = learned("test_resnet")
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean += 3.0
        norm.bias.data += 3.0 * norm.weight.data / (norm.running_var + norm.eps).sqrt()
    everything = batch_of(range(40))

    def gap() -> float:
        with torch.no_grad():
            trained, judged = net.train().maps(everything), net.eval().maps(everything)
        return float((trained - judged).abs().mean() / judged.abs().mean())

    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = 0.0  # looking changes nothing
    settled(net)
    assert gap() < 0.02


@pytest.mark.slow
def test_a_package_of_another_trunk_is_refused_by_layer(exported) -> None:
    folder = exported(learned("test_resnet"))
    with pytest.raises(ConfigError, match=r"not hold this trunk: .*weight.*network\.start"):
        unfold_trunk(MammoNet("test_efficientnet", hidden=16), str(folder))
    with pytest.raises(BadModelPackage, match="no built-in model"):
        unfold_trunk(MammoNet("test_resnet", hidden=16), str(folder / "absent"))


def test_a_trunk_that_a_graph_holds_in_another_form_is_refused(exported) -> None:
    folder = exported(MammoNet("test_convnext", hidden=16).eval())
    with pytest.raises(ConfigError, match=r"best\.safetensors"):
        unfold_trunk(MammoNet("test_convnext", hidden=16), str(folder))


def test_the_built_in_model_can_go_on_learning() -> None:
    net = MammoNet("tf_efficientnet_lite0")
    before = net.trunk.blocks[5][0].conv_pw.weight.clone()
    unfold_trunk(net, "mammolens-2")
    assert not torch.equal(net.trunk.blocks[5][0].conv_pw.weight, before)
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())


def test_filters_before_a_norm_have_the_size_that_they_usually_have(exported) -> None:
    """Behind a norm only a filter's direction counts, and a rate is too high for a small one."""
    net = learned("test_resnet")
    first = net.trunk.layer1[0].conv1.weight.detach()
    net.trunk.layer1[0].bn1.weight.data /= 50.0  # export makes small filters of it
    torch.manual_seed(5)
    back = MammoNet("test_resnet", hidden=16)
    usual = back.trunk.layer1[0].conv1.weight.square().mean((1, 2, 3)).clone()
    unfold_trunk(back, str(exported(net)))
    found = back.trunk.layer1[0].conv1.weight.detach()
    assert torch.allclose(found.square().mean((1, 2, 3)), usual, rtol=1e-4)
    straight = torch.nn.functional.cosine_similarity(found.flatten(1), first.flatten(1))
    assert float(straight.min()) > 0.999
