"""``make soak-web``: `kill -9` at random of server and worker, while readings are signed.

Two readers read the same exams without seeing each other's answers, an arbiter decides where they
differ, and new exams come all the time. Ends with 0 only if, once everything runs again, each
reading that a person was told is signed stands in the database once, with the answer that was
given, and the audit trail is whole and holds each signature once.
"""

from __future__ import annotations

import argparse
import collections
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table
from senders import exams
from served import Member, Served
from soak import Faults, database
from web_readers import Reader, Said

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, EXAMS, READINGS, RESULTS, audit
from mammolens.serve.settings import load_settings

SITE = "north"
SENDER = "folder:soak"
READERS = ("north.reader", "south.reader")
ARBITER = "arbiter"
BACKLOG, UNANALYSED = 12, 60
"""Exams that wait for a reader, and for the AI; beyond either no more come."""
DRAIN_S = 300.0


@dataclass
class Room:
    """Exams that came, and how far each reader is in them."""

    exams: list[int] = field(default_factory=list)
    done: collections.Counter[str] = field(default_factory=collections.Counter)

    def backlog(self) -> int:
        return len(self.exams) - min(self.done[name] for name in READERS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of kills, waits and answers")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite; killed too")
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    console = Console(width=110)
    with (
        database() if given.postgres else nullcontext() as server,
        tempfile.TemporaryDirectory(prefix="mammolens-web-") as name,
    ):
        url = "" if server is None else server.new_database()
        served = Served(Path(name) / "served", url, apart=True)
        served.start()
        programs = dict(served.programs) | ({} if server is None else {"database": server})
        try:
            people = _sign_in(served)
            faults = Faults(programs, random.Random(seed), threading.Event())
            said, room = Said(), Room()
            with open_state(load_settings(served.config)) as state:
                seconds = given.minutes * 60
                failures = _work(state, Path(name), people, said, room, faults, seconds)
                faults.start_again()
                served.wait()
                _drain(state)
                table, sound = _judge(state, said, room, faults, failures)
        finally:
            served.end()
    kind = "PostgreSQL" if given.postgres else "SQLite"
    table.caption = f"{given.minutes:g} minutes of kills, {kind}, seed {seed}"
    console.print(table)
    console.print("every signature is there once" if sound else "a reading is lost or doubled")
    return 0 if sound else 1


def _sign_in(served: Served) -> dict[str, Member]:
    names = ("admin", *READERS, ARBITER)
    people = {n: Member(served.address, n, served.one_time[n]) for n in names}
    for member in people.values():
        member.sign_in()
    site = next(s for s in people["admin"].call("GET", "/sites") if s["key"] == SITE)
    mode = {"reading_mode": "second_reader", "double_reading": True}
    people["admin"].call("PATCH", f"/sites/{site['id']}", **mode)
    return people


def _work(
    state: NodeState,
    folder: Path,
    people: dict[str, Member],
    said: Said,
    room: Room,
    faults: Faults,
    seconds: float,
) -> list[str]:
    """Let everybody work while programs are killed; gives what stopped somebody."""
    until, failures, stop = time.monotonic() + seconds, [], threading.Event()
    everybody_read = threading.Event()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")

        return run

    def send() -> None:
        made = exams(folder, "SOAK")
        while time.monotonic() < until:
            if room.backlog() < BACKLOG and _unanalysed(state) < UNANALYSED:
                _, files = next(made)
                room.exams.append(_receive(state, files))
            time.sleep(0.1)
        stop.set()

    def read(name: str) -> None:
        reader = Reader(people[name], said, random.Random(f"{name} {faults.rng.random()}"))
        while not stop.is_set() or room.done[name] < len(room.exams):
            if room.done[name] == len(room.exams):
                time.sleep(0.2)
                continue
            exam = room.exams[room.done[name]]
            reader.read(exam, f"/exams/{exam}/readings")
            room.done[name] += 1

    def arbitrate() -> None:
        reader = Reader(people[ARBITER], said, random.Random(f"{ARBITER} {faults.rng.random()}"))
        while True:
            last = everybody_read.is_set()
            found = reader.until_done("GET", "/exams?status=arbitration")["items"]
            for exam in found:
                reader.read(exam["id"], f"/exams/{exam['id']}/arbitration")
            if last and not found:
                return
            time.sleep(0.5)

    readers = [threading.Thread(target=guarded(lambda n=name: read(n))) for name in READERS]
    others = [threading.Thread(target=guarded(work)) for work in (send, arbitrate)]
    killer = threading.Thread(target=faults.run)
    for thread in (*readers, *others, killer):
        thread.start()
    others[0].join()
    stop.set()
    faults.stop.set()
    killer.join()
    faults.start_again()
    for thread in readers:
        thread.join()
    everybody_read.set()
    others[1].join()
    return failures


