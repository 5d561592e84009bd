"""The monitors of a node: each observation once, alarms, and what people may change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from mammolens.monitor import Condition, ExamValues, Partition
from mammolens.serve import alarms, monitoring
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.record import (
    ALARMS,
    ALERTS,
    AUDIT,
    EXAMS,
    MONITORS,
    OBSERVATIONS,
    PEOPLE,
)
from mammolens.serve.settings import NodeSettings

from ..reading.conftest import clinic  # noqa: F401


@pytest.fixture
def add(database, clock):
    """Give a function that enters exams with one measure, as results would."""
    entered = {"n": 0}

    def add(values, site=None, machine="MG1", **more):
        with database.write() as connection:
            for value in values:
                entered["n"] += 1
                number = entered["n"]
                exam = {
                    "study_instance_uid": f"9.{number}",
                    "identity": f"{number:064x}",
                    "first_received_at": clock.now,
                    "last_received_at": clock.now,
                    "version": 1,
                    "queued_version": 1,
                    "four_views": True,
                    "site_id": site,
                }
                made = connection.execute(EXAMS.insert().values(exam).returning(EXAMS.c.id))
                seen = ExamValues({"mean_grey": float(value), **more}, machine, "S1", "m")
                exam_id = made.scalar_one()
                monitoring.enter_result(database, connection, exam_id, number, seen)
        return entered["n"]

    return add


@pytest.fixture
def changed(add):
    """Enter 200 exams and then 40 brighter ones."""

    def changed(site=None):
        rng = np.random.default_rng(1)
        add(rng.normal(0.4, 0.03, 200), site)
        add(rng.normal(0.6, 0.03, 40), site)

    return changed


def take_all(database, settings=None, most=100):
    taken = 0
    while n := monitoring.take_in(database, settings or NodeSettings(), most):
        taken += n
    return taken


def test_each_observation_is_taken_once(database, add, rows):
    add(np.full(30, 0.4))
    assert take_all(database, most=7) == 30
    assert take_all(database) == 0
    states = {row.partition: json.loads(row.state) for row in rows(MONITORS)}
    assert {*states} == {"site", "machine", "software"}
    assert {state["seen"] for state in states.values()} == {30}
    assert all(row.taken for row in rows(OBSERVATIONS))


def test_a_change_becomes_alarms_with_their_begin(database, changed, rows):
    changed()
    take_all(database)
    found = rows(ALARMS)
    assert {alarm.measure for alarm in found} == {"mean_grey"}
    assert len(found) == 3, "one for the site, the machine and the software"
    assert all(abs(alarm.since - 201) <= 2 for alarm in found)
    actions = [row.action for row in rows(AUDIT)]
    assert actions.count("drift_alarm") == 3


def test_batches_give_the_same_states_as_one_by_one(database, changed, rows):
    changed()
    with database.read() as connection:
        kept = connection.execute(sa.select(OBSERVATIONS)).all()
    take_all(database, most=1000)
    whole = {row.key: json.loads(row.state) for row in rows(MONITORS)}
    with database.write() as connection:
        connection.execute(ALARMS.delete())
        connection.execute(MONITORS.delete())
        connection.execute(OBSERVATIONS.update().values(taken=False))
    assert take_all(database, most=3) == len(kept)
    assert {row.key: json.loads(row.state) for row in rows(MONITORS)} == whole


KILLED = """
import os, signal, sys
from mammolens.serve.monitoring import watching
from mammolens.serve.record import open_database
from mammolens.serve.settings import NodeSettings

point, url, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

database = open_database(url)
for _ in range(turns):
    watching.take_in(database, NodeSettings(), 20)
if point == "within":
    watching._announce = die
