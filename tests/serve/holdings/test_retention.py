"""What is old goes, kind by kind; what is in work, undelivered or needed stays however old."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.serve.delivery import deliver
from mammolens.serve.holdings import check_plausible, count_expired, expired_lines, retention
from mammolens.serve.holdings import expire as expire_if_plausible
from mammolens.serve.holdings.store import sweep
from mammolens.serve.intake import receive
from mammolens.serve.record import (
    AUDIT,
    COMMITMENTS,
    DELIVERIES,
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    OVERLAYS,
    PICTURES,
    PRIORS,
    RESULTS,
    WorkState,
)
from mammolens.serve.record.audit import verify
from mammolens.serve.settings import RetentionSettings

from ..in_process import work_once

DAY_S = 86400.0
ALL = RetentionSettings(
    exams_days=30, priors_days=10, superseded_days=5, ignored_days=3, commitments_days=2
)


def expire(node):
    """Expire although the clock of these tests was turned far ahead of the last reception."""
    return expire_if_plausible(node, clock_is_right=True)


@pytest.fixture
def node(state, tmp_path, monkeypatch):
    """A node that delivers into a folder and sweeps at once."""
    share = tmp_path / "share"
    share.mkdir()
    monkeypatch.setattr(retention, "sweep", lambda database, store: sweep(database, store, -60))
    route = {"name": "share", "to": str(share), "sinks": ["json"]}
    changed = state.settings.model_validate(
        state.settings.model_dump(exclude={"routes"}) | {"routes": [route], "retention": ALL}
    )
    return replace(state, settings=changed)


@pytest.fixture
def send(node, send_views):
    def send(study: str = "1.2.1", numbers=range(4), **changes) -> None:
        for number in numbers:
            uids = {"StudyInstanceUID": study, "SOPInstanceUID": f"{study}.{number}"}
            send_views(node, [number], **(uids | changes))

    return send


@pytest.fixture
def finish(node, clock):
    """Give a function that analyses what is there and delivers it."""

    def finish() -> None:
        clock.turn(61)
        work_once(node)
        deliver(node, threading.Event(), once=True)

    return finish


def files_of(node) -> int:
    return sum(1 for s in (node.received, node.results) for _ in s.folder.glob("??/*"))


def test_an_exam_goes_as_a_whole_when_its_days_are_over(node, send, finish, clock, rows):
    send()
    finish()
    assert files_of(node) == 9  # four films with their previews, and the result
    clock.turn(29 * DAY_S)
    assert expire(node).exams == 0
    clock.turn(2 * DAY_S)
    assert count_expired(node.database, ALL).exams == 1
    assert files_of(node) == 9
    gone = expire(node)
    assert (gone.exams, gone.files) == (1, 9)
    for table in (EXAMS, INSTANCES, PICTURES, JOBS, RESULTS, OVERLAYS, FILES, DELIVERIES):
        assert rows(table) == []
    assert files_of(node) == 0
    assert [row.action for row in rows(AUDIT)][-1] == "expired"
    with node.database.read() as connection:
        assert verify(connection).sound


def test_it_can_come_again_and_is_analysed_anew(node, send, finish, clock, rows):
    send()
    finish()
    clock.turn(31 * DAY_S)
    expire(node)
    send()
    finish()
    assert [(r.revision, r.n_images) for r in rows(RESULTS)] == [(1, 4)]


def test_nothing_goes_that_was_not_asked_for(node, send, finish, clock, rows):
    send()
    finish()
    clock.turn(9999 * DAY_S)
    kept = node.settings.model_copy(update={"retention": RetentionSettings()})
    assert expire(replace(node, settings=kept)) == retention.Expired()
    assert len(rows(EXAMS)) == 1


@pytest.mark.parametrize("why", ["not analysed", "not delivered", "dead job", "dead delivery"])
def test_what_is_not_settled_stays(node, send, finish, clock, rows, why):
    send()
    if why != "not analysed":
        finish()
    tables = {"dead job": JOBS, "not delivered": DELIVERIES, "dead delivery": DELIVERIES}
    dead = {"state": WorkState.DEAD.value}
    waiting = {"state": WorkState.QUEUED.value, "finished_at": None}
    if why in tables:
        with node.database.write() as connection:
            values = waiting if why == "not delivered" else dead
            connection.execute(tables[why].update().values(**values))
    clock.turn(31 * DAY_S)
    found = expire(node)
    assert (found.exams, found.held) == (0, 1)
    assert len(rows(EXAMS)) == 1
    assert "1 exams are old and stay" in expired_lines(found, done=True)[0]


def test_a_new_view_starts_the_days_anew(node, send, finish, clock, rows):
    send(numbers=range(3))
    finish()
    clock.turn(29 * DAY_S)
    send(numbers=[3])
    finish()
    clock.turn(2 * DAY_S)
    assert expire(node).exams == 0
    assert rows(RESULTS)[-1].n_images == 4


def test_only_files_of_results_that_were_replaced_go(node, send, finish, clock, rows):
    send(numbers=range(3))
    finish()
    send(numbers=[3])
    finish()
    assert len(rows(FILES)) == 2
    clock.turn(6 * DAY_S)
    assert expire(node).superseded == 1
    newest = rows(RESULTS)[-1]
    assert [f.result_id for f in rows(FILES)] == [newest.id]
    assert len(rows(RESULTS)) == 2


def test_notes_commitments_and_priors_go_by_their_own_days(node, send, clock, rows, mammogram):
    ct = mammogram(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.9")
    receive(node, ct, "dimse:X")
    with node.database.write() as connection:
        now = node.database.now(connection)
        connection.execute(
            COMMITMENTS.insert().values(transaction_uid="1.8", peer="P", asked_at=now)
        )
        connection.execute(PRIORS.insert().values(study_instance_uid="1.2.7", asked_at=now))
    send("1.2.7")
    send("1.2.8")
    for days, left in ((2.5, (1, 0, 2)), (1, (0, 0, 2)), (7, (0, 0, 1))):
        clock.turn(days * DAY_S)
        expire(node)
        ignored = [row for row in rows(INSTANCES) if row.role == "ignored"]
        assert (len(ignored), len(rows(COMMITMENTS)), len(rows(EXAMS))) == left
    assert [row.study_instance_uid for row in rows(EXAMS)] == ["1.2.8"]
    assert rows(PRIORS) == []


def test_a_younger_exam_stays_with_its_files(node, send, finish, clock, rows):
    send()
    finish()
    clock.turn(20 * DAY_S)
    send("1.2.2")
    finish()
    clock.turn(11 * DAY_S)
    assert expire(node).exams == 1
    (exam,) = rows(EXAMS)
    assert exam.study_instance_uid == "1.2.2"
    for row in rows(INSTANCES):
        assert node.received.path(row.digest).is_file()


def test_more_exams_than_a_batch(node, clock, rows, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    with node.database.write() as connection:
        now = node.database.now(connection)
        for number in range(5):
            connection.execute(
                sa.insert(EXAMS).values(
                    study_instance_uid=f"1.3.{number}",
                    identity="i",
                    first_received_at=now,
                    last_received_at=now,
                    version=1,
                    queued_version=1,
                    four_views=False,
                )
            )
    clock.turn(31 * DAY_S)
    assert expire(node).exams == 5
    assert rows(EXAMS) == []


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_clock_that_runs_ahead_deletes_nothing(node, send, finish, clock, rows):
    send()
    finish()
    clock.turn(200 * DAY_S)
    with pytest.raises(ConfigError, match=r"nothing was received for 200 days.*1 exams are due"):
        expire_if_plausible(node)
    send("1.2.2")
    finish()
    check_plausible(node.database, ALL)
    assert expire_if_plausible(node).exams == 1
    assert len(rows(EXAMS)) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_most_exams_do_not_go_at_once_though_one_came_after_the_jump(
    node, send, finish, clock, rows, monkeypatch
):
    monkeypatch.setattr(retention, "FEW", 3)
    for number in range(5):
        send(f"1.2.{number}", numbers=[0])
    finish()
    clock.turn(200 * DAY_S)
    send("1.2.9")
    finish()
    with pytest.raises(ConfigError, match="5 of 6 exams would be deleted at once"):
        expire_if_plausible(node)
    assert len(rows(EXAMS)) == 6
