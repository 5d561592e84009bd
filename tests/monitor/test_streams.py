"""A group of exams: its state is JSON, goes on where it was, and says what it does not know."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mammolens.errors import ConfigError, DataError
from mammolens.monitor import (
    LEAST,
    NAMES,
    Condition,
    ExamValues,
    Observation,
    StreamState,
    disagreement,
    observe,
    read_past,
    replay,
    replay_lines,
    restart,
    threshold,
)

LIMIT = threshold(10_000)


def exams(n: int, seed: int = 1, grey: float = 0.4, first: int = 1) -> list[Observation]:
    rng = np.random.default_rng(seed)
    return [
        Observation(
            first + number,
            {"mean_grey": rng.normal(grey, 0.05), "score": rng.normal(-3, 1), "failed": 0.0},
            "model 1",
        )
        for number in range(n)
    ]


def run(state: StreamState, observations: list[Observation]):
    alarms = []
    for one in observations:
        state, found = observe(state, one, LIMIT)
        alarms += found
    return state, alarms


def test_a_state_goes_on_from_its_json_exactly():
    stream = exams(300) + exams(60, seed=2, grey=0.6, first=301)
    whole, expected = run(StreamState.begin(5), stream)
    state, found = StreamState.begin(5), []
    for one in stream:
        state = StreamState.from_json(json.loads(json.dumps(state.to_json())))
        state, alarms = observe(state, one, LIMIT)
        found += alarms
    assert found == expected
    assert state.to_json() == whole.to_json()
    assert [alarm.measure for alarm in found] == ["mean_grey"]


def test_an_alarm_says_what_has_changed_since_when_and_by_how_much():
    _, (alarm,) = run(StreamState.begin(1), exams(300) + exams(60, 2, grey=0.6, first=301))
    assert (alarm.measure, alarm.direction) == ("mean_grey", "higher")
    assert abs(alarm.since - 301) <= 3
    assert alarm.mean_before == pytest.approx(0.4, abs=0.02)
    assert alarm.mean_after == pytest.approx(0.6, abs=0.05)
    assert alarm.n_before == alarm.since - 1


def test_ten_exams_are_not_enough_and_an_alarm_stays_until_a_restart():
    state, _ = run(StreamState.begin(1), exams(10))
    assert state.condition("mean_grey") is Condition.WAITING
    state, _ = run(state, exams(LEAST, seed=3, first=11))
    assert state.condition("mean_grey") is Condition.STABLE
    state, alarms = run(state, exams(200, seed=4, grey=0.8, first=100))
    assert [alarm.measure for alarm in alarms] == ["mean_grey"]
    assert state.condition("mean_grey") is Condition.ALARM
    state = restart(state, ["mean_grey"])
    assert state.condition("mean_grey") is Condition.WAITING
    assert state.condition("score") is Condition.STABLE
    state, alarms = run(state, exams(300, seed=5, grey=0.8, first=400))
    assert alarms == []


def test_another_model_begins_the_scores_again_and_not_the_pictures():
    state, _ = run(StreamState.begin(1), exams(LEAST + 10))
    state, _ = observe(state, Observation(99, {"score": 5.0, "mean_grey": 0.4}, "model 2"), LIMIT)
    assert state.count("score") == 1
    assert state.count("mean_grey") == LEAST + 11


def test_a_measure_that_is_not_finite_is_unknown():
    state, _ = observe(
        StreamState.begin(1), Observation(1, {"score": float("nan"), "noise": np.inf}), LIMIT
    )
    assert state.count("score") == state.count("noise") == 0


def test_a_damaged_state_is_named():
    kept = StreamState.begin(1).to_json()
    for damage in ({}, {**kept, "evidence": {}}, {**kept, "measures": 3}, {**kept, "seed": "x"}):
        with pytest.raises(ConfigError, match="state of a monitor"):
            StreamState.from_json(damage)


def test_a_state_of_a_version_with_other_measures_is_read():
    state, _ = run(StreamState.begin(1), exams(20))
    kept = state.to_json()
    row = kept["measures"].index("mean_grey")
    kept["measures"] = ["unheard_of" if n == "score" else n for n in kept["measures"]]
    read = StreamState.from_json(kept)
    assert read.count("mean_grey") == sum(kept["evidence"]["counts"][row]) == 20
    assert read.count("score") == 0


@pytest.mark.parametrize(
    ("category", "recall", "expected"),
    [
        ("high", True, {"disagreement": 0.0}),
        ("high", False, {"disagreement": 1.0}),
        ("low", True, {"disagreement": 1.0}),
        ("intermediate", False, {"disagreement": 0.0}),
        ("failed", True, {}),
        (None, True, {}),
        ("high", None, {}),
    ],
)
def test_reader_and_ai_differ_only_where_both_are_known(category, recall, expected):
    assert disagreement(category, recall) == expected


def _table(path, rows):
    names = ["category", "malignancy", "machine", "mean_grey", "study_instance_uid"]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_a_replay_of_a_table_names_machine_exam_and_measure(tmp_path):
    rng = np.random.default_rng(2)
    rows = [
        ("low", 0.01, "MG1", round(rng.normal(0.4 if n < 200 else 0.6, 0.03), 4), f"1.{n}")
        for n in range(260)
    ]
    found = replay(read_past([_table(tmp_path / "worklist.csv", rows)]), 10_000)
    assert {one.alarm.measure for one in found.alarms} == {"mean_grey"}
    named = {(one.partition.value, one.group) for one in found.alarms}
    assert ("machine", "MG1") in named
    assert abs(int(found.alarms[0].since.removeprefix("1.")) - 200) <= 3
    lines = replay_lines(found, 10_000)
    assert "mean_grey of machine MG1 is higher since" in "\n".join(lines)
    assert "10,000 exams" in lines[-1]


def test_a_replay_of_ten_exams_says_that_they_are_not_enough():
    found = replay([ExamValues({"score": 0.0})] * 10, 1000)
    assert found.alarms == ()
    assert found.conditions["stable"] == 0
    assert "waiting" in replay_lines(found, 1000)[-1]


def test_two_thousand_machines_hide_no_change_of_one():
    rng = np.random.default_rng(3)
    past = []
    for number in range(2000):
        past.append(ExamValues({"mean_grey": rng.normal(0.4, 0.03)}, f"MG {number}", "S 1"))
        if number % 10 == 0:
            grey = rng.normal(0.4 if number < 1500 else 0.6, 0.03)
            past.append(ExamValues({"mean_grey": grey}, "MG changed", "S 2"))
    found = replay(past, 10_000)
    machines = [one for one in found.alarms if one.partition.value == "machine"]
    assert [(one.group, one.alarm.direction) for one in machines] == [("MG changed", "higher")]
    assert found.conditions["waiting"] >= 2000


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"exams": 1}'])
def test_a_file_that_is_no_result_is_refused_by_name(tmp_path, content):
    for name in ("results.json", "worklist.csv"):
        file = tmp_path / name
        file.write_text(content, "utf-8")
        with pytest.raises(DataError, match=name):
            list(read_past([file]))


def test_every_measure_has_a_name_of_its_own():
    assert len({*NAMES}) == len(NAMES)
