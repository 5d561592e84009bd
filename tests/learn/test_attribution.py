"""Every way to explain against captum, against its own formula, or against what must hold."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from mammolens.errors import ConfigError

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
if importlib.util.find_spec("timm") is None:  # importing it needs the shim for torchvision first
    pytest.skip("needs the extra mammolens[train]", allow_module_level=True)
attr = pytest.importorskip("captum.attr", reason="needs the extra mammolens[train]")

from mammolens.learn.attribution import (  # noqa: E402
    METHODS,
    Costs,
    LogOdds,
    choose_methods,
    look_at,
    map_of,
    probabilities,
    shuffled,
)
from mammolens.learn.network import MammoNet  # noqa: E402

CAMS = ("grad_cam", "grad_cam_pp", "hires_cam", "layer_cam")
COSTS = Costs(steps=12, window_px=64, stride_px=32, batch=4)


def network(pooling: str = "gem", backbone: str = "test_efficientnet") -> MammoNet:
    """A network that says something of pictures: its norms know them, its head is not tiny."""
    torch.manual_seed(1)
    net = MammoNet(backbone, hidden=24, pooling=pooling)
    norms = [part for part in net.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        torch.nn.init.uniform_(norm.weight, 0.7, 1.5)
        torch.nn.init.normal_(norm.bias, 0.0, 0.3)
    torch.nn.init.normal_(net.hidden.weight, 0.0, 0.1)
    torch.nn.init.normal_(net.out.weight, 0.0, 0.5)
    if pooling.endswith("attention"):
        torch.nn.init.normal_(net.attention.score.weight, 0.0, 0.5)
    with torch.no_grad():
        net(torch.from_numpy(np.stack([picture(n) for n in range(8)])[:, None]))
    return net.eval().requires_grad_(False)


def picture(seed: int, height: int = 160, width: int = 128) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1))


def image_of(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy())[None, None].float()


def alone(name: str, model: LogOdds, pixels: np.ndarray) -> np.ndarray:
    """The map of the picture itself, without its mirror image."""
    return METHODS[name].explain(model, look_at(model, pixels)[0], COSTS).detach().numpy()


def maps_and_gradient(model: LogOdds, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Feature maps and the score's gradient there, through the untouched network, in float64."""
    kept = {}

    def keep(_module, _inputs, output):
        output.requires_grad_()
        output.retain_grad()
        kept["maps"] = output

    handle = model.maps.register_forward_hook(keep)
    logits = model.net.head(model.net.pool(model.maps(image_of(pixels))))
    odds = logits[0, 2] - torch.log(torch.exp(logits[0, :2]).sum())
    odds.backward()
    handle.remove()
    maps = kept["maps"]
    return maps.detach()[0].double().numpy(), maps.grad[0].double().numpy()


@pytest.fixture(scope="module", params=["avg", "gem", "attention"])
def model(request) -> LogOdds:
    return LogOdds(network(request.param))


def close(found: np.ndarray, wanted: np.ndarray, share: float = 1e-4) -> None:
    assert wanted.max() > 0, "the test must look at a map that says something"
    np.testing.assert_allclose(found, wanted, atol=share * wanted.max())


def told(model: LogOdds, name: str) -> np.ndarray:
    """A picture of which a method says something."""
    return next(p for p in map(picture, range(20)) if alone(name, model, p).max() > 0)


def test_the_score_is_the_log_odds_of_malignancy(model):
    pixels = np.stack([picture(n) for n in range(3)])[:, None]
    shares = torch.softmax(model.net(torch.from_numpy(pixels)), 1)[:, 2].double().numpy()
    np.testing.assert_allclose(probabilities(model, pixels), shares, atol=1e-6)


def test_grad_cam_is_captums(model):
    pixels = told(model, "grad_cam")
    with torch.enable_grad():
        wanted = attr.LayerGradCam(model, model.maps).attribute(
            image_of(pixels).requires_grad_(), relu_attributions=True
        )
    close(alone("grad_cam", model, pixels), wanted[0, 0].detach().numpy())


def test_hires_cam_is_captums_gradient_times_activation(model):
    pixels = told(model, "hires_cam")
    each = attr.LayerGradientXActivation(model, model.maps).attribute(
        image_of(pixels).requires_grad_()
    )
    close(alone("hires_cam", model, pixels), each.sum(1).clamp(min=0)[0].detach().numpy())


def test_layer_cam_and_grad_cam_pp_are_their_formulas(model):
    pixels = told(model, "layer_cam")
    maps, gradient = maps_and_gradient(model, pixels)
    close(
        alone("layer_cam", model, pixels),
        np.maximum(np.einsum("khw,khw->hw", np.maximum(gradient, 0), maps), 0),
        1e-3,
    )
    heat = np.zeros(maps.shape[1:])
    for a, g in zip(maps, gradient, strict=True):
        weight = 0.0
        for i, j in np.ndindex(a.shape):
            below = 2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3
            weight += (g[i, j] ** 2 / below if below else 0.0) * max(g[i, j], 0.0)
        heat += weight * a
    close(alone("grad_cam_pp", model, pixels), np.maximum(heat, 0), 1e-3)


