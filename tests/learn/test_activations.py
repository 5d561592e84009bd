"""Kept maps: they are the trunk's own, never stale, bounded, and a run on them is a run."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.data.cache import PreparedCache, build_side  # noqa: E402
from mammolens.data.manifest import Record, Split  # noqa: E402
from mammolens.errors import ConfigError, StorageError  # noqa: E402
from mammolens.learn import train as loop  # noqa: E402
from mammolens.learn.activations import (  # noqa: E402
    build_activations,
    fixed_maps,
    trace_chain,
    variant,
)
from mammolens.learn.batches import stack  # noqa: E402
from mammolens.learn.config import load_manifest, read_run  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.pass_figures import malignancy_figures  # noqa: E402
from mammolens.learn.predict import load_network, logits_of_rows, predict_logits  # noqa: E402
from mammolens.learn.train import train  # noqa: E402


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Forty drawn breasts of twenty women; the malignant ones have a bright spot."""
    import cv2

    folder = tmp_path_factory.mktemp("drawn")
    rows = ["dataset,image_id,patient_id,laterality,view,path,tumour,malignant"]
    y, x = np.mgrid[:256, :192]
    for number in range(40):
        rng = np.random.default_rng(number)
        inside = ((y - 128) / 110) ** 2 + (x / 150) ** 2 < 1
        image = np.where(inside, rng.normal(110, 15, inside.shape), 0)
        malignant = number // 2 % 2
        if malignant:
            image[100:150, 40:90] = 240
        cv2.imwrite(str(folder / f"{number}.png"), np.clip(image, 0, 255).astype(np.uint8))
        rows.append(f"drawn,{number},{number // 2},L,CC,{number}.png,{malignant},{malignant}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder / "manifest.csv"


@pytest.fixture
def run_file(table, tmp_path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(
        f"""
name = "tiny"
[data]
manifests = ["{table}"]
cache = "{tmp_path}/cache"
validation = 0.3
[preprocess]
height = 96
width = 64
[network]
frozen_stages = 6
[augment]
rotation_deg = 10
[train]
epochs = 2
epoch_images = 16
batch = 8
cached_variants = 2
checkpoint_steps = 1
threads = 1
"""
    )
    return path


@pytest.fixture
def config(run_file):
    return read_run(run_file)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return MammoNet("tf_efficientnet_lite0").eval()


def some_pictures(count: int = 20) -> PreparedCache:
    rng = np.random.default_rng(3)
    records = tuple(
        Record("drawn", str(i), f"p{i}", Path("x.png"), malignant=bool(i % 2)) for i in range(count)
    )
    pictures = rng.integers(1, 255, (count, 64, 64)).astype(np.uint8)
    return PreparedCache(records, np.arange(count), pictures, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "fixed", "stride"),
    [("vgg16", 4, 16), ("resnet18", 7, 16), ("tf_efficientnet_lite0", 7, 16)],
)
def test_fixed_part_and_rest_are_the_trunk(backbone, fixed, stride):
    torch.manual_seed(0)
    whole = MammoNet(backbone).eval()
    pictures = stack(list(some_pictures(2).pictures))
    chain = trace_chain(whole)
    first = fixed_maps(whole, chain.parts[fixed - 1][-1], pictures)
    assert first.shape[2:] == (64 // stride, 64 // stride)
    with torch.inference_mode():
        assert torch.equal(chain.rest(fixed)(first), whole.maps(pictures))


def test_a_trunk_of_several_ways_is_refused():
    with pytest.raises(ConfigError, match=r"not a single chain.*cached_variants"):
        trace_chain(MammoNet("resnet18", pooling="fine_attention"))


def test_the_first_variant_is_the_picture_and_others_replay(config):
    cache = some_pictures(2)
    picture, record = cache.picture(0), cache.records[0]
    assert (variant(picture, record, 0, config) == picture).all()
    first = variant(picture, record, 1, config)
    assert (first == variant(picture, record, 1, config)).all()
    assert (first != picture).any()
    assert (first != variant(picture, record, 2, config)).any()
    assert (first != variant(picture, cache.records[1], 1, config)).any()


def test_kept_maps_are_the_trunks_own_to_half_precision(net, config):
    cache = some_pictures()
    kept = build_activations(net, cache, config, 2)
    rows, variants = [3, 17, 0], [1, 0, 1]
    pictures = [
        variant(cache.picture(row), cache.records[row], number, config)
        for row, number in zip(rows, variants, strict=True)
    ]
    own = fixed_maps(net, trace_chain(net).parts[5][-1], stack(pictures))
    found = kept.gather(rows, variants)
    assert found.dtype == torch.float32
    assert torch.allclose(found, own, rtol=2e-3, atol=1e-3)
    assert kept.maps[0].dtype == np.float16


class Stopped(Exception):
    pass


def test_a_build_goes_on_where_it_was_cut_off(net, config):
    cache, done = some_pictures(), []

    def stop(count: int, total: int) -> None:
        done.append((count, total))
        if count >= 16:
            raise Stopped

    with pytest.raises(Stopped):
        build_activations(net, cache, config, 2, stop)
    assert done == [(16, 40)]
    kept = build_activations(net, cache, config, 2, lambda *pair: done.append(pair))
    assert done[1:] == [(20, 40), (36, 40), (40, 40)]
    elsewhere = config.data.model_copy(update={"cache": config.data.cache / "other"})
    whole = build_activations(net, cache, config.model_copy(update={"data": elsewhere}), 2)
    for one, other in zip(kept.maps, whole.maps, strict=True):
        assert np.abs(one.astype(np.float32) - other).max() < 1e-2


def test_a_changed_picture_alone_is_done_anew_and_nothing_stale_is_read(net, config):
    cache, done = some_pictures(), []
    before = np.array(build_activations(net, cache, config, 1).maps[0])
    pictures = cache.pictures.copy()
    pictures[4] = pictures[4][::-1]
    changed = dataclasses.replace(cache, pictures=pictures)
    kept = build_activations(net, changed, config, 1, lambda *pair: done.append(pair))
    assert done == [(20, 20)]
    same = (np.array(kept.maps[0]) == before).all((1, 2, 3))
    assert same.tolist() == [i != 4 for i in range(20)]


def test_other_weights_or_draws_have_other_maps(net, config):
    cache = some_pictures(2)
    root = config.data.cache / "activations"
    build_activations(net, cache, config, 1)
    build_activations(net, cache, config, 1)
    assert len(list(root.iterdir())) == 1
    torch.manual_seed(1)
    build_activations(MammoNet("tf_efficientnet_lite0").eval(), cache, config, 1)
    assert len(list(root.iterdir())) == 2
    turned = config.augment.model_copy(update={"rotation_deg": 11.0})
    build_activations(net, cache, config.model_copy(update={"augment": turned}), 1)
    assert len(list(root.iterdir())) == 3


def test_maps_beyond_what_is_allowed_are_refused(net, config):
    small = config.data.model_copy(update={"maps_gb": 1e-6})
    with pytest.raises(ConfigError, match=r"need .* GB, but 1e-06 GB are allowed.*maps_gb"):
        build_activations(net, some_pictures(), config.model_copy(update={"data": small}), 2)


def test_a_full_disk_is_named_and_leaves_nothing_half_made(net, config):
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match=r"maps cannot be kept.*larger disk"):
            build_activations(net, some_pictures(), config, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(config.data.cache.rglob("*.f16"))
    assert len(build_activations(net, some_pictures(), config, 1).maps) == 1


def test_maps_that_half_precision_cannot_hold_are_refused(config):
    torch.manual_seed(0)
    loud = MammoNet("tf_efficientnet_lite0").eval()
    last = trace_chain(loud).parts[5][-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(1e6)
    with pytest.raises(ConfigError, match="half precision cannot hold"):
        build_activations(loud, some_pictures(2), config, 1)


@pytest.mark.slow
def test_training_on_maps_learns_and_writes_the_whole_network(run_file, tmp_path):
    lines = []
    overrides = ["train.epochs=6", "train.epoch_images=64", "train.average=0.5"]
    best = train(run_file, tmp_path / "run", overrides, lines.append)
    assert any("maps" in line for line in lines)
    config = read_run(run_file, overrides)
    net = load_network(config, best)
    manifest, side = load_manifest(config), Split.VALIDATION
    cache = build_side(manifest, side, config.preprocess, config.data.cache)
    logits = predict_logits(net, cache, mirrored=False)
    score, _ = malignancy_figures(cache.records, logits)
    assert score > 0.9
    rest = trace_chain(net).rest(config.network.frozen_stages)
    maps = build_activations(net, cache, config, 1)
    on_maps = logits_of_rows(
        net,
        lambda kept: net.head(net.pool(rest(kept))),
        lambda rows: maps.gather(rows, [0] * len(rows)),
        range(len(maps.records)),
    )
    assert np.abs(on_maps - logits).max() < 0.02 * np.abs(logits).max()
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    fixed = [key for key in state["net"] if key.startswith(("trunk.conv_stem", "trunk.blocks.0"))]
    assert fixed
    assert all(torch.equal(state["net"][key], state["average"][key]) for key in fixed)


@pytest.mark.slow
def test_a_run_on_maps_that_was_cut_off_goes_on_as_if_it_had_not_been(
    run_file, tmp_path, monkeypatch
):
    from safetensors.torch import load_file

    quiet = {"on_progress": lambda _: None}
    whole = train(run_file, tmp_path / "whole", **quiet)
    write = loop.write_state

    def write_and_die(path, step, best, **parts):
        write(path, step, best, **parts)
        if step == 3:
            raise Stopped

    monkeypatch.setattr(loop, "write_state", write_and_die)
    with pytest.raises(Stopped):
        train(run_file, tmp_path / "parts", **quiet)
    monkeypatch.setattr(loop, "write_state", write)
    resumed = train(run_file, tmp_path / "parts", **quiet)
    first, second = load_file(whole), load_file(resumed)
    assert first.keys() == second.keys()
    for key in first:
        assert torch.equal(first[key], second[key]), key


@pytest.mark.parametrize(
    ("override", "keyword"),
    [
        ("train.map_weight=0.3", "train.map_weight"),
        ("train.small_share=0.5", "train.small_share"),
        ('train.precision="mixed"', "train.precision"),
        ('train.teachers=["run"]', "train.teachers"),
        ("network.frozen_stages=0", "network.frozen_stages"),
        ("network.frozen_stages=40", "network.frozen_stages"),
    ],
)
def test_what_maps_cannot_give_is_refused(run_file, tmp_path, override, keyword):
    with pytest.raises(ConfigError, match=keyword.replace(".", r"\.")):
        train(run_file, tmp_path / "run", [override], lambda _: None)


def test_a_share_of_training_patients_leaves_everyone_held_out(run_file):
    whole = load_manifest(read_run(run_file)).records
    some = load_manifest(read_run(run_file, ['data.training_share={"drawn": 0.5}'])).records
    sides = [
        {r.patient for r in records if r.split is side}
        for records in (whole, some)
        for side in (Split.VALIDATION, Split.TRAIN)
    ]
    assert sides[0] == sides[2]
    assert set() < sides[3] < sides[1]
    with pytest.raises(ConfigError, match=r"'elsewhere'.*training_share"):
        load_manifest(read_run(run_file, ['data.training_share={"elsewhere": 0.5}']))
