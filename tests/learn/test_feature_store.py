"""Features are computed once for a picture, and never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra mammolens[train]")

from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.learn.feature_store import Extractor, cached_features


def cache_of(pictures):
    records = tuple(Record("d", str(i), str(i), Path(f"{i}.png")) for i in range(len(pictures)))
    return PreparedCache(records, np.arange(len(pictures)), np.stack(pictures), {})


def extractor(calls, factor=1.0, names=("mean", "top")):
    def extract(pictures):
        calls.append(len(pictures))
        flat = pictures.reshape(len(pictures), -1).astype(np.float32) * np.float32(factor)
        return np.stack([flat.mean(1), flat.max(1)], 1)

    return Extractor("plain", names, extract, batch=4)


def seen(calls):
    """Pictures that were looked at, but for the drawn one of each opening."""
    return sum(calls) - calls.count(1)


@pytest.fixture
def pictures():
    return [np.full((8, 8), 10 * i + 1, np.uint8) for i in range(10)]


def test_a_second_look_computes_nothing(pictures, tmp_path):
    first, again = [], []
    values = cached_features(cache_of(pictures), extractor(first), tmp_path)
    assert values[:, 0].tolist() == [10 * i + 1 for i in range(10)]
    repeated = cached_features(cache_of(pictures[::-1]), extractor(again), tmp_path)
    assert (seen(first), seen(again)) == (10, 0)
    assert (repeated == values[::-1]).all()


def test_a_changed_picture_is_looked_at_again(pictures, tmp_path):
    cached_features(cache_of(pictures), extractor([]), tmp_path)
    pictures[3], pictures[4] = pictures[3] + 1, pictures[4] + 1
    calls = []
    values = cached_features(cache_of(pictures), extractor(calls), tmp_path)
    assert seen(calls) == 2
    assert values[3, 0] == 32


def test_other_code_makes_everything_anew(pictures, tmp_path):
    cached_features(cache_of(pictures), extractor([]), tmp_path)
    calls = []
    values = cached_features(cache_of(pictures), extractor(calls, factor=2.0), tmp_path)
    assert seen(calls) == 10
    assert values[1, 0] == 22
    renamed = []
    cached_features(cache_of(pictures), extractor(renamed, 2.0, ("mean", "peak")), tmp_path)
    assert seen(renamed) == 10


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", None])
def test_a_damaged_file_counts_as_none(pictures, tmp_path, damage):
    cached_features(cache_of(pictures), extractor([]), tmp_path)
    path = tmp_path / "plain" / "features.npz"
    path.write_bytes(path.read_bytes()[:700] if damage is None else damage)
    calls = []
    cached_features(cache_of(pictures), extractor(calls), tmp_path)
    assert seen(calls) == 10


def test_a_pickled_file_is_never_opened(pictures, tmp_path):
    path = tmp_path / "plain" / "features.npz"
    path.parent.mkdir()
    trap = np.array([{"not": "data"}], object)
    np.savez(path, names=trap, phantom=trap, digests=trap, values=trap)
    calls = []
    cached_features(cache_of(pictures), extractor(calls), tmp_path)
    assert seen(calls) == 10


def test_a_feature_that_is_no_number_is_refused_by_name(pictures, tmp_path):
    def extract(shown):
        return np.stack([[1.0, np.nan if p[0, 0] == 51 else 0.0] for p in shown]).astype(np.float32)

    broken = Extractor("broken", ("mean", "top"), extract)
    with pytest.raises(InvalidManifest, match=r"5\.png: 1 of its features .* first top"):
        cached_features(cache_of(pictures), broken, tmp_path)


def test_trunk_features_are_the_pooled_maps():
    torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")
    from mammolens.learn.feature_store import trunk_extractor
    from mammolens.learn.network import build_network

    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    made = trunk_extractor()
    values = made.extract(pictures)
    assert values.shape == (2, len(made.names)) == (2, 2560)
    net = build_network("tf_efficientnet_lite0", hidden=8, dropout=0.0, pooling="gem").eval()
    with torch.inference_mode():
        shown = torch.from_numpy(pictures[:, None])
        pooled = torch.cat([net.maps(shown).mean((2, 3)), net.pool(net.maps(shown))], 1).numpy()
    assert values == pytest.approx(pooled, rel=1e-3, abs=1e-3)
