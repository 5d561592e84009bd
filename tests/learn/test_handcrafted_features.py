"""Handcrafted features against skimage called directly and against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs the extra mammolens[train]")

from scipy import stats
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern

from mammolens.learn import handcrafted_features as features


def noise(seed=0, shape=(96, 64)):
    return np.random.default_rng(seed).integers(1, 256, shape).astype(np.uint8)


def whole(picture):
    return np.ones(picture.shape, bool)


def test_names_fit_the_vector_and_every_value_is_finite():
    names = features.feature_names()
    assert len(set(names)) == len(names)
    for picture in (noise(), np.zeros((64, 64), np.uint8), np.full((64, 64), 9, np.uint8)):
        vector = features.handcrafted_features(picture)
        assert vector.shape == (len(names),)
        assert vector.dtype == np.float32
        assert np.isfinite(vector).all()


def test_mask_is_the_largest_part_without_holes():
    picture = np.zeros((64, 64), np.uint8)
    picture[10:40, 0:30] = 90
    picture[20:25, 10:15] = 0  # a hole
    picture[50:55, 50:55] = 255  # a label
    expected = np.zeros((64, 64), bool)
    expected[10:40, 0:30] = True
    assert (features.breast_mask(picture) == expected).all()


def test_glcm_of_a_whole_picture_is_that_of_skimage():
    picture = noise()
    found = features.glcm_features(picture, whole(picture))
    counts = graycomatrix(
        picture // 8, [1, 2, 4, 8], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], 32, True, True
    )
    for name in ("contrast", "homogeneity", "correlation", "entropy", "ASM", "dissimilarity"):
        values = graycoprops(counts, name)
        assert found[f"{name}_4"] == pytest.approx(values[2].mean(), rel=1e-9)
        assert found[f"{name}_4_range"] == pytest.approx(np.ptp(values[2]), abs=1e-9)


def test_glcm_counts_no_pair_that_leaves_the_breast():
    picture = np.zeros((64, 64), np.uint8)
    picture[:, :32:2], picture[:, 1:32:2] = 100, 180  # stripes: each level beside the other
    mask = np.zeros((64, 64), bool)
    mask[:, :32] = True
    found = features.glcm_features(picture, mask)
    step = 180 // 8 - 100 // 8
    # At distance 1 all but the vertical neighbours differ; at 2 the diagonal ones, a step aside.
    assert found["contrast_1"] == pytest.approx(step**2 * 3 / 4)
    assert found["contrast_1_range"] == pytest.approx(step**2)
    assert found["contrast_2"] == pytest.approx(step**2 * 2 / 4)


def test_lbp_is_that_of_skimage_away_from_the_edge():
    picture = noise()
    found = features.lbp_features(picture, whole(picture))
    codes = local_binary_pattern(picture, 8, 1, "uniform")[1:-1, 1:-1].astype(int)
    shares = np.bincount(codes.ravel(), minlength=10) / codes.size
    assert [found[f"scale1_code{code}"] for code in range(10)] == pytest.approx(shares)


def test_hog_is_that_of_skimage():
    picture = noise(shape=(160, 96))
    found = list(features.hog_features(picture, whole(picture)).values())
    assert found == pytest.approx(hog(picture, 9, (32, 32), (2, 2), block_norm="L2-Hys"))


def test_intensity_by_scipy_and_by_hand():
    picture = noise()
    found = features.intensity_features(picture, whole(picture))
    values = picture.ravel() / 255
    assert found["mean"] == pytest.approx(values.mean())
    assert found["skewness"] == pytest.approx(stats.skew(values))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(values))
    assert found["p95"] == pytest.approx(np.percentile(values, 95))
    counts = np.bincount(picture.ravel() // 4, minlength=64)
    assert found["entropy"] == pytest.approx(stats.entropy(counts, base=2))


def test_what_lies_outside_the_breast_does_not_count():
    picture, mask = noise(), np.zeros((96, 64), bool)
    mask[20:80, :40] = True
    changed = np.where(mask, picture, 7).astype(np.uint8)
    for family in (features.intensity_features, features.glcm_features):
        one, other = family(picture, mask), family(changed, mask)
        assert one == pytest.approx(other)


def test_shape_of_a_drawn_breast():
    picture = np.zeros((64, 64), np.uint8)
    picture[:, :32] = 50
    picture[16:32, 8:16] = 200  # the dense core
    found = features.shape_features(picture, features.breast_mask(picture))
    assert found["area"] == 0.5
    assert found["tallness"] == 2
    assert found["solidity"] == found["extent"] == 1
    assert found["dense_share"] == found["core_share"] == 128 / 2048
    assert found["dense_contrast"] == pytest.approx(150 / 255)
    assert (found["core_row"], found["core_col"]) == (23.5 / 64, 11.5 / 32)


def test_depth_is_measured_from_the_skin_and_not_from_the_chest_wall():
    picture = np.zeros((96, 64), np.uint8)
    picture[:, :60] = np.linspace(200, 20, 60).astype(np.uint8)  # darker towards the skin
    found = features.intensity_features(picture, features.breast_mask(picture))
    rings = [found[f"ring{number}_mean"] for number in range(4)]
    assert rings == sorted(rings)
