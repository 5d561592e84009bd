"""The stated run length is kept on stable streams, changes are found, and bets are fair."""

from __future__ import annotations

import numpy as np
import pytest

from mammolens.monitor import LEAST, MEASURES, NAMES, Partition
from mammolens.monitor.detector import BETS, Evidence, bet_gains, evidence_of, fresh, step
from mammolens.monitor.measures import BINS, bins_of
from mammolens.monitor.streams import threshold

GREY = NAMES.index("mean_grey")


def first_alarms(values, bins, limit: float, seed: int):
    """Run streams (exams, m) to their first alarm; give its exam (m,), 0 for none."""
    rng = np.random.default_rng(seed)
    state = fresh(values.shape[1])
    alarmed = np.zeros(values.shape[1], int)
    for number in range(len(values)):
        state = step(state, values[number], bins[number], rng.random(values.shape[1]), number + 1)
        reached = (evidence_of(state) >= limit) & (alarmed == 0)
        alarmed[reached] = number + 1
    return alarmed, state


def grey_bins(values):
    return np.clip(np.floor(values * BINS), 0, BINS - 1).astype(np.intp)


def test_each_bet_gains_nothing_on_average():
    even = (np.arange(1_000_000) + 0.5) / 1_000_000
    means = bet_gains(even).mean(axis=0)
    assert means.shape == (len(BETS),)
    assert (means < 1.001).all()
    assert (means > 0.9).all(), "a bet that never gains finds nothing"


@pytest.mark.parametrize("kind", ["smooth", "binary", "heavy"])
def test_a_stable_stream_alarms_no_more_often_than_stated(kind):
    """300 streams: the mean run length is at least the limit, also for shares and odd values."""
    limit, exams, streams = 300.0, 900, 300
    rng = np.random.default_rng(3)
    values = {
        "smooth": rng.normal(0.5, 0.1, (exams, streams)),
        "binary": (rng.random((exams, streams)) < 0.1).astype(float),
        "heavy": rng.standard_t(1.5, (exams, streams)) * 0.02 + 0.5,
    }[kind]
    alarmed, _ = first_alarms(values, grey_bins(values), limit, seed=4)
    run = np.where(alarmed == 0, exams, alarmed)
    error = run.std() / np.sqrt(streams)
    assert run.mean() + 3 * error >= limit, "alarms come too often"
    # A detector that hardly ever alarms would be of no use: the bound is not far away.
    assert (alarmed > 0).mean() > 0.2


@pytest.mark.slow
def test_the_budget_holds_for_all_monitors_of_a_node_together():
    """200 nodes with a site, three machines and two versions, all measures, which depend."""
    run_length, exams, nodes = 250, 250, 200
    rng = np.random.default_rng(5)
    common = rng.normal(0.5, 0.1, (exams, nodes, 1))
    values = common + rng.normal(0.0, 0.05, (exams, nodes, len(MEASURES)))
    groups = 6
    rows = np.full((exams, nodes, groups, len(MEASURES)), np.nan)
    machine, version = rng.integers(3, size=(2, exams, nodes)) % np.array([3, 2])[:, None, None]
    rows[:, :, 0] = values
    for place, member in enumerate((machine == 0, machine == 1, machine == 2), start=1):
        rows[:, :, place] = np.where(member[:, :, None], values, np.nan)
    for place, member in enumerate((version == 0, version == 1), start=4):
        rows[:, :, place] = np.where(member[:, :, None], values, np.nan)
    flat = rows.reshape(exams, -1)
    alarmed, _ = first_alarms(flat, grey_bins(np.nan_to_num(flat)), threshold(run_length), seed=6)
    false_alarms = (alarmed > 0).reshape(nodes, -1).sum(axis=1)
    upper = false_alarms.mean() + 3 * false_alarms.std() / np.sqrt(nodes)
    assert false_alarms.mean() <= exams / run_length
    assert upper <= exams / run_length
    assert threshold(run_length) == run_length * len(MEASURES) * len(Partition)


@pytest.mark.parametrize(
    ("direction", "after", "soon"),
    [
        ("higher", lambda rng, n: rng.normal(0.7, 0.1, n), 40),
        ("lower", lambda rng, n: rng.normal(0.3, 0.1, n), 40),
        ("wider", lambda rng, n: rng.normal(0.5, 0.3, n), 120),
        ("narrower", lambda rng, n: rng.normal(0.5, 0.02, n), 120),
    ],
)
def test_a_change_is_found_with_its_direction_and_its_begin(direction, after, soon):
    rng = np.random.default_rng(8)
    streams, before = 50, 400
    values = np.concatenate(
        [rng.normal(0.5, 0.1, (before, streams)), after(rng, (300, streams))]
    ).clip(0, 1)
    alarmed, _ = first_alarms(values, grey_bins(values), threshold(10_000), seed=9)
    delays = np.where(alarmed == 0, 300, alarmed - before)
    assert np.median(delays) <= soon
    state, ties = fresh(1), np.random.default_rng(10)
    for number in range(before + int(np.median(delays)) + 5):
        row = values[number, :1]
        state = step(state, row, grey_bins(row), ties.random(1), number + 1)
    bet = int(state.wealth[0].argmax())
    assert BETS[bet] == direction
    assert abs(int(state.since[0, bet]) - before) <= 10


def test_nothing_is_said_of_ten_exams():
    values = np.concatenate([np.full((5, 1), 0.2), np.full((5, 1), 0.9)])
    alarmed, state = first_alarms(values, grey_bins(values), 1.0, seed=1)
    assert (alarmed == 0).all()
    assert state.seen[0] == 10 < LEAST


def test_a_missing_value_changes_nothing_but_its_own_row():
    state = fresh(2)
    state = step(state, np.array([0.5, np.nan]), np.array([3, 0]), np.array([0.5, 0.5]), 1)
    assert state.seen.tolist() == [1, 0]
    assert state.total.tolist() == [0.5, 0.0]


def test_the_state_does_not_grow_with_exams():
    def size(state: Evidence) -> int:
        return sum(array.nbytes for array in vars(state).values())

    state = fresh(3)
    begin = size(state)
    for number in range(200):
        state = step(state, np.full(3, 0.5), np.zeros(3, np.intp), np.full(3, 0.5), number + 1)
    assert size(state) == begin


def test_the_arguments_are_not_changed():
    state = fresh(1)
    kept = state.counts.copy()
    step(state, np.array([0.5]), np.array([1]), np.array([0.5]), 1)
    assert (state.counts == kept).all()


def test_values_beyond_a_scale_count_as_its_ends():
    values = np.full(len(MEASURES), 0.5)
    values[GREY] = 7.0
    assert bins_of(values)[GREY] == BINS - 1
    values[GREY] = -7.0
    assert bins_of(values)[GREY] == 0