def test_hires_cam_is_grad_cam_under_average_pooling():
    """There the gradient is the same at every cell, so that nothing is left to tell apart."""
    model = LogOdds(network("avg"))
    pixels = told(model, "grad_cam")
    close(alone("hires_cam", model, pixels), alone("grad_cam", model, pixels))
    model = LogOdds(network("gem"))
    apart = alone("hires_cam", model, pixels) - alone("grad_cam", model, pixels)
    assert np.abs(apart).max() > 1e-3


@pytest.mark.slow
def test_integrated_gradients_sum_to_what_they_explain(monkeypatch):
    """Completeness: over all pixels, the score of the picture less that of a black one."""
    model, pixels = LogOdds(network()), picture(3)
    monkeypatch.setattr("mammolens.learn.attribution.torch.relu", lambda tensor: tensor)
    odds = [float(model(image_of(one))) for one in (pixels, np.zeros_like(pixels))]
    gaps = []
    for steps in (4, 256):
        looks = look_at(model, pixels)
        each = METHODS["integrated_gradients"].explain(model, looks[0], Costs(steps=steps))
        assert each.shape == (5, 4)
        gaps.append(abs(float(each.sum()) - (odds[0] - odds[1])))
    assert abs(odds[0] - odds[1]) > 0.1
    assert gaps[1] < 0.02 * abs(odds[0] - odds[1])


def test_occlusion_is_the_score_that_is_lost():
    """Windows as large as a cell, side by side: each cell is what covering it costs."""
    model, pixels = LogOdds(network()), picture(4)
    costs = Costs(window_px=32, stride_px=32, batch=3)
    found = METHODS["occlusion"].explain(model, look_at(model, pixels)[0], costs).numpy() / 32**2
    grey = pixels[pixels > 0].mean()
    whole = float(model(image_of(pixels)))
    wanted = np.zeros((5, 4))
    for row, col in np.ndindex(wanted.shape):
        covered = image_of(pixels)
        covered[0, 0, 32 * row : 32 * row + 32, 32 * col : 32 * col + 32] = grey
        wanted[row, col] = max(0.0, whole - float(model(covered)))
    close(found, wanted, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_map_is_the_mean_of_the_picture_and_its_mirror_image(name):
    model, pixels = LogOdds(network()), picture(5)
    found = map_of(METHODS[name], model, look_at(model, pixels), COSTS)
    assert found.dtype == np.float32
    assert found.shape == (5, 4)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    if name != "chance":
        again = map_of(METHODS[name], model, look_at(model, pixels[::-1]), COSTS)
        np.testing.assert_allclose(again[::-1], found, atol=1e-3 * max(found.max(), 1e-6))


def test_maps_at_half_the_stride_come_out_in_cells():
    model = LogOdds(network("fine_attention"))
    for name in CAMS:
        assert alone(name, model, picture(0)).shape == (5, 4)
    pixels = told(model, "grad_cam")
    with torch.enable_grad():
        fine = attr.LayerGradCam(model, model.maps).attribute(
            image_of(pixels).requires_grad_(), relu_attributions=True
        )
    wanted = torch.nn.functional.avg_pool2d(fine, 2)[0, 0].detach().numpy()
    close(alone("grad_cam", model, pixels), wanted)


def test_shuffling_moves_values_and_keeps_them():
    net = network()
    head, whole = (shuffled(net, layers, seed=0) for layers in ("head", "all"))
    for one, kept in ((head, True), (whole, False)):
        assert torch.equal(one.trunk.conv_stem.weight, net.trunk.conv_stem.weight) is kept
        assert not torch.equal(one.hidden.weight, net.hidden.weight)
        for (_, new), (_, old) in zip(one.named_parameters(), net.named_parameters(), strict=True):
            assert torch.equal(new.flatten().sort().values, old.flatten().sort().values)
    assert torch.equal(shuffled(net, "all", 0).out.weight, whole.out.weight)
    assert not torch.equal(shuffled(net, "all", 1).out.weight, whole.out.weight)
    with pytest.raises(ConfigError, match="no layers 'tail'"):
        shuffled(net, "tail", 0)


def test_methods_are_chosen_by_name_and_grad_cam_is_always_there():
    assert [*choose_methods([])] == [*METHODS]
    assert [*choose_methods(["occlusion"])] == ["grad_cam", "occlusion"]
    with pytest.raises(ConfigError, match=r"no method 'gradcam'.*Use 'grad_cam'"):
        choose_methods(["gradcam"])