watching.take_in(database, NodeSettings(), 20)
die()
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["within", "after"])
def test_a_monitor_that_is_killed_goes_on_with_its_state(database, url, changed, rows, point):
    changed()
    command = [sys.executable, "-c", KILLED, point, url, "3"]
    done = subprocess.run(command, timeout=60, check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    expected = 60 if point == "within" else 80
    assert sum(row.taken for row in rows(OBSERVATIONS)) == expected
    assert {json.loads(row.state)["seen"] for row in rows(MONITORS)} == {expected}
    take_all(database)
    assert {json.loads(row.state)["seen"] for row in rows(MONITORS)} == {240}
    assert len(rows(ALARMS)) == 3


def test_a_clock_that_jumps_changes_nothing(database, changed, clock, rows):
    changed()
    for n, jump in enumerate((86_400 * 400, -86_400 * 800, 3600)):
        clock.turn(jump)
        monitoring.take_in(database, NodeSettings(), 60 + n)
    take_all(database)
    assert {alarm.since for alarm in rows(ALARMS)} <= set(range(199, 204))


def test_a_state_that_is_damaged_begins_again(database, add, rows):
    add(np.full(3, 0.4))
    take_all(database)
    with database.write() as connection:
        connection.execute(MONITORS.update().values(state='{"seen": 1}'))
    add(np.full(2, 0.4))
    assert take_all(database) == 2
    assert {json.loads(row.state)["seen"] for row in rows(MONITORS)} == {2}


def test_alarms_within_an_interval_are_one_message_a_person(database, clinic, changed, rows):  # noqa: F811
    with database.write() as connection:
        for name in ("admin", "head", "uploader"):
            of = PEOPLE.c.id == clinic[name].id
            connection.execute(PEOPLE.update().where(of).values(email=f"{name}@a.example"))
    settings = NodeSettings(
        alerts={"mail": {"host": "127.0.0.1", "security": "none", "sender": "a@b.example"}}
    )
    changed(clinic.site)
    take_all(database, settings, most=20)
    alerts = rows(ALERTS)
    people = {clinic["admin"].id, clinic["head"].id}
    assert {alert.person_id for alert in alerts} == people
    assert len(alerts) == 2
    assert {alert.total for alert in alerts} == {3}


def test_a_muted_monitor_alarms_and_sends_nothing(database, clinic, add, rows, clock):  # noqa: F811
    with database.write() as connection:
        connection.execute(PEOPLE.update().values(email="x@a.example"))
    settings = NodeSettings(
        alerts={"mail": {"host": "127.0.0.1", "security": "none", "sender": "a@b.example"}}
    )
    rng = np.random.default_rng(1)
    add(rng.normal(0.4, 0.03, 200), clinic.site)
    take_all(database, settings)
    for row in rows(MONITORS):
        until = clock.now + timedelta(hours=1)
        alarms.mute_monitor(database, clinic["head"], row.id, until)
    add(rng.normal(0.6, 0.03, 40), clinic.site)
    take_all(database, settings)
    assert len(rows(ALARMS)) == 3
    assert rows(ALERTS) == []


def test_who_looks_after_a_site_sees_its_monitors_alone(database, clinic, add):  # noqa: F811
    add([0.4], clinic.site)
    add([0.4], clinic.elsewhere)
    add([0.4], None)
    take_all(database)
    seen = {
        name: {
            note.site_id for note in alarms.list_monitors(database, clinic[name], None, 50).items
        }
        for name in ("admin", "head", "reader")
    }
    assert seen == {
        "admin": {clinic.site, clinic.elsewhere, None},
        "head": {clinic.site},
        "reader": set(),
    }
    elsewhere = next(
        note
        for note in alarms.list_monitors(database, clinic["admin"], None, 50).items
        if note.site_id == clinic.elsewhere
    )
    for act in (
        lambda: alarms.read_monitor(database, clinic["head"], elsewhere.id),
        lambda: alarms.mute_monitor(database, clinic["head"], elsewhere.id, None),
        lambda: alarms.restart_monitor(database, clinic["head"], elsewhere.id, ["score"]),
        lambda: alarms.measure_points(database, clinic["head"], elsewhere.id, "score", sa.true()),
        lambda: alarms.acknowledge_alarm(database, clinic["head"], 1),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.why is Refusal.UNKNOWN


def test_pages_of_monitors_are_by_number(database, clinic, add):  # noqa: F811
    for number in range(5):
        add([0.4], clinic.site, f"MG{number}")
    take_all(database)
    seen, before = [], None
    while True:
        page = alarms.list_monitors(database, clinic["head"], before, 3)
        before = page.next
        seen += [note.id for note in page.items]
        if before is None:
            break
    assert len(seen) == len({*seen}) == 7
    assert seen == sorted(seen, reverse=True)


def test_an_alarm_is_acknowledged_once_and_ended_by_a_restart(database, clinic, changed, rows):  # noqa: F811
    changed(clinic.site)
    take_all(database)
    head = clinic["head"]
    seen = alarms.list_alarms(database, head, open_only=True, before=None, limit=10).items
    machine = next(one for one in seen if one.partition is Partition.MACHINE)
    known = alarms.acknowledge_alarm(database, head, machine.id)
    assert known.acknowledged_by == "head"
    with pytest.raises(Refused) as refused:
        alarms.acknowledge_alarm(database, clinic["admin"], machine.id)
    assert refused.value.why is Refusal.CHANGED
    seen = alarms.measure_points(database, head, machine.monitor_id, "mean_grey", sa.true())
    assert len(seen.points) == 240
    assert seen.alarms[0].id == machine.id
    values = {point.exam_id: point.value for point in seen.points}
    assert len(seen.examples) == 5
    assert all(values[exam] > 0.6 for exam in seen.examples)
    note = alarms.restart_monitor(database, head, machine.monitor_id, ["mean_grey"])
    assert note.measures == ()
    still = alarms.list_alarms(database, head, open_only=True, before=None, limit=10).items
    assert machine.id not in {one.id for one in still}
    assert len(still) == 2
    actions = [row.action for row in rows(AUDIT)]
    assert "alarm_acknowledged" in actions
    assert "monitor_restarted" in actions
    with pytest.raises(Refused):
        alarms.restart_monitor(database, head, machine.monitor_id, ["no_measure"])


def test_exams_that_a_person_may_not_open_are_not_named(database, clinic, changed):  # noqa: F811
    changed(clinic.site)
    take_all(database)
    note = alarms.list_monitors(database, clinic["head"], None, 1).items[0]
    seen = alarms.measure_points(database, clinic["head"], note.id, "mean_grey", sa.false())
    assert {point.exam_id for point in seen.points} == {None}
    assert seen.examples == []


def test_values_of_an_ai_that_is_hidden_are_not_given(database, clinic, changed):  # noqa: F811
    changed(clinic.site)
    with database.write() as connection:
        connection.execute(
            OBSERVATIONS.update().values(measures='{"score": 0.5, "mean_grey": 0.4}')
        )
    take_all(database)
    note = alarms.list_monitors(database, clinic["head"], None, 1).items[0]
    asked = database, clinic["head"], note.id
    assert alarms.measure_points(*asked, "score", sa.false()).points == []
    assert alarms.measure_points(*asked, "score", sa.true()).points
    assert alarms.measure_points(*asked, "mean_grey", sa.false()).points


def test_a_decision_counts_once_an_exam(database, clinic, add, rows):  # noqa: F811
    add([0.4], clinic.site)
    exam = rows(EXAMS)[-1].id
    with database.write() as connection:
        for number, recall in ((1, True), (2, False)):
            monitoring.enter_decision(database, connection, exam, number, recall)
    assert [row.source for row in rows(OBSERVATIONS)] == ["result:1"], "no category: unknown"


def test_the_table_of_the_command_line(database, clinic, changed):  # noqa: F811
    changed(clinic.site)
    take_all(database)
    found = monitoring.read_monitors(database)
    assert {one["partition"] for one in found} == {"site", "machine", "software"}
    assert all(one["alarms"] == ["mean_grey"] and one["site"] == "north" for one in found)
    past = list(monitoring.past_observations(database))
    assert len(past) == 240
    assert past[0].site == "north"
    with database.read() as connection:
        counts = monitoring.count_monitors(connection)
    assert counts.alarms["mean_grey"] == 3
    assert counts.waiting == 0


def test_ten_exams_are_not_enough(database, add, clinic):  # noqa: F811
    add(np.linspace(0.1, 0.9, 10), clinic.site)
    take_all(database)
    for note in alarms.list_monitors(database, clinic["head"], None, 9).items:
        (measure,) = note.measures
        assert (measure.name, measure.condition, measure.exams) == (
            "mean_grey",
            Condition.WAITING,
            10,
        )
