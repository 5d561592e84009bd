"""Trunks of every kind: normalisation, unused parts, stages, and the exported graph against
captum."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.errors import ConfigError

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)


from mammolens.learn.export import trace_graph  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.pretrained_weights import fit_weights, read_weights  # noqa: E402


def export_onnx(net, path, **settings):
    """Write the graph that `trace_graph` makes, and give its report."""
    graph, report = trace_graph(net, str(path), **settings)
    path.write_bytes(graph)
    return report


HERE = Path(__file__).resolve()
BACKBONES = (
    "resnet18",
    "resnet50",
    "vgg16",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "convnext_tiny",
)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
REAL = next(
    (p for up in HERE.parents if (p := up.parent / "shared" / "weights").is_dir()), Path("absent")
)
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs ImageNet weights, which are not distributed with the product"
)


def small(backbone: str = "test_resnet", pooling: Any = "avg", hidden: int = 16) -> MammoNet:
    torch.manual_seed(0)
    return MammoNet(backbone, hidden=hidden, pooling=pooling).eval()


def pictures(seed: int = 0, n: int = 2, height: int = 96, width: int = 64) -> Any:
    rng = np.random.default_rng(seed)
    fields = rng.integers(0, 256, (n, 1, height // 8, width // 8), dtype=np.uint8)
    return np.ascontiguousarray(fields.repeat(8, 2).repeat(8, 3))


@pytest.mark.parametrize(
    ("backbone", "mean", "std"),
    [("test_efficientnet", *IMAGENET), ("test_resnet", (0.5,) * 3, (0.5,) * 3)],
)
def test_pictures_are_normalised_as_the_weights_expect(backbone, mean, std) -> None:
    net = small(backbone)
    batch = torch.from_numpy(pictures())
    plain = batch.expand(-1, 3, -1, -1).double() / 255.0
    by_hand = (plain - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        expected = net.trunk.forward_features(by_hand.float())
        np.testing.assert_allclose(net.maps(batch), expected, rtol=1e-4, atol=1e-5)


def test_the_product_s_own_network_reads_grey_as_it_always_did() -> None:
    net = small("tf_efficientnet_lite0")
    grey = torch.arange(256.0)
    assert torch.equal((grey / net.white - net.black).flatten(), grey / 127.5 - 1.0)
    keys = net.state_dict().keys()
    assert len(keys) == 298
    assert {"trunk.conv_stem.weight", "trunk.bn2.bias", "hidden.weight", "out.bias"} <= keys
    assert not {"white", "black"} & keys
    parts = list(net.stages())
    assert parts[:3] == [net.trunk.conv_stem, net.trunk.bn1, net.trunk.blocks[0]]
    assert len(parts) == 13


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_every_parameter_that_is_kept_is_used(backbone: str) -> None:
    net = small(backbone)
    net(torch.from_numpy(pictures())).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None]
    assert idle == []


def test_stages_part_a_stack_of_stages() -> None:
    net = small("test_convnext")
    assert list(net.trunk.stages) == [s for s in net.stages() if s in set(net.trunk.stages)]


@pytest.mark.slow
def test_vgg_keeps_its_maps_only_and_is_parted_where_it_halves_the_picture() -> None:
    net = small("vgg16")
    assert sum(p.numel() for p in net.trunk.parameters()) == 14_714_688
    assert net.hidden.in_features == 512
    sizes = [len(list(part.children())) for part in net.stages()][:5]
    assert sizes == [5, 5, 7, 7, 7]


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet19", r"no model named 'resnet19'.*resnet18"),
        ("test_vit", r"no feature maps.*\(1, 17, 64\)"),
    ],
)
def test_what_is_no_convolutional_trunk_is_refused(backbone: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MammoNet(backbone)


EXPLAINED = pictures(8, n=2, height=128, width=96)


def explained(net: MammoNet, batch: Any, number: int) -> Any:
    """Grad-CAM by captum of the untouched network at its feature maps."""
    attr = pytest.importorskip("captum.attr", reason="needs the extra mammolens[train]")

    class Seen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.layer = net, torch.nn.Identity()

        def forward(self, picture: Any) -> Any:
            logits = self.net.head(self.net.pool(self.layer(self.net.maps(picture))))
            if number == 2:
                return logits[:, 2] - torch.logsumexp(logits[:, :2], 1)
            return torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]

    seen = Seen()
    picture = torch.from_numpy(batch).float().requires_grad_(True)
    return attr.LayerGradCam(seen, seen.layer).attribute(picture, relu_attributions=True)[:, 0]


def settled(net: MammoNet) -> MammoNet:
    """A random trunk whose batch norms know the pictures, so that its maps are of use."""
    norms = [m for m in net.trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            net.train()
            net.maps(torch.from_numpy(EXPLAINED))
            net.eval()
    return net


def speaking(net: MammoNet) -> MammoNet:
    """A network whose scores vary, and whose maps have both signs before the last ReLU.

    What all features have in common is taken out of the head: it would give a map that is
    positive everywhere or nowhere.
    """
    batch = torch.from_numpy(EXPLAINED)
    with torch.no_grad():
        maps = net.maps(batch)
        scale = float(maps.std())
        if net.pooling in ("attention", "fine_attention"):
            for layer in (net.attention.content, net.attention.gate):
                torch.nn.init.normal_(layer.weight, 0.0, 0.1 / scale)
            torch.nn.init.normal_(net.attention.score.weight, 0.0, 1.0)
        common = torch.nn.functional.normalize(maps.mean((0, 2, 3)), dim=0)
        weight = torch.randn_like(net.hidden.weight) * (0.3 / scale)
        net.hidden.weight.copy_(weight - (weight @ common)[:, None] * common)
        torch.nn.init.normal_(net.out.weight, 0.0, 0.3)
        net.out.weight /= net(batch).std() + 1e-6
        net.out.bias -= net(batch).mean(0)
    return net


def check_export(net: MammoNet, path: Path) -> None:
    import onnxruntime

    batch = EXPLAINED
    export_onnx(net, path, half_weights=False, pictures=batch)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    probabilities, logits, *maps = session.run(None, {"image": batch})
    with torch.no_grad():
        expected = net(torch.from_numpy(batch))
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(probabilities, expected.softmax(1), atol=1e-4)
    for number, found in zip((2, 1), maps, strict=True):
        wanted = explained(net, batch, number).detach()
        if net.pooling == "fine_attention":
            wanted = torch.nn.functional.avg_pool2d(wanted, 2)
        assert found.shape == wanted.shape == (2, 4, 3)
        assert wanted.max() > 0, "an empty map proves nothing"
        assert np.abs(found - wanted.numpy()).max() / float(wanted.max()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["attention", "fine_attention"])
def test_attention_is_explained_in_the_graph(pooling: Any, tmp_path: Path) -> None:
    net = settled(small("test_resnet", pooling, hidden=48))
    check_export(speaking(net), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["avg", "gem", "attention", "fine_attention"])
@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext"])
def test_small_trunks_are_explained_in_the_graph(backbone, pooling, tmp_path: Path) -> None:
    net = settled(small(backbone, pooling, hidden=48))
    check_export(speaking(net), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_explained_in_the_graph(backbone: str, tmp_path: Path) -> None:
    net = settled(small(backbone, hidden=48))
    check_export(speaking(net), tmp_path / "m.onnx")


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_real_weights_are_explained_in_the_graph(backbone: str, tmp_path: Path) -> None:
    net = small(backbone, "gem", hidden=48)
    path = REAL / f"{backbone}.in1k.fp16.safetensors.xz"
    net.trunk.load_state_dict(fit_weights(net.trunk, read_weights(path), source=str(path)))
    check_export(speaking(net), tmp_path / "m.onnx")
