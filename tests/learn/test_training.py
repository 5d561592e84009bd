"""The loop: partial labels, balance, who learns when, and refusals before any training."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs mammolens[train]")

from mammolens.data.manifest import Record  # noqa: E402
from mammolens.errors import ConfigError, InvalidManifest  # noqa: E402
from mammolens.learn.augment import (  # noqa: E402
    Augmentation,
    apply_augmentation,
    draw_augmentation,
)
from mammolens.learn.batches import draw_weights  # noqa: E402
from mammolens.learn.config import read_run  # noqa: E402
from mammolens.learn.learning_rates import build_optimiser, fix_first_stages, set_rates  # noqa: E402
from mammolens.learn.loss import partial_label_loss  # noqa: E402
from mammolens.learn.network import MammoNet  # noqa: E402
from mammolens.learn.predict import load_network  # noqa: E402
from mammolens.learn.sections import AugmentConfig  # noqa: E402
from mammolens.learn.train import start_network, train  # noqa: E402


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
    with pytest.raises(ConfigError, match=r"train\.epoch\].*Use 'epochs'"):
        read_run(path)
    path.write_text('name = "x"\n[data]\nmanifests = ["a.csv"]\n')
    assert read_run(path, ["train.epochs=3"]).train.epochs == 3
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        read_run(path, ["train.epochs"])


def test_balancing_patients_leaves_cells_alone():
    records = [Record("a", f"many{i}", "many", Path("x"), malignant=True) for i in range(9)]
    records += [Record("a", f"one{i}", f"one{i}", Path("x"), malignant=True) for i in range(3)]
    records += [Record("a", f"no{i}", "many", Path("x"), malignant=False) for i in range(4)]
    alike = draw_weights(records, 0.5, 1.0)
    assert alike[:9].sum() == pytest.approx(alike[9])
    assert alike[9] == pytest.approx(alike[10])
    as_found = draw_weights(records, 0.5)
    assert alike[:12].sum() == pytest.approx(as_found[:12].sum())
    assert (draw_weights(records, 0.5, 0.0) == as_found).all()


def configured(small_run, *overrides):
    return read_run(small_run / "run.toml", overrides)


def test_by_default_trunk_and_head_are_two_groups_in_the_order_of_old_checkpoints(small_run):
    config = configured(small_run, "train.head_first=0.1")
    net = start_network(config)
    places = torch.nn.Conv2d(4, 1, 1)
    optimiser = build_optimiser(net, places.parameters(), config)
    trunk, head = optimiser.param_groups
    for group, expected in (
        (trunk, [p for p in net.trunk.parameters() if p.requires_grad]),
        (head, [*net.hidden.parameters(), *net.out.parameters(), *places.parameters()]),
    ):
        assert [id(p) for p in group["params"]] == [id(p) for p in expected]
    assert 0 < len(trunk["params"]) < len(list(net.trunk.parameters()))
    set_rates(optimiser, config.train, 0.05)
    assert (trunk["lr"], head["lr"]) == (0.0, pytest.approx(0.5e-3))
    set_rates(optimiser, config.train, 0.15)
    assert trunk["lr"] == pytest.approx(1.5e-4)
    set_rates(optimiser, config.train, 1.0)
    assert trunk["lr"] == pytest.approx(3e-6)
    assert head["lr"] == pytest.approx(1e-5)


def test_parts_join_from_the_top_and_the_others_take_no_gradient(small_run):
    config = configured(
        small_run, "train.unfreeze=[0.1,0.2,0.4]", "train.stage_decay=0.5", "train.warmup=0"
    )
    net = start_network(config)
    optimiser = build_optimiser(net, (), config)
    *trunk, _ = optimiser.param_groups
    assert [group["from"] for group in trunk] == [0.4] * (len(trunk) - 2) + [0.2, 0.1]
    peaks = [group["peak"] for group in trunk]
    assert peaks == [3e-4 * 0.5**depth for depth in reversed(range(len(trunk)))]
    frozen = {id(p) for stage in list(net.stages())[:2] for p in stage.parameters()}
    assert not frozen & {id(p) for group in trunk for p in group["params"]}

    def learning(progress):
        set_rates(optimiser, config.train, progress)
        optimiser.zero_grad(set_to_none=True)
        net(torch.zeros(2, 1, 64, 64)).sum().backward()
        return [all(p.grad is not None for p in group["params"]) for group in trunk]

    waiting = [False] * (len(trunk) - 2)
    assert learning(0.0) == [*waiting, False, False]
    assert learning(0.1) == [*waiting, False, True]
    assert learning(0.3) == [*waiting, True, True]
    assert all(learning(0.4))


def test_first_stages_keep_their_statistics(small_run):
    net = start_network(configured(small_run))
    fix_first_stages(net, 2)
    stages = list(net.stages())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net(torch.randint(0, 255, (4, 1, 64, 64)))
    after = net.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    fixed = {id(b) for stage in stages[:2] for b in stage.buffers()}
    assert moved
    assert not fixed & {id(b) for name, b in net.named_buffers() if name in moved}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.unfreeze=[0.3,0.1]", "rise from 0"),
        ("train.unfreeze=[0.1,0.95]", "no step is left"),
        ("train.head_first=0.95", "no step is left"),
        ("data.fold=1", "fold 1 of 0 does not exist"),
        ("train.precision=half", r"train\.precision"),
        ("name=My model", r"\[name\].*small letters"),
        ("version=1.0-beta", r"\[version\].*1\.0\.0"),
        ('card.weaknesses=[""]', r"card\.weaknesses"),
        ('notes.x={"licens": "none"}', r"notes\.x\.licens.*Use 'licence'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(small_run, override, words):
    with pytest.raises(ConfigError, match=words):
        configured(small_run, override)


def rewrite_table(small_run, change):
    """Rewrite the table: `change` takes (patient number, label), gives (label, side)."""
    head, *rows = (small_run / "manifest.csv").read_text().splitlines()
    lines = [f"{head},split"]
    for row in rows:
        *cells, _, label = row.split(",")
        label, side = change(int(cells[2]), label)
        lines.append(",".join([*cells, label, label, side]))
    (small_run / "manifest.csv").write_text("\n".join(lines))


def test_one_class_is_refused_before_any_training(small_run):
    rewrite_table(small_run, lambda *_: ("0", ""))
    with pytest.raises(InvalidManifest, match="all labels of the training side say normal"):
        train(small_run / "run.toml", small_run / "out", on_progress=lambda _: None)
    assert not (small_run / "out").exists()


def test_a_validation_side_of_one_class_is_refused_before_any_training(small_run):
    rewrite_table(
        small_run, lambda patient, label: (label, "validation" if patient % 4 == 0 else "train")
    )
    with pytest.raises(InvalidManifest, match="malignant and other images on the validation side"):
        train(small_run / "run.toml", small_run / "out", ["data.official=true"], lambda _: None)
    assert not (small_run / "out").exists()


def test_refused_images_are_said_and_listed_and_a_pass_leaves_its_traces(small_run):
    import json

    (small_run / "0.png").write_bytes(b"no picture")
    lines = []
    best = train(
        small_run / "run.toml",
        small_run / "out",
        ["train.epochs=1", "train.tensorboard=true"],
        on_progress=lines.append,
    )
    assert list((small_run / "out" / "tensorboard").glob("events*"))
    assert any("1 images of the" in line and "0.png" in line for line in lines)
    summary = json.loads((small_run / "out" / "run.json").read_text())
    assert [Path(path).name for path in summary["refused"]] == ["0.png"]
    assert "not a medical device" in summary["disclaimer"]
    net = load_network(configured(small_run), best)
    assert isinstance(net, MammoNet)
    assert not net.training
    assert (small_run / "out" / "curves.png").stat().st_size > 10_000
    with pytest.raises(ConfigError, match="does not have the weights of the run's network"):
        load_network(configured(small_run, "network.hidden=24"), best)


def test_a_loss_that_is_not_finite_stops_the_run(small_run, monkeypatch):
    import mammolens.learn.train as loop

    monkeypatch.setattr(loop, "batch_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(ConfigError, match="loss of step 1 is not finite"):
        train(small_run / "run.toml", small_run / "out", on_progress=lambda _: None)


def test_start_weights_of_another_network_are_refused(small_run, tiny_run):
    (small_run / "other").mkdir()
    tiny_run(small_run / "other", "test_resnet")
    path = small_run / "other" / "trunk.safetensors"
    with pytest.raises(ConfigError, match=r"network\.start"):
        start_network(configured(small_run, f"network.start={path}"))
