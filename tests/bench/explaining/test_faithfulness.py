"""Deletion and insertion by hand; likeness of maps against scipy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from mammolens.bench.explaining.method_figures import (
    STEPS,
    deletion_insertion,
    global_similarity,
    rank_correlation,
)

CELLS = (8, 4)
SHAPE = (8 * 32, 4 * 32)
BREAST = np.ones(SHAPE, bool)


def test_the_place_that_carries_the_score_goes_first_and_comes_back_first():
    """The score is the share of white pixels in one cell, which a blur turns grey."""
    picture = np.zeros(SHAPE, np.uint8)
    picture[64:96, 32:64] = 255
    seen = []

    def score(pictures: np.ndarray) -> np.ndarray:
        assert pictures.dtype == np.uint8
        seen.append(pictures)
        return (pictures[:, 0, 64:96, 32:64] == 255).mean((1, 2))

    hot = np.zeros(CELLS, np.float32)
    hot[2, 1] = 1.0
    right = deletion_insertion(score, picture, BREAST, hot)
    wrong = deletion_insertion(score, picture, BREAST, 1.0 - hot)
    assert right == pytest.approx((0.5 / STEPS, 1 - 0.5 / STEPS))
    assert wrong == pytest.approx((1 - 0.5 / STEPS, 0.5 / STEPS))
    steps, (untouched, blurred) = seen[0], (seen[0][0], seen[0][STEPS])
    assert steps.shape == (2 * (STEPS + 1), 1, *SHAPE)
    np.testing.assert_array_equal(untouched[0], picture)
    np.testing.assert_array_equal(steps[STEPS + 1], blurred)
    np.testing.assert_array_equal(steps[-1], untouched)
    for number in range(1, STEPS):
        share = (steps[number] != steps[0]).sum() / (blurred != untouched).sum()
        assert 0 < share <= 1


def test_cells_outside_the_breast_are_never_touched():
    breast = BREAST.copy()
    breast[:, 64:] = False
    picture = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    seen = []

    def score(pictures: np.ndarray) -> np.ndarray:
        seen.append(pictures)
        return np.zeros(len(pictures))

    deletion_insertion(score, picture, breast, np.ones(CELLS, np.float32))
    deleted = seen[0][: STEPS + 1, 0]
    assert (deleted[:, :, 64:] == picture[:, 64:]).all()
    assert (deleted[-1][:, :64] != picture[:, :64]).mean() > 0.9


def test_rank_correlation_is_scipys_over_the_breast():
    stats = pytest.importorskip("scipy.stats", reason="needs the extra mammolens[train]")
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 5, (2, *CELLS)).astype(np.float32)
    breast = BREAST.copy()
    breast[:, 70:] = False  # cells of the third column are touched, those of the last are not
    wanted = stats.spearmanr(first[:, :3].ravel(), second[:, :3].ravel()).statistic
    assert rank_correlation(first, second, breast) == pytest.approx(wanted)
    assert rank_correlation(first, first, breast) == pytest.approx(1.0)
    assert rank_correlation(first, np.zeros(CELLS, np.float32), breast) is None


def test_global_similarity_is_ssim_with_one_window():
    metrics = pytest.importorskip("skimage.metrics", reason="needs the extra mammolens[train]")
    rng = np.random.default_rng(2)
    first, second = rng.uniform(0, 3, (2, 7, 7)).astype(np.float32)
    a, b = (one.astype(np.float64) / one.max() for one in (first, second))
    _, each = metrics.structural_similarity(
        a, b, win_size=7, data_range=1.0, use_sample_covariance=False, full=True
    )
    assert global_similarity(first, second) == pytest.approx(each[3, 3])
    assert global_similarity(first, 5 * first) == pytest.approx(1.0)
