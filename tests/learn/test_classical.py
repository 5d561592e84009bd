"""Classical classifiers: they find a known texture, and nothing where there is nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra mammolens[train]")

from sklearn.metrics import roc_auc_score

from mammolens.bench.comparison.candidates import CLASSICAL
from mammolens.errors import InvalidManifest
from mammolens.learn import classical
from mammolens.learn.classical import Sample, fit, source_auc
from mammolens.learn.classifiers import CLASSIFIERS
from mammolens.learn.handcrafted_features import handcrafted_features


def draw(number, stripes):
    """Noise, or noise with faint stripes: the texture that carries the label."""
    rng = np.random.default_rng(number)
    picture = rng.normal(120, 20, (64, 64))
    if stripes:
        picture[:, ::4] += 25
    return np.clip(picture, 1, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def material():
    """A sample of eighty pictures of forty women of two sources, and eighty to score."""
    made = np.array([handcrafted_features(draw(i, i // 2 % 2)) for i in range(160)])
    labels = np.array([i // 2 % 2 for i in range(160)], bool)
    sources = np.array([("film", "digital")[i // 4 % 2] for i in range(80)])
    patients = np.array([f"{sources[i]}/{i // 2}" for i in range(80)])
    return Sample(made[:80], labels[:80], sources, patients), made[80:], labels[80:]


def test_the_command_knows_every_classifier():
    assert set(CLASSICAL) == set(CLASSIFIERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSICAL)
def test_a_texture_is_found_again(name, material):
    training, others, labels = material
    found = fit(name, training, others, folds=3, seed=1)
    assert roc_auc_score(labels, found.scores) > 0.9
    assert roc_auc_score(training.labels, found.out_of_fold) > 0.9
    assert ((found.scores > 0) & (found.scores < 1)).all()
    assert set(found.chosen) == set(CLASSIFIERS[name].grid)
    assert len(found.fold_choices) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svm", "logistic"])
def test_shuffled_labels_teach_nothing(name, material):
    training, _, _ = material
    values = []
    for seed in range(4):
        by_patient = np.random.default_rng(seed).permutation(training.labels[::2])
        found = fit(
            *(name, replace(training, labels=np.repeat(by_patient, 2)), training.features[:1]),
            folds=3,
            seed=seed,
        )
        values.append(roc_auc_score(np.repeat(by_patient, 2), found.out_of_fold))
    assert np.mean(values) == pytest.approx(0.5, abs=0.15)


def test_patients_are_never_divided_and_folds_are_stratified(material):
    training, _, _ = material
    cuts = classical._cut(training, 5, seed=2)
    held_out = np.concatenate([held for _, held in cuts])
    assert sorted(held_out) == list(range(80))
    for learned, held in cuts:
        assert not set(training.patients[learned]) & set(training.patients[held])
        assert 0.3 < training.labels[held].mean() < 0.7


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores(material):
    training, others, _ = material
    one, other = (fit("svm", training, others, folds=3, seed=4) for _ in range(2))
    assert (one.scores == other.scores).all()
    assert (one.out_of_fold == other.out_of_fold).all()
    forests = [
        classical._trained(CLASSIFIERS["forest"], {"min_samples_leaf": 5}, training, seed)(others)
        for seed in (4, 4, 5)
    ]
    assert (forests[0] == forests[1]).all()
    assert (forests[0] != forests[2]).any()


def test_held_out_scores_do_not_know_their_patients(material):
    """Turning one fold's labels round changes what is learned, but not how it is itself scored."""
    training, others, _ = material
    cuts = classical._cut(training, 3, seed=0)
    held = cuts[0][1]
    raw = []
    for labels in (training.labels, training.labels.copy()):
        if raw:
            labels[held] = ~labels[held]
        part = replace(training, labels=labels).at(cuts[0][0])
        chosen = classical._search(CLASSIFIERS["svm"], part, classical._cut(part, 3, 0), 0)
        model = classical._trained(CLASSIFIERS["svm"], chosen, part, 0)
        raw.append(model(training.features[held]))
    assert (raw[0] == raw[1]).all()
    assert len(others)


def test_source_auc_is_the_weighted_mean_within_sources():
    rng = np.random.default_rng(0)
    sources = np.array(["a"] * 30 + ["b"] * 70 + ["c"] * 5)
    labels = np.r_[rng.random(100) < 0.5, np.ones(5, bool)]
    scores = rng.random(105) + (sources == "b")
    within = [roc_auc_score(labels[sources == s], scores[sources == s]) for s in "ab"]
    assert source_auc(labels, scores, sources) == pytest.approx(0.3 * within[0] + 0.7 * within[1])
    assert source_auc(labels[100:], scores[100:], sources[100:]) is None


def test_probabilities_keep_the_order_of_scores_even_where_these_mislead():
    scores = np.linspace(-2, 2, 40)
    against = classical._sigmoid(scores, scores < 0)
    assert (np.diff(against(scores)) > 0).all()
    fair = classical._sigmoid(scores, scores + np.sin(9 * scores) > 0)
    assert (np.diff(fair(scores)) > 0).all()
    assert fair(np.array([-9.0, 9.0])) == pytest.approx([0, 1], abs=0.01)


@pytest.mark.slow
def test_scores_are_kept_and_never_stale(material, tmp_path):
    training, others, _ = material
    searches = []
    note = lambda done, total: searches.append((done, total))  # noqa: E731
    kept = {"kept_in": tmp_path, "folds": 3, "on_progress": note}
    first = fit("knn", training, others, **kept)
    assert len(searches) == 4
    again = fit("knn", training, others, **kept)
    assert len(searches) == 4
    assert (again.scores == first.scores).all()
    assert (again.chosen, again.fold_choices) == (first.chosen, first.fold_choices)
    labels = training.labels.copy()
    labels[:2] = ~labels[:2]
    fit("knn", replace(training, labels=labels), others, **kept)
    fit("knn", training, others + np.float32(1), **kept)
    fit("knn", training, others, seed=1, **kept)
    assert len(searches) == 16
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(b"damaged")
    assert (fit("knn", training, others, **kept).scores == first.scores).all()


@pytest.mark.slow
def test_another_process_would_find_what_was_kept():
    """The digests hold no address of this process's memory."""
    code = (
        "import numpy as np; from mammolens.learn import classical as c;"
        "f = np.arange(6, dtype=np.float32).reshape(3, 2); n = np.array(['a', 'b', 'c']);"
        "s = c.Sample(f, f[:, 0] > 1, n, n);"
        f"print(*(c._digest(name, s, f, 3, 0) for name in {CLASSICAL!r}))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", f"junk = [object()] * {size}; {code}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for size in (1, 100_000)
    ]
    assert told[0] == told[1]
    assert len(set(told[0].split())) == len(CLASSICAL)


@pytest.mark.parametrize("positive", [0, 2, 80])
def test_too_few_patients_of_a_class_are_refused_by_name(material, positive):
    training, others, _ = material
    labels = np.arange(80) < positive
    with pytest.raises(InvalidManifest, match=r"training patients are (positive|negative)"):
        fit("tree", replace(training, labels=labels), others)
