"""The loop of a route: what is repeated, what is given up, what waits for what."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from mammolens.core import TriageCategory
from mammolens.serve import logs
from mammolens.serve.delivery import (
    dead_letter_lines,
    deliver,
    delivering,
    read_dead,
    revive_deliveries,
    sending,
)
from mammolens.serve.delivery.transports import Answer, Verdict
from mammolens.serve.record import DELIVERIES, FILES, Lease, Pulse
from mammolens.serve.record.attempts import wait_after
from mammolens.serve.record.audit import verify
from mammolens.serve.settings import JobSettings

HIGH, LOW, FAILED = TriageCategory.HIGH, TriageCategory.LOW, TriageCategory.FAILED


@pytest.fixture
def now():
    return lambda node: deliver(node.state, threading.Event(), once=True)


class Told:
    """Stands for a transport: answers as it is told, and keeps what it was sent."""

    def __init__(self, *verdicts: Verdict, act=None) -> None:
        self.verdicts, self.act = list(verdicts), act
        self.sent: list[tuple[int, int, str]] = []

    def open(self, _parcels):
        return contextlib.nullcontext(self.send)

    def send(self, delivery, _content) -> Answer:
        self.sent.append((delivery.exam_id, delivery.revision, delivery.name))
        if self.act is not None:
            self.act(delivery)
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict.TAKEN
        return Answer(verdict, verdict.value)


@pytest.fixture
def told(monkeypatch):
    """Give a function that sets the transports of routes by their name."""

    def tell(**transports):
        monkeypatch.setattr(sending, "open_transport", lambda r, _: transports[r.name])

    return tell


def route(name: str = "a", to: object = "away", sinks=("json",), **more):
    return {"name": name, "to": str(to), "sinks": sinks, **more}


def test_a_folder_gets_every_file_once_and_the_trail_tells_it(make_node, tmp_path, now):
    out = tmp_path / "share"
    out.mkdir()
    node = make_node(route(to=out, sinks=["json", "html"]))
    node.enter(
        {("json", "P.json"): b"{}", ("html", "html/P/index.html"): b"<p>", ("csv", "w"): b"x"}
    )
    assert (now(node), now(node)) == (2, 0)
    files = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    place = "exam-000001/result-001"
    assert files == {f"{place}/json/P.json": b"{}", f"{place}/html/P/index.html": b"<p>"}
    assert [row["receipt"] for row in node.trail("delivered")] == ["written"] * 2
    with node.database.read() as connection:
        assert verify(connection).sound


def test_a_folder_that_is_not_mounted_is_not_made(make_node, tmp_path, now):
    node = make_node(route(to=tmp_path / "share"))
    node.enter({("json", "P.json"): b"{}"})
    assert now(node) == 0
    assert not (tmp_path / "share").exists()
    (tmp_path / "share").mkdir()
    time.sleep(0.05)
    assert now(node) == 1


def test_a_dead_destination_does_not_hold_up_the_others(make_node, tmp_path, until):
    there, away = tmp_path / "there", tmp_path / "away"
    there.mkdir()
    node = make_node(route("a", away), route("b", there))
    node.enter({("json", "P.json"): b"{}"})
    with delivering(node.state):
        until(lambda: "done" in node.states())
        node.enter({("json", "P.json"): b"{1}"}, exam=2)
        until(lambda: node.states().count("done") == 2)
        assert len([p for p in there.rglob("*") if p.is_file()]) == 2
        away.mkdir()
        until(node.finished)
    assert node.states() == ["done"] * 4


def test_what_is_refused_is_dead_and_the_next_goes_on(make_node, told, now):
    transport = Told(Verdict.TAKEN, Verdict.NEVER, Verdict.TAKEN)
    told(a=transport)
    node = make_node(route())
    node.enter({("json", str(n)): b"%d" % n for n in range(3)})
    assert now(node) == 2
    assert node.states() == ["done", "dead", "done"]
    (letter,) = read_dead(node.database, ["a"])
    assert (letter.id, letter.error, letter.attempts, letter.overtaken) == (2, "never", 1, False)
    assert "a: json of exam 1, result 1, 1 attempts: never" in dead_letter_lines([letter])[0]
    assert revive_deliveries(node.database, "cli", [1, 2, 3]) == 1
    assert now(node) == 1
    assert read_dead(node.database, ["a"]) == []
    assert dead_letter_lines([]) == ["no dead letters"]


def test_a_damaged_file_is_never_sent(make_node, tmp_path, now):
    (tmp_path / "share").mkdir()
    node = make_node(route(to=tmp_path / "share"))
    node.enter({("json", "bad"): b"whole", ("json", "good"): b"good", ("json", "lost"): b"lost"})
    with node.database.read() as connection:
        named = {r.name: r.digest for r in connection.execute(sa.select(FILES))}
    node.state.results.path(named["bad"]).write_bytes(b"whale")
    node.state.results.path(named["lost"]).unlink()
    assert now(node) == 1
    assert node.states() == ["dead", "done", "queued"]
    assert read_dead(node.database, ["a"])[0].error == "the file in the store is damaged"
    assert node.deliveries("error")[2] == ("the file is gone from the store",)


@pytest.mark.parametrize("fault", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOENT])
def test_a_store_of_our_own_that_is_away_costs_no_attempt(
    make_node, tmp_path, now, monkeypatch, fault
):
    (tmp_path / "share").mkdir()
    jobs = {"backoff_s": 0.01, "backoff_max_s": 0.01, "max_deliveries": 3}
    node = make_node(route(to=tmp_path / "share"), jobs=jobs)
    node.enter({("json", "P.json"): b"{}"})
    read, away = Path.read_bytes, node.state.results.folder.with_name("away")
    with monkeypatch.context() as patch:
        if fault == errno.ENOENT:
            node.state.results.folder.rename(away)
            node.state.results.folder.mkdir()
        else:

            def read_bytes(path: Path) -> bytes:
                if "results" in path.parts:
                    raise OSError(fault, "away")
                return read(path)

            patch.setattr(Path, "read_bytes", read_bytes)
        for _ in range(6):
            assert now(node) == 0
            time.sleep(0.02)
        assert node.deliveries("state", "attempts") == [("queued", 0)]
    if fault == errno.ENOENT:
        node.state.results.folder.rmdir()
        away.rename(node.state.results.folder)
    assert now(node) == 1
    assert len(node.trail("postponed")) == 1


def test_results_of_an_exam_go_out_in_order_and_exams_do_not_wait(make_node, told, until):
    transport = Told(Verdict.LATER, Verdict.LATER)
    told(a=transport)
    node = make_node(route())
    for exam, name in ((1, "old"), (1, "new"), (2, "other")):
        node.enter({("json", name): name.encode()}, exam=exam)
    with delivering(node.state):
        until(node.finished)
    names = [name for _, _, name in transport.sent]
    assert names.index("new") > max(i for i, name in enumerate(names) if name == "old")
    assert names.count("new") == 1
    assert [row["revision"] for row in node.trail("delivered")].count(2) == 1


def test_a_result_that_was_overtaken_is_not_sent_again(make_node, told, now):
    told(a=Told(Verdict.NEVER, Verdict.TAKEN))
    node = make_node(route())
    node.enter({("json", "old"): b"old"})
    node.enter({("json", "new"): b"new"})
    assert now(node) == 1
    assert read_dead(node.database, ["a"])[0].overtaken
    assert revive_deliveries(node.database, "cli") == 0


def test_what_waits_for_a_route_that_is_gone_is_listed(make_node):
    node = make_node(route("gone"))
    node.enter({("json", "x"): b"x"})
    (letter,) = read_dead(node.database, ["other"])
    assert letter.error == "its route is no longer in the settings"


@pytest.mark.slow
def test_attempts_end_where_the_route_says(make_node, told, until):
    told(a=Told(*[Verdict.LATER] * 9), b=Told(*[Verdict.LATER] * 9), c=Told())
    node = make_node(
        route("a", max_attempts=2),
        route("b", max_attempts=0),
        route("c"),
        jobs={"max_deliveries": 4, "backoff_max_s": 0.02},
    )
    node.enter({("json", "x"): b"x"})
    with delivering(node.state):
        until(node.finished)
    assert node.deliveries("state", "attempts") == [("dead", 2), ("done", 10), ("done", 1)]
    assert len(node.trail("undeliverable")) == 1
    assert len(node.trail("put_off")) == 1 + 9


def test_waits_double_up_to_the_longest_and_are_spread(make_node, told):
    told(a=Told())
    node = make_node(route(), jobs={"backoff_s": 10, "backoff_max_s": 60})
    loop = sending.Route(node.state, node.state.settings.routes[0], Told(), None, None, "w")
    for attempts, longest in ((1, 10), (2, 20), (3, 40), (9, 60)):
        waits = [wait_after(attempts, loop.rules()) for _ in range(200)]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest


def test_two_silences_in_a_row_mean_that_the_destination_is_away(make_node, told, now):
    transport = Told(Verdict.BROKEN, Verdict.TAKEN, Verdict.BROKEN, Verdict.BROKEN)
    told(a=transport)
    node = make_node(route())
    node.enter({("json", str(n)): b"%d" % n for n in range(6)})
    assert now(node) == 1
    assert [name for *_, name in transport.sent] == ["0", "1", "2", "3"]
    assert node.states() == ["queued", "done", *["queued"] * 4]
    assert node.deliveries("error")[4] == ("not tried: the destination is away",)


def test_a_destination_that_is_away_is_left_alone_for_longer_each_time(make_node, told):
    told(a=Told())
    node = make_node(route(), jobs={"backoff_s": 1, "backoff_max_s": 8})
    loop = sending.Route(node.state, node.state.settings.routes[0], Told(), None, None, "w")
    pauses = []
    for _ in range(5):
        loop.note(Answer(Verdict.AWAY, ""))
        pauses.append(loop.pause_s())
    assert pauses[0] <= 1
    assert pauses[2] >= 2
    assert max(pauses) <= 8
    loop.note(Answer(Verdict.AWAY, "", wait_s=7.5))
    assert loop.pause_s() >= 7.5
    loop.note(Answer(Verdict.NEVER, ""))
    assert loop.pause_s() == 0


def test_a_long_delivery_keeps_its_lease(make_node, told):
    busy = threading.Event()

    def long(_delivery):
        busy.set()
        time.sleep(1.2)

    transport = Told(act=long)
    told(a=transport)
    node = make_node(route(), jobs={"lease_s": 0.4})
    node.enter({("json", "x"): b"x"})
    stop = threading.Event()
    first = threading.Thread(target=deliver, args=(node.state, stop), kwargs={"once": True})
    first.start()
    assert busy.wait(10)
    while first.is_alive():
        assert deliver(node.state, stop, once=True) == 0
        time.sleep(0.05)
    assert (len(transport.sent), node.states()) == (1, ["done"])


def test_a_sender_that_slept_does_not_send(make_node, told, monkeypatch):
    """It was stopped between claim and send, for longer than its lease."""
    transport = Told()
    told(a=transport)
    node = make_node(route(), jobs={"lease_s": 0.3})
    node.enter({("json", "x"): b"x"})
    claim, naps, sent_after_nap = sending.claim_deliveries, [0.4], []

    def sleepy(*arguments):
        sent_after_nap.append(len(transport.sent))
        claimed = claim(*arguments)
        if naps:
            time.sleep(naps.pop())
        return claimed

    monkeypatch.setattr(sending, "claim_deliveries", sleepy)
    assert deliver(node.state, threading.Event(), once=True) == 1
    assert sent_after_nap == [0, 0, 1]
    assert node.trail("put_off")[0]["error"] == sending.LOST


def test_a_pulse_knows_what_is_lost(make_node, told):
    told(a=Told())
    node = make_node(route(), jobs={"lease_s": 5})
    pulse, lease = Pulse(5.0), Lease(1, "t")
    assert not pulse.holds(lease)
    with pulse.holding([lease], time.monotonic(), 60):
        assert pulse.holds(lease)
        pulse.beat(node.database, DELIVERIES)
        assert not pulse.holds(lease)
    with pulse.holding([lease], time.monotonic() - 6, 60):
        assert not pulse.holds(lease)


def test_a_stop_lets_the_file_on_its_way_arrive_and_leaves_the_rest(make_node, told):
    stop = threading.Event()
    told(a=Told(act=lambda _: stop.set()))
    node = make_node(route(), jobs={"max_deliveries": 1})
    node.enter({("json", str(n)): b"%d" % n for n in range(3)})
    assert deliver(node.state, stop) == 1
    assert node.states() == ["done", "queued", "queued"]
    told(a=Told())
    assert deliver(node.state, threading.Event(), once=True) == 2


def test_a_fault_of_a_transport_is_told_of_its_file_alone(make_node, told, now):
    def fail(delivery):
        if delivery.name == "1":
            raise KeyError("Sample^Ann")

    told(a=Told(act=fail))
    node = make_node(route())
    node.enter({("json", str(n)): b"%d" % n for n in range(3)})
    assert now(node) == 2
    assert node.deliveries("state", "error")[1] == ("queued", "could not be sent: KeyError")


def test_a_database_that_is_away_is_waited_for(make_node, told, until, monkeypatch):
    from mammolens.errors import StorageError

    told(a=Told())
    node = make_node(route())
    node.enter({("json", "x"): b"x"})
    claim, failures = sending.claim_deliveries, [StorageError("away"), ValueError("fault")]

    def sometimes(*arguments):
        if failures:
            raise failures.pop()
        return claim(*arguments)

    monkeypatch.setattr(sending, "claim_deliveries", sometimes)
    with delivering(node.state):
        until(node.finished)


def test_a_route_takes_what_it_asks_for_and_its_corrections(make_node, told, now):
    asked = [
        ({}, [HIGH, LOW, FAILED]),
        ({"categories": ["high"]}, [HIGH, LOW, FAILED]),
        ({"categories": ["low"]}, [LOW, FAILED]),
        ({"categories": ["failed"]}, [FAILED]),
        ({"revisions": "first"}, [HIGH]),
        ({"revisions": "first", "categories": ["low"]}, []),
        ({"revisions": "later"}, [LOW, FAILED]),
    ]
    transports = {f"r{n}": Told() for n in range(len(asked))}
    told(**transports)
    node = make_node(*[route(f"r{n}", **said) for n, (said, _) in enumerate(asked)])
    for category in (HIGH, LOW, FAILED):
        node.enter({("json", category.value): category.value.encode()}, category=category)
    now(node)
    for transport, (_, went) in zip(transports.values(), asked, strict=True):
        assert [name for *_, name in transport.sent] == [category.value for category in went]


def test_an_object_that_is_the_same_in_the_next_result_goes_once(make_node, told, now, mammogram):
    transport = Told(Verdict.TAKEN, Verdict.NEVER)
    told(a=transport)
    node = make_node(route(sinks=["dicom-sc"]))
    node.enter({("dicom-sc", f"{n}.dcm"): mammogram(n) for n in (0, 1)})
    now(node)
    node.enter({("dicom-sc", f"{n}.dcm"): mammogram(n) for n in (0, 1, 2)})
    now(node)
    assert [name for *_, name in transport.sent] == ["0.dcm", "1.dcm", "1.dcm", "2.dcm"]


def test_logs_and_trail_name_nobody(make_node, now, capsys, tmp_path):
    logs.configure("debug")
    try:
        (tmp_path / "share").mkdir()
        node = make_node(route(to=tmp_path / "share"), route("b", tmp_path / "absent"))
        node.enter({("json", "Sample_Ann.json"): b"Sample^Ann"})
        assert now(node) == 1
    finally:
        logging.getLogger().handlers.clear()
        logging.getLogger("mammolens").setLevel(logging.NOTSET)
    told = capsys.readouterr().err
    events = [json.loads(line)["event"] for line in told.splitlines()]
    assert {"started", "delivered", "put_off", "destination_away", "ended"} <= {*events}
    trail = json.dumps([*node.trail("delivered"), *node.trail("put_off")])
    for secret in ("Sample", "Ann", "share", "absent", str(Path.home())):
        assert secret not in told + trail


def test_waiting_is_by_the_settings_that_the_queue_knows():
    """`mend_waits` would shorten a longer wait; spread waits are never longer."""
    jobs = JobSettings(backoff_s=500, backoff_max_s=600)
    assert max(wait_after(n, jobs) for n in range(1, 50)) == jobs.backoff_max_s
