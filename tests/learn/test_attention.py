"""Attention against autograd and by hand."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.learn.attention import GatedAttention  # noqa: E402

WIDTH = 12


def attention(seed: int = 0) -> GatedAttention:
    torch.manual_seed(seed)
    pool = GatedAttention(WIDTH, 7).double()
    torch.nn.init.normal_(pool.score.weight)
    return pool


def maps(n: int = 3, height: int = 5, width: int = 4) -> Any:
    return torch.randn(n, WIDTH, height, width, dtype=torch.float64)


def test_fresh_attention_is_average_pooling() -> None:
    a = torch.randn(2, WIDTH, 4, 3)
    assert torch.allclose(GatedAttention(WIDTH)(a), a.mean((2, 3)), atol=1e-6)


def test_attention_follows_the_paper_s_formula() -> None:
    pool, a = attention(), maps(1)
    cells = a[0].flatten(1).T
    v, u, w = (p.weight.flatten(1) for p in (pool.content, pool.gate, pool.score))
    content = torch.tanh(cells @ v.T + pool.content.bias)
    gate = torch.sigmoid(cells @ u.T + pool.gate.bias)
    weights = torch.softmax((content * gate) @ w[0], 0)
    assert torch.allclose(pool(a)[0], weights @ cells)
    assert torch.allclose(pool.weights(a).flatten(), weights)
    assert weights.max() > 2 * weights.min(), "even weights prove nothing"


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_in_closed_form_is_autograd_s(seed: int) -> None:
    pool = attention(seed)
    a = maps().requires_grad_(True)
    gradient = torch.randn(3, WIDTH, dtype=torch.float64)
    (pool(a) * gradient).sum().backward()
    assert a.grad is not None
    with torch.no_grad():
        closed = pool.map_gradient(a, gradient)
    assert torch.allclose(closed, a.grad.sum((2, 3)), rtol=1e-10)
    assert not torch.allclose(closed, gradient, rtol=0.05), "the weights' part must show"
