"""The loop: partial labels, replayable augmentation, exact resumption."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.data.manifest import Record  # noqa: E402
from mammolens.errors import ConfigError  # noqa: E402
from mammolens.learn.augment import (  # noqa: E402
    Augmentation,
    apply_augmentation,
    draw_augmentation,
)
from mammolens.learn.batches import draw_weights  # noqa: E402
from mammolens.learn.config import AugmentConfig, read_run  # noqa: E402
from mammolens.learn.loss import partial_label_loss  # noqa: E402
from mammolens.learn.train import train  # noqa: E402


def test_the_loss_is_cross_entropy_where_one_class_is_allowed():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 2, 0])
    allowed = torch.nn.functional.one_hot(target, 3).bool()
    expected = torch.nn.functional.cross_entropy(logits, target)
    assert torch.allclose(partial_label_loss(logits, allowed), expected)
    smooth = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    assert torch.allclose(partial_label_loss(logits, allowed, 0.1), smooth)


def test_an_unknown_label_teaches_nothing():
    logits = torch.randn(4, 3, requires_grad=True)
    partial_label_loss(logits, torch.ones(4, 3, dtype=torch.bool), 0.1).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-7


def test_not_malignant_pushes_malignancy_down_and_leaves_the_rest_open():
    logits = torch.zeros(1, 3, requires_grad=True)
    partial_label_loss(logits, torch.tensor([[True, True, False]])).backward()
    gradient = logits.grad[0]
    assert gradient[2] > 0
    assert gradient[0] == gradient[1] < 0


def picture():
    rng = np.random.default_rng(0)
    image = rng.integers(20, 255, (96, 64)).astype(np.uint8)
    image[:, 48:] = 0
    return image


def test_augmentation_replays_and_never_touches_its_argument():
    image = picture()
    before = image.copy()
    change = draw_augmentation(np.random.default_rng(5), AugmentConfig())
    first, second = (apply_augmentation(image, change) for _ in range(2))
    assert (first == second).all()
    assert (image == before).all()
    assert first.dtype == np.uint8
    assert change == draw_augmentation(np.random.default_rng(5), AugmentConfig())
    assert change != draw_augmentation(np.random.default_rng(6), AugmentConfig())


def test_nothing_drawn_changes_nothing_and_flips_are_exact():
    image = picture()
    assert (apply_augmentation(image, Augmentation()) == image).all()
    flipped = apply_augmentation(image, Augmentation(flip_horizontal=True))
    assert (flipped == image[:, ::-1]).all()


def test_background_stays_black_under_tone_changes():
    out = apply_augmentation(picture(), Augmentation(brightness=0.2, gamma=0.8))
    assert out[:, 48:].max() == 0


def test_balancing_evens_out_sources_and_classes():
    records = [Record("big", str(i), "p", Path("x"), malignant=i < 10) for i in range(100)]
    records += [Record("small", str(i), "p", Path("x"), malignant=i < 5) for i in range(10)]
    records.append(Record("small", "unknown", "p", Path("x")))
    weights = draw_weights(records, 1.0)
    assert weights[-1] == 0
    assert weights[:10].sum() == pytest.approx(weights[10:100].sum())
    assert weights[:100].sum() == pytest.approx(weights[100:].sum())
    assert draw_weights(records, 0.0)[:-1] == pytest.approx(1 / 110)


def test_unknown_keys_are_refused_with_the_nearest(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\n[data]\nmanifests = ["a.csv"]\n[train]\nepoch = 3\n')
    with pytest.raises(ConfigError, match=r"train\.epoch\].*nearest known key is epochs"):
        read_run(path)
    path.write_text('name = "x"\n[data]\nmanifests = ["a.csv"]\n')
    assert read_run(path, ["train.epochs=3"]).train.epochs == 3
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        read_run(path, ["train.epochs"])


@pytest.fixture
def small_run(tmp_path):
    """Forty drawn breasts of twenty women; the malignant ones have a bright spot."""
    import cv2

    rows = ["dataset,image_id,patient_id,laterality,view,path,tumour,malignant"]
    y, x = np.mgrid[:256, :192]
    for number in range(40):
        rng = np.random.default_rng(number)
        inside = ((y - 128) / 110) ** 2 + (x / 150) ** 2 < 1
        image = np.where(inside, rng.normal(110, 15, inside.shape), 0)
        malignant = number // 2 % 2
        if malignant:
            image[100:150, 40:90] = 240
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.clip(image, 0, 255).astype(np.uint8))
        rows.append(f"drawn,{number},{number // 2},L,CC,{number}.png,{malignant},{malignant}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    (tmp_path / "run.toml").write_text(
        f"""
name = "tiny"
[data]
manifests = ["{tmp_path}/manifest.csv"]
cache = "{tmp_path}/cache"
validation = 0.3
[preprocess]
height = 96
width = 64
[network]
frozen_stages = 2
[train]
epochs = 2
epoch_images = 16
batch = 8
checkpoint_steps = 1
threads = 1
"""
    )
    return tmp_path


def test_a_run_cut_off_goes_on_as_if_it_had_not_been(small_run, monkeypatch):
    from safetensors.torch import load_file

    whole = train(small_run / "run.toml", small_run / "whole", on_progress=lambda _: None)

    class CutOff(Exception):
        pass

    import mammolens.learn.train as loop

    save = loop._save_state

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 3:
            raise CutOff

    monkeypatch.setattr(loop, "_save_state", save_and_die)
    with pytest.raises(CutOff):
        train(small_run / "run.toml", small_run / "parts", on_progress=lambda _: None)
    monkeypatch.setattr(loop, "_save_state", save)
    resumed = train(small_run / "run.toml", small_run / "parts", on_progress=lambda _: None)
    first, second = load_file(whole), load_file(resumed)
    assert first.keys() == second.keys()
    for key in first:
        assert torch.equal(first[key], second[key]), key