def _receive(state: NodeState, files: list[Path]) -> int:
    """Let the node receive an exam of the site, again and again if the database is away."""
    contents = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    while True:
        try:
            receipts = [receive(state, content, SENDER, SITE) for content in contents]
        except StorageError:
            time.sleep(0.5)
            continue
        (exam,) = {receipt.exam_id for receipt in receipts}
        assert exam is not None
        return exam


def _unanalysed(state: NodeState) -> float:
    """Count the exams without a result; endless while the database is away."""
    with_result = sa.select(RESULTS.c.id).where(RESULTS.c.exam_id == EXAMS.c.id).exists()
    asked = sa.select(sa.func.count()).select_from(EXAMS).where(~with_result)
    try:
        with state.database.read() as connection:
            return float(connection.execute(asked).scalar_one())
    except StorageError:
        return math.inf


def _drain(state: NodeState) -> None:
    """Wait until every exam has its result."""
    until = time.monotonic() + DRAIN_S
    while _unanalysed(state) > 0 and time.monotonic() < until:
        time.sleep(1.0)


def _judge(
    state: NodeState, said: Said, room: Room, faults: Faults, failures: list[str]
) -> tuple[Table, bool]:
    signed = sa.select(READINGS.c.id, READINGS.c.answer).where(READINGS.c.state == "signed")
    doubled = (
        sa.select(READINGS.c.exam_id)
        .where(READINGS.c.state == "signed")
        .group_by(READINGS.c.exam_id, READINGS.c.person_id)
        .having(sa.func.count() > 1)
    )
    trail_rows = sa.select(sa.func.count()).where(AUDIT.c.action == "reading_signed")
    results = sa.select(sa.func.count()).select_from(RESULTS)
    with state.database.read() as connection:
        kept = dict(connection.execute(signed).all())
        twice = connection.execute(doubled).all()
        in_trail = connection.execute(trail_rows).scalar_one()
        exams_known = connection.execute(sa.select(sa.func.count()).select_from(EXAMS)).scalar_one()
        analysed = connection.execute(results).scalar_one()
        trail = audit.verify(connection)
    lost = [
        number for number, comment in said.signed.items() if comment not in kept.get(number, "")
    ]
    checks = {
        "exams that came": (len(room.exams) > 0, len(room.exams)),
        "readings that people were told are signed": (len(said.signed) > 0, len(said.signed)),
        "of these lost, or with another answer": (not lost, len(lost)),
        "signed readings in the database": ({*kept} == {*said.signed}, len(kept)),
        "exams that one person signed twice": (not twice, len(twice)),
        "signatures in the audit trail": (in_trail == len(kept), in_trail),
        "exams with a result": (analysed == exams_known, analysed),
        "rows of the audit trail, chain whole": (trail.sound, trail.head.length),
        "people who could not go on": (not failures, len(failures)),
    }
    table = Table("what", "number", "as it must be", title="Soak of the web application")
    for name, count in sorted(faults.counts.items()):
        table.add_row(f"kill -9 of {name}", str(count), "")
    for name, count in sorted(said.again.items()):
        table.add_row(f"{name}, and looked again", str(count), "")
    for name, (good, count) in checks.items():
        style = "" if good else "bold red"
        table.add_row(name, str(count), "yes" if good else "no", style=style)
    for failure in failures:
        table.add_row(failure[:300], "", "no", style="bold red")
    return table, all(good for good, _ in checks.values())


if __name__ == "__main__":
    sys.exit(main())
