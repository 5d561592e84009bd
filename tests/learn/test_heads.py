"""Attention against autograd and by hand; the exam head: missing views, exchanged sides."""

from __future__ import annotations

from typing import Any

import pytest

from mammolens.errors import ConfigError

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.learn.heads import (  # noqa: E402
    VIEWS,
    ExamHead,
    GatedAttention,
    start_exam_head,
)

WIDTH = 12
ALL = torch.ones(1, 4, dtype=torch.bool)


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


def exam_head(seed: int = 0, *, trained: bool = True) -> ExamHead:
    torch.manual_seed(seed)
    head = start_exam_head(torch.nn.Linear(WIDTH, 8), torch.nn.Linear(8, 3)).eval()
    if trained:
        for layer in (head.trust, head.fusion, head.comparison):
            torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(head.view_trust)
    return head


def single(head: ExamHead, pooled: Any) -> Any:
    return head.out(torch.relu(head.hidden(pooled)))


def exams(n: int = 5) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(n, 4, generator=generator) < 0.6
    return torch.randn(n, 4, WIDTH, generator=generator), mask


@pytest.mark.parametrize("view", range(4), ids=VIEWS)
def test_one_view_alone_is_scored_as_the_single_head_scores_it(view: int) -> None:
    head, features = exam_head(), torch.randn(2, 4, WIDTH)
    mask = torch.zeros(2, 4, dtype=torch.bool)
    mask[:, view] = True
    logits = head(features, mask)
    assert torch.allclose(logits[:, view // 2], single(head, features[:, view]), atol=1e-6)
    assert logits[:, 1 - view // 2].isnan().all()


def test_views_of_another_kind_on_the_other_side_change_nothing() -> None:
    head, features = exam_head(), torch.randn(1, 4, WIDTH)
    logits = head(features, torch.tensor([[True, False, False, True]]))
    assert torch.allclose(logits[0, 0], single(head, features[0, 0]), atol=1e-6)
    assert torch.allclose(logits[0, 1], single(head, features[0, 3]), atol=1e-6)


def test_a_fresh_head_scores_the_mean_of_the_views() -> None:
    head, features = exam_head(trained=False), torch.randn(1, 4, WIDTH)
    logits = head(features, ALL)
    assert torch.allclose(logits[0, 0], single(head, features[0, :2].mean(0)), atol=1e-6)


def test_exchanging_the_sides_exchanges_the_scores() -> None:
    head, (features, mask) = exam_head(), exams()
    swapped = head(features[:, [2, 3, 0, 1]], mask[:, [2, 3, 0, 1]])
    assert torch.allclose(swapped, head(features, mask).flip(1), atol=1e-6, equal_nan=True)


def test_the_other_breast_and_both_views_matter_where_they_are() -> None:
    head, features = exam_head(), torch.randn(1, 4, WIDTH)
    whole = head(features, ALL)[0, 0]
    changed = features.clone()
    changed[0, 2] += 1.0
    assert not torch.allclose(whole, head(changed, ALL)[0, 0], atol=1e-3)
    one_view = head(features, torch.tensor([[True, False, True, True]]))[0, 0]
    assert not torch.allclose(whole, one_view, atol=1e-3)


def test_alike_breasts_are_compared_without_effect() -> None:
    head, side = exam_head(), torch.randn(1, 2, WIDTH)
    alone = head(side.repeat(1, 2, 1), torch.tensor([[True, True, False, False]]))
    both = head(side.repeat(1, 2, 1), ALL)
    assert torch.allclose(both[0, 0], alone[0, 0], atol=1e-6)


def test_missing_views_are_never_read_and_missing_breasts_never_scored() -> None:
    head, (features, mask) = exam_head(), exams()
    spoiled = torch.where(mask[..., None], features, torch.nan)
    logits = head(spoiled, mask)
    assert torch.equal(logits.isnan(), head(features, mask).isnan())
    there = mask.view(-1, 2, 2).any(2)
    assert torch.equal(logits.isnan().any(2), ~there)
    assert not there.all(), "no breast is missing: nothing is proved"


def test_selected_breasts_give_finite_gradients() -> None:
    head, (features, mask) = exam_head().train(), exams()
    spoiled = torch.where(mask[..., None], features, torch.nan).requires_grad_(True)
    head(spoiled, mask)[mask.view(-1, 2, 2).any(2)].square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())
    assert spoiled.grad is not None
    assert bool(spoiled.grad.isfinite().all())
    assert not spoiled.grad[~mask].any()


def test_comparison_learns_what_one_side_alone_cannot_tell() -> None:
    """Asymmetry: a breast is diseased if it differs from the other, whatever both look like."""

    def women(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        common = 3 * torch.randn(256, 1, 1, WIDTH, generator=generator)
        features = common.expand(-1, 2, 2, -1).clone()
        ill = torch.rand(256, 2, generator=generator) < 0.5
        features[..., 0] += 2.0 * ill[..., None]
        return features.flatten(1, 2), (ill * 2).flatten()

    mask = torch.ones(256, 4, dtype=torch.bool)

    def accuracy(*, compared: bool) -> float:
        torch.manual_seed(0)
        head = ExamHead(WIDTH, hidden=32, dropout=0.0)
        if not compared:
            torch.nn.init.zeros_(head.comparison.weight)
            head.comparison.requires_grad_(False)
        optimiser = torch.optim.Adam([p for p in head.parameters() if p.requires_grad], 0.01)
        features, labels = women(3)
        for _ in range(150):
            loss = torch.nn.functional.cross_entropy(head(features, mask).flatten(0, 1), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        features, labels = women(4)
        return float((head(features, mask).flatten(0, 1).argmax(1) == labels).float().mean())

    assert accuracy(compared=True) > accuracy(compared=False) + 0.05


@pytest.mark.parametrize(
    ("features", "mask"),
    [
        (torch.zeros(2, 4, WIDTH), torch.ones(2, 4)),
        (torch.zeros(2, 2, WIDTH), torch.ones(2, 2, dtype=torch.bool)),
        (torch.zeros(2, 4, WIDTH + 1), torch.ones(2, 4, dtype=torch.bool)),
        (torch.zeros(1, 4, WIDTH), torch.ones(2, 4, dtype=torch.bool)),
    ],
)
def test_another_form_is_refused(features: Any, mask: Any) -> None:
    with pytest.raises(ConfigError, match="features are"):
        exam_head()(features, mask)
