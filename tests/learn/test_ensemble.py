"""Averaged weights and votes: exact on what is known, refused where a figure would lie."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.bench.crossvalidate import evaluate_ensemble  # noqa: E402
from mammolens.errors import ConfigError, PatientLeak  # noqa: E402
from mammolens.learn.checkpoint import read_run_folder  # noqa: E402
from mammolens.learn.ensemble import (  # noqa: E402
    average_runs,
    average_weights,
    read_members,
    soft_vote,
)
from mammolens.learn.predict import load_network  # noqa: E402

RUNS = {
    "first": ("train.head_rate=0.001",),
    "second": ("train.head_rate=0.01",),
    "wider": ("network.hidden=24",),
    "fewer": ('data.training_share={"drawn": 0.5}',),
    "elsewhere": ("data.split_seed=5",),
}


@pytest.fixture(scope="module")
def runs(finished_runs):
    return finished_runs(RUNS)


def test_the_average_lies_half_way_and_keeps_counters(runs):
    members = read_members([runs / "first", runs / "second"])
    first, second = (
        load_network(c, run / "best.safetensors").state_dict() for run, c, _ in members
    )
    mean = average_weights(members)
    assert mean.keys() == first.keys()
    assert any(not torch.equal(first[key], second[key]) for key in first)
    for key, value in mean.items():
        assert value.dtype == first[key].dtype
        if value.is_floating_point():
            half = (first[key].double() + second[key].double()) / 2
            assert torch.equal(value, half.to(value.dtype)), key
        else:
            assert torch.equal(value, first[key]), key


def test_a_run_counts_as_much_as_its_share_says(runs):
    members = read_members([runs / "first", runs / "second"])
    equal, mostly = average_weights(members), average_weights(members, [3, 1])
    first = load_network(members[0][1], runs / "first" / "best.safetensors").state_dict()
    for key, value in mostly.items():
        if value.is_floating_point():
            halfway = (first[key].double() + equal[key].double()) / 2
            assert torch.allclose(value.double(), halfway, rtol=1e-5, atol=1e-7), key
    for shares in ([1], [1, 0], [1, float("nan")], [1, -1], [1, float("inf")]):
        with pytest.raises(ConfigError, match="not shares of 2 runs"):
            average_weights(members, shares)


def test_a_run_that_knows_fewer_patients_may_join(runs):
    lines: list[str] = []
    average_runs([runs / "first", runs / "fewer"], runs / "joined", lines.append, shares=[3, 1])
    _, first = read_run_folder(runs / "first")
    _, joined = read_run_folder(runs / "joined")
    assert [part["share"] for part in joined["averaged"]] == [0.75, 0.25]
    assert joined["split_digest"] == first["split_digest"]
    with pytest.raises(ConfigError, match="holds out other patients"):
        read_members([runs / "first", runs / "fewer"])


def test_an_averaged_run_is_a_run_with_statistics_of_its_own(runs):
    lines: list[str] = []
    best = average_runs([runs / "first", runs / "second"], runs / "mean", lines.append)
    config, summary = read_run_folder(runs / "mean")
    assert [part["run"] for part in summary["averaged"]] == [
        str(runs / "first"),
        str(runs / "second"),
    ]
    assert "averaged: score" in " ".join(lines)
    net = load_network(config, best).state_dict()
    mean = average_weights(read_members([runs / "first", runs / "second"]))
    moved = {key for key in net if not torch.equal(net[key], mean[key])}
    assert moved
    assert all(key.endswith(("running_mean", "running_var", "batches_tracked")) for key in moved)
    assert summary["split_digest"] == read_run_folder(runs / "first")[1]["split_digest"]


def test_runs_that_cannot_be_averaged_are_refused(runs):
    with pytest.raises(ConfigError, match="one run is not an ensemble"):
        average_runs([runs / "first"], runs / "no", lambda _: None)
    with pytest.raises(ConfigError, match=r"wider.*network\.hidden is 24, that of .*first is 16"):
        average_runs([runs / "first", runs / "wider"], runs / "no", lambda _: None)
    with pytest.raises(PatientLeak, match=r"elsewhere.*has learned from \d+ patients"):
        average_runs([runs / "first", runs / "elsewhere"], runs / "no", lambda _: None)
    with pytest.raises(ConfigError, match=r"elsewhere.*holds out other patients.*split_digest"):
        read_members([runs / "first", runs / "elsewhere"])
    with pytest.raises(ConfigError, match="has no finished pass"):
        average_runs([runs / "first", runs], runs / "no", lambda _: None)
    assert not (runs / "no").exists()


def test_a_vote_of_one_mind_is_that_mind_and_architectures_may_differ(runs):
    alone = evaluate_ensemble([runs / "first"] * 2, runs / "alone", lambda _: None, draws=20)
    assert alone.metrics["malignancy"] == alone.metrics["members"][0]["malignancy"]
    mixed = evaluate_ensemble(
        [runs / "first", runs / "wider"], runs / "mixed", lambda _: None, draws=20
    )
    written = json.loads((runs / "mixed" / "metrics.json").read_text())
    assert written == mixed.metrics
    assert written["n_rows"] == 12
    assert written["malignancy"]["patient"]["n"] == 6
    assert written["datasets"].keys() == {"drawn"}
    assert "not a medical device" in written["disclaimer"]
    assert len((runs / "mixed" / "predictions.csv").read_text().splitlines()) == 13


def test_votes_are_averaged_and_must_pair():
    first, second = np.random.default_rng(0).dirichlet((1, 1, 1), (2, 5))
    assert soft_vote([first, second]) == pytest.approx((first + second) / 2)
    with pytest.raises(ConfigError, match="do not pair"):
        soft_vote([first, second[:3]])
    with pytest.raises(ConfigError, match="do not pair"):
        soft_vote([])


@pytest.mark.slow
def test_an_averaged_run_is_exported_and_its_card_says_so(runs):
    from mammolens.bench.packaging import export_run

    average_runs(
        [runs / "first", runs / "second"], runs / "to-export", lambda _: None, shares=[3, 1]
    )
    package = export_run(runs / "to-export", runs / "package")
    assert "75% first (pass " in package.card.training.recipe
    assert "25% second (pass " in package.card.training.recipe
