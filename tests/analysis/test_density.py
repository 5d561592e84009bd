"""Breast density: the head beside the graph, and what is stated of breasts and exams."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.analysis.density import denser, pool_density
from mammolens.core import Density
from mammolens.errors import BadModelPackage
from mammolens.model import DEFAULT_MODEL, ModelPackage, save_package
from mammolens.model.density import DENSITY_FILE, DensityHead, make_head
from mammolens.model.package_files import open_package

LIMITS = (0.4, 0.1)
HEAD = DensityHead("ab" * 32, *LIMITS)


def density(*probabilities: float) -> Density:
    return pool_density([probabilities], HEAD)


@pytest.fixture(scope="module")
def shipped() -> tuple[Any, bytes]:
    _, read = open_package(DEFAULT_MODEL)
    plain = ModelPackage.load(DEFAULT_MODEL, threads=1)
    return plain.card, read(plain.card.graph_file)


def test_the_shipped_package_has_a_small_head() -> None:
    _, read = open_package(DEFAULT_MODEL)
    package = ModelPackage.load(DEFAULT_MODEL, threads=1)
    head = read(DENSITY_FILE)
    assert len(head) <= 60_000
    assert package.density is not None
    assert package.density.digest == hashlib.sha256(head).hexdigest()


def test_scores_and_maps_are_bit_for_bit_those_of_the_graph_alone(
    shipped: tuple[Any, bytes],
) -> None:
    card, graph = shipped
    alone = ModelPackage.assemble(card, graph, "alone", threads=1)
    both = ModelPackage.load(DEFAULT_MODEL, threads=1)
    rows, columns = card.input_shape
    batch = np.random.default_rng(0).integers(0, 256, (2, 1, rows, columns), dtype=np.uint8)
    one, other, asked = alone.predict(batch), both.predict(batch), both.predict(batch, density=True)
    assert alone.predict(batch, density=True).density is None
    assert other.density is None
    assert asked.density is not None
    assert asked.density.shape == (2, 4)
    np.testing.assert_allclose(asked.density.sum(1), 1.0, atol=1e-5)
    for name in ("logits", "probabilities", "malignancy_map", "tumour_map"):
        for output in (other, asked):
            np.testing.assert_array_equal(getattr(one, name), getattr(output, name))


def test_a_head_is_what_its_weights_say(shipped: tuple[Any, bytes]) -> None:
    """Without weights on the features, the bias alone decides."""
    card, graph = shipped
    bias = np.log(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    head = make_head(graph, np.zeros((1280, 4), np.float32), bias, LIMITS)
    package = ModelPackage.assemble(card, graph, "made", head=head, threads=1)
    batch = np.zeros((1, 1, *card.input_shape), np.uint8)
    found = package.predict(batch, density=True).density
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.3, 0.4]], atol=1e-6)


@pytest.mark.parametrize("kind", ["other graph", "no protocol buffer", "wrong width", "empty"])
def test_a_head_that_does_not_fit_is_refused(kind: str, shipped: tuple[Any, bytes]) -> None:
    card, graph = shipped
    weights = np.zeros((7 if kind == "wrong width" else 1280, 4), np.float32)
    head = make_head(graph, weights, np.zeros(4, np.float32), LIMITS)
    if kind == "other graph":
        head = head.replace(card.graph_sha256.encode(), b"0" * 64)
    if kind == "no protocol buffer":
        head = b"no model"
    if kind == "empty":
        head = b""
    with pytest.raises(BadModelPackage) as caught:
        ModelPackage.assemble(card, graph, "made", head=head, threads=1)
    assert caught.value.source == f"made/{DENSITY_FILE}"
    assert "delete this file" in str(caught.value)


def test_a_package_that_is_written_again_loses_its_head(
    shipped: tuple[Any, bytes], tmp_path: Path
) -> None:
    card, graph = shipped
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / DENSITY_FILE).write_bytes(b"of an older graph")
    assert save_package(folder, card, graph).density is None
    assert not (folder / DENSITY_FILE).exists()


def test_a_breast_is_the_mean_of_its_views() -> None:
    found = pool_density([[0.0, 0.0, 1.0, 0.0], [0.0, 0.2, 0.6, 0.2]], HEAD)
    assert found.category == "c"
    np.testing.assert_allclose(found.probabilities, (0.0, 0.1, 0.8, 0.1))
    assert found.dense == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("probabilities", "category"),
    [
        ((0.6, 0.4, 0.0, 0.0), "a"),
        ((0.35, 0.35, 0.2, 0.1), None),  # no category reaches 0.4
        ((0.0, 0.45, 0.55, 0.0), None),  # too near to the edge of dense
        ((0.0, 0.42, 0.29, 0.29), None),  # the most likely category is not dense, the sum is
        ((0.0, 0.0, 0.1, 0.9), "d"),
    ],
)
def test_a_head_says_where_it_is_not_sure(
    probabilities: tuple[float, ...], category: str | None
) -> None:
    assert density(*probabilities).category == category


def test_an_exam_has_the_density_of_the_denser_breast() -> None:
    fatty, dense = density(0.9, 0.1, 0.0, 0.0), density(0.0, 0.1, 0.8, 0.1)
    assert denser([fatty, dense]) == denser([dense, fatty]) == dense
    unsure = density(0.0, 0.5, 0.5, 0.0)
    assert denser([fatty, unsure]).category is None
    assert denser([unsure, dense]).category is None
    extreme = density(0.0, 0.0, 0.0, 1.0)
    assert denser([unsure, extreme]).category == "d"


def test_impossible_densities_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        Density((0.5, 0.0, 0.0, 0.0), None, "")
