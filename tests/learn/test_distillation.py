"""Learning from finished runs: those who know are heard, with their mean, and no patient leaks."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.data.cache import build_cache  # noqa: E402
from mammolens.data.manifest import Split  # noqa: E402
from mammolens.errors import ConfigError, PatientLeak  # noqa: E402
from mammolens.learn.config import load_manifest, read_run  # noqa: E402
from mammolens.learn.distillation import ask_teachers  # noqa: E402
from mammolens.learn.loss import soft_label_loss  # noqa: E402
from mammolens.learn.network import MammoNet, load_trunk  # noqa: E402
from mammolens.learn.predict import load_network, predict_logits  # noqa: E402
from mammolens.learn.train import start_network, train  # noqa: E402

SHORT = ("train.epochs=1", "train.epoch_images=8")
RUNS = {
    "first": (),
    "second": ("train.head_rate=0.01",),
    "wider": ("preprocess.width=96",),
    "elsewhere": ("data.split_seed=5",),
    "inner-0": ("data.inner_folds=2", "data.inner_fold=0"),
    "inner-1": ("data.inner_folds=2", "data.inner_fold=1"),
}


@pytest.fixture(scope="module")
def runs(finished_runs):
    return finished_runs(RUNS)


def taught(runs, *names):
    return "train.teachers=" + json.dumps([str(runs / name) for name in names])


def asked(runs, out, *names, refresh=True, settings=()):
    config = read_run(runs / "run.toml", [taught(runs, *names), *settings])
    manifest = load_manifest(config)
    side = build_cache(manifest.select(split=Split.TRAIN), config.preprocess, config.data.cache)
    told = ask_teachers(config, manifest, side.records, out, lambda _: None, refresh=refresh)
    return told, config, side


def softmax_of(run, pictures, config):
    logits = torch.from_numpy(
        predict_logits(load_network(config, run / "best.safetensors"), pictures)
    )
    return torch.softmax(logits.double(), 1)[:, 2].numpy()


def test_one_teacher_says_its_own_probability(runs, tmp_path):
    told, config, side = asked(runs, tmp_path, "first")
    assert np.allclose(told, softmax_of(runs / "first", side, config), atol=1e-6)
    assert len(set(told.round(6))) > 1


def test_two_teachers_say_the_mean_of_their_log_odds(runs, tmp_path):
    told, config, side = asked(runs, tmp_path, "first", "second")
    odds = [p / (1 - p) for p in (softmax_of(runs / n, side, config) for n in ("first", "second"))]
    mean = np.sqrt(odds[0] * odds[1])
    assert np.allclose(told, mean / (1 + mean), atol=1e-6)


def test_a_teacher_sees_pictures_as_it_learned_them(runs, tmp_path):
    told, config, side = asked(runs, tmp_path, "wider")
    as_learned = read_run(runs / "run.toml", RUNS["wider"])
    manifest = load_manifest(config).select(split=Split.TRAIN)
    pictures = build_cache(manifest, as_learned.preprocess, config.data.cache)
    assert np.allclose(told, softmax_of(runs / "wider", pictures, as_learned), atol=1e-6)
    assert not np.allclose(told, softmax_of(runs / "wider", side, as_learned), atol=1e-3)


def test_a_teacher_is_silent_on_a_source_that_it_never_learned_from(runs, tmp_path):
    other = tmp_path / "other.csv"
    text = (runs / "manifest.csv").read_text().replace("drawn,", "other,")
    other.write_text(text.replace(",CC,", f",CC,{runs}/"))
    tables = f'data.manifests=["{runs}/manifest.csv", "{other}"]'
    config = read_run(runs / "run.toml", [taught(runs, "first"), tables])
    manifest = load_manifest(config)
    records = build_cache(
        manifest.select(split=Split.TRAIN), config.preprocess, config.data.cache
    ).records
    told = ask_teachers(config, manifest, records, tmp_path, lambda _: None, refresh=True)
    silent = np.array([record.dataset == "other" for record in records])
    assert silent.any()
    assert not silent.all()
    assert np.array_equal(np.isnan(told), silent)


def test_a_teacher_who_learned_from_those_held_out_is_refused(runs, tmp_path):
    with pytest.raises(
        PatientLeak, match=r"learned from \d+ patients that the other run holds out"
    ):
        asked(runs, tmp_path, "first", "elsewhere")
    assert not (tmp_path / "teachers.npy").exists()


@pytest.mark.parametrize("key", ["start", "weights"])
def test_weights_of_one_who_learned_from_those_held_out_are_refused(runs, tmp_path, key):
    given = f"network.{key}={runs / 'elsewhere' / 'best.safetensors'}"
    with pytest.raises(PatientLeak, match=rf"elsewhere.*learned from \d+ patients.*network\.{key}"):
        train(runs / "run.toml", tmp_path / "pupil", (*SHORT, given), lambda _: None)
    assert not (tmp_path / "pupil").exists()


def test_cross_fitted_teachers_speak_of_those_they_held_out(runs, tmp_path):
    told, config, side = asked(
        runs, tmp_path, "inner-0", "inner-1", settings=["train.cross_fit=true"]
    )
    assert np.isfinite(told).all()
    for name in ("inner-0", "inner-1"):
        own = load_manifest(read_run(runs / "run.toml", RUNS[name]))
        held_out = {r.patient for r in own.select(split=Split.VALIDATION).records}
        theirs = np.array([r.patient in held_out for r in side.records])
        assert 0 < theirs.sum() < len(theirs)
        assert np.allclose(told[theirs], softmax_of(runs / name, side, config)[theirs], atol=1e-6)


def test_cross_fitted_teachers_of_everyone_have_nothing_to_say(runs, tmp_path):
    with pytest.raises(ConfigError, match=r"no teacher can score any.*inner_folds"):
        asked(runs, tmp_path, "first", "second", settings=["train.cross_fit=true"])
    assert not (tmp_path / "teachers.npy").exists()


def test_cross_fitting_without_teachers_is_refused(runs):
    with pytest.raises(ConfigError, match="cross_fit needs teachers"):
        read_run(runs / "run.toml", ["train.cross_fit=true"])


def test_words_of_other_images_are_refused(runs, tmp_path):
    kept = tmp_path / "teachers.npy"
    np.save(kept, np.zeros(3, np.float32))
    with pytest.raises(ConfigError, match="has 3 answers for 28 training images"):
        asked(runs, tmp_path, "first", refresh=False)
    kept.write_bytes(kept.read_bytes()[:40])
    with pytest.raises(ConfigError, match=r"teachers\.npy: it cannot be read"):
        asked(runs, tmp_path, "first", refresh=False)


def test_a_run_that_never_began_leaves_no_words_to_another(runs, tmp_path):
    (tmp_path / "pupil").mkdir()
    np.save(tmp_path / "pupil" / "teachers.npy", np.zeros(28, np.float32))
    train(runs / "run.toml", tmp_path / "pupil", (*SHORT, taught(runs, "first")), lambda _: None)
    assert np.load(tmp_path / "pupil" / "teachers.npy").min() > 0


def test_what_is_told_pulls_and_silence_does_not():
    logits = torch.zeros(2, 3, requires_grad=True)
    soft_label_loss(logits, torch.tensor([0.9, torch.nan])).backward()
    assert logits.grad[0, 2] < 0 < logits.grad[0, 0]
    assert torch.equal(logits.grad[1], torch.zeros(3))
    at_rest = torch.tensor([[0.0, 0.0, float(np.log(2.0))]], requires_grad=True)
    soft_label_loss(at_rest, torch.tensor([0.5])).backward()
    assert torch.allclose(at_rest.grad, torch.zeros(1, 3), atol=1e-7)


def test_a_taught_run_differs_resumes_and_asks_once(runs, tmp_path):
    taught_by = taught(runs, "first", "second")
    lines: list[str] = []
    best = train(runs / "run.toml", tmp_path / "pupil", (*SHORT, taught_by), lines.append)
    assert sum("teaches 28 of 28 images" in line for line in lines) == 2
    assert best.read_bytes() != (runs / "first" / "best.safetensors").read_bytes()
    again: list[str] = []
    train(runs / "run.toml", tmp_path / "pupil", (*SHORT, taught_by), again.append)
    assert not any("teaches" in line for line in again)


def test_a_head_goes_on_from_a_run_and_from_nothing_else(runs):
    weights = runs / "first" / "best.safetensors"
    settings = [f"network.start={weights}", "network.start_head=true"]
    config = read_run(runs / "run.toml", settings)
    learned = load_network(config, weights)
    assert torch.equal(start_network(config).hidden.weight, learned.hidden.weight)
    fresh = start_network(read_run(runs / "run.toml", settings[:1]))
    assert torch.equal(fresh.trunk.conv_stem.weight, learned.trunk.conv_stem.weight)
    assert not torch.equal(fresh.hidden.weight, learned.hidden.weight)
    for start in ([], ["network.start=mammolens-2"]):
        with pytest.raises(ConfigError, match=r"needs the best\.safetensors of a run in start"):
            read_run(runs / "run.toml", [*start, settings[1]])
    other = MammoNet("test_efficientnet", hidden=24)
    with pytest.raises(ConfigError, match=r"hidden\.weight is \(16"):
        load_trunk(other, weights, head=True)


@pytest.mark.slow
def test_the_card_of_a_pupil_names_its_teachers(runs, tmp_path):
    from mammolens.bench.packaging import export_run

    settings = [
        f"network.start={runs / 'first' / 'best.safetensors'}",
        "network.start_head=true",
        "network.frozen_stages=0",
        taught(runs, "first", "second"),
    ]
    train(runs / "run.toml", tmp_path / "pupil", (*SHORT, *settings), lambda _: None)
    recipe = export_run(tmp_path / "pupil", tmp_path / "package").card.training.recipe
    assert "trunk and head of an earlier run or package (first); the whole trunk learned" in recipe
    assert "taught by the labels and by first and second, weight 1;" in recipe
