"""Server-sent events: who hears what, where a stream goes on, and when it ends."""

from __future__ import annotations

import asyncio
import json

import pytest
import sqlalchemy as sa

from mammolens.serve import people
from mammolens.serve.people import Refused, find_person
from mammolens.serve.portal import events
from mammolens.serve.portal.feed import MOST_OF_PERSON, Feed
from mammolens.serve.record import EXAMS, audit
from mammolens.serve.worklist import EventReader

from ..in_process import work_once
from .test_exams import EXAM, send


@pytest.fixture
def make_stage(make_empty_stage):
    return make_empty_stage


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(events, "POLL_S", 0.02)
    monkeypatch.setattr("mammolens.serve.portal.feed.LOOK_S", 0.0)


def person(stage, name):
    with stage.database.read() as connection:
        return find_person(connection, stage.cast.people[name])


def heard(stage, name, after):
    with stage.database.read() as connection:
        reader = EventReader(connection, after)
        return [(e.kind.value, e.data) for e in reader.read(connection, person(stage, name))]


def length(stage):
    with stage.database.read() as connection:
        return audit.read_head(connection).length


def test_who_may_know_of_an_exam_hears_of_it(make_stage, mammogram, package):
    stage = make_stage(model={"name": str(package)})
    before = length(stage)
    send(stage, mammogram, "1.2.3.4")
    told = {"exam_id": EXAM, "version": 4, "revision": None}
    for who in ("north-reader", "admin"):
        assert heard(stage, who, before) == [("exam.received", told)]
    assert heard(stage, "south-head", before) == []
    before = length(stage)
    stage.clock.turn(120)
    work_once(stage.state)
    kinds = [kind for kind, _ in heard(stage, "north-reader", before)]
    assert kinds == ["exam.changed", "exam.analysed"]
    assert "category" not in json.dumps(heard(stage, "north-reader", before))


def test_an_exam_that_goes_elsewhere_is_gone(make_stage, mammogram):
    stage = make_stage()
    send(stage, mammogram, "1.2.3.4", [0])
    before = length(stage)
    sites = stage.cast.sites
    people.assign_exam(stage.database, person(stage, "admin"), EXAM, sites["north"], sites["south"])
    assert heard(stage, "north-reader", before) == [("exam.removed", {"exam_id": EXAM})]
    assert heard(stage, "south-head", before)[0][0] == "exam.changed"


def test_an_exam_that_is_deleted_is_told_where_it_was(stage):
    before = length(stage)
    with stage.database.write() as connection:
        detail = {"kind": "exams", "objects": 4, "site": stage.cast.sites["north"]}
        audit.append(stage.database, connection, "retention", "expired", 7, detail)
    assert heard(stage, "north-reader", before) == [("exam.removed", {"exam_id": 7})]
    assert heard(stage, "south-head", before) == []


@pytest.mark.parametrize("after", [10**9, 10**6])
def test_who_has_missed_too_much_reads_everything_again(stage, after):
    assert heard(stage, "admin", after) == [("reload", {})]


async def frames(stage, who, last=None, most=3, until=None):
    """Read a stream as a browser does, from the generator behind the route."""
    app = stage.client.app.app
    portal = app.state.portal
    known = stage.cast.known[who]
    session = people.find_session(stage.database, stage.state.settings.people, known.secret)
    caller = events.Caller(session.person, session, known.secret, people.Origin())
    answer = await events.stream_events(caller, portal, last)
    found = []
    async for part in answer.body_iterator:
        found.append(part.decode() if isinstance(part, bytes) else part)
        if until is not None:
            until(found)
        if len(found) >= most:
            break
    await answer.body_iterator.aclose()
    return found


def test_a_stream_goes_on_where_it_was_cut_off(make_stage, mammogram):
    stage = make_stage()
    before = length(stage)
    send(stage, mammogram, "1.2.3.4", [0])
    first, second = asyncio.run(frames(stage, "north-reader", str(before), most=2))
    assert first == f"retry: 3000\nid: {before}\n\n"
    number, kind, data, *_ = second.split("\n")
    assert (number, kind) == (f"id: {length(stage)}", "event: exam.received")
    assert json.loads(data.removeprefix("data: "))["exam_id"] == EXAM


def test_a_stream_ends_with_its_session(make_stage, mammogram):
    stage = make_stage()
    before = length(stage)

    def leave(found):
        if len(found) == 1:
            known = stage.cast.known["north-reader"]
            people.end_session(stage.database, person(stage, "north-reader"), known.session)
            send(stage, mammogram, "1.2.3.4", [0])

    found = asyncio.run(frames(stage, "north-reader", str(before), until=leave))
    assert len(found) == 1


def test_a_stream_ends_with_the_server(stage):
    def stop(_):
        stage.client.app.app.state.portal.feed.stop()

    assert len(asyncio.run(frames(stage, "admin", until=stop))) == 1


def test_places_are_few_and_given_back():
    feed = Feed()
    with feed.place(1):
        for _ in range(MOST_OF_PERSON * 2):
            with feed.place(1):
                pass
        held = [feed.place(1) for _ in range(MOST_OF_PERSON - 1)]
        for one in held:
            one.__enter__()
        with pytest.raises(Refused), feed.place(1):
            pass
        with feed.place(2):
            pass


def test_rows_that_concern_nobody_move_the_place_on(stage):
    with stage.database.read() as connection:
        reader = EventReader(connection, 0)
        assert reader.read(connection, person(stage, "north-reader")) == []
        assert reader.after == length(stage)
        assert connection.execute(sa.select(sa.func.count(EXAMS.c.id))).scalar_one() == 0
