"""``make soak``: `kill -9` at random of node, worker, deliverer, PACS and, with ``--postgres``,
database, while exams are sent.

Ends with 0 only if, once everything runs again, the PACS holds the result of every exam exactly
once, nothing of it is lost or doubled, and the audit trail is whole.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
import sqlalchemy as sa
from demo import hospital
from peers import Node, Orthanc, Program, send
from postgres import Postgres
from rich.console import Console
from rich.table import Table
from senders import exams

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.record import AUDIT, DELIVERIES, EXAMS, FILES, INSTANCES, RESULTS, audit
from mammolens.serve.settings import load_settings

SINKS = ("dicom-cad-sr", "dicom-sr")
BACKLOG = 6
MEAN_BETWEEN_KILLS_S = 8.0
LONGEST_DOWN_S = 4.0
DRAIN_S = 600.0


@dataclass
class Faults:
    """Kills so far by program, and until when they go on."""

    programs: dict[str, Program | Postgres]
    rng: random.Random
    stop: threading.Event
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    ended: collections.Counter[str] = field(default_factory=collections.Counter)

    def run(self) -> None:
        while not self.stop.wait(self.rng.expovariate(1 / MEAN_BETWEEN_KILLS_S)):
            self.start_again()
            name = self.rng.choice(list(self.programs))
            program = self.programs[name]
            program.end(signal.SIGKILL)
            self.counts[name] += 1
            self.stop.wait(self.rng.uniform(0.1, LONGEST_DOWN_S))
            program.start()

    def start_again(self) -> None:
        """Start what ended by itself, as systemd does: the database was away when it began."""
        for name, program in self.programs.items():
            if program.process is None or program.process.poll() is not None:
                self.ended[name] += 1
                program.start()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="of kills and waits")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite; killed too")
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    console = Console(width=110)
    with (
        database() if given.postgres else nullcontext() as server,
        hospital(partial(make_node, server=server)) as (folder, pacs, node),
    ):
        began = time.monotonic()
        programs: dict[str, Program | Postgres] = {"pacs": pacs.program, **node.programs}
        if server is not None:
            programs["database"] = server
        faults = Faults(programs, random.Random(seed), threading.Event())
        killer = threading.Thread(target=faults.run)
        killer.start()
        try:
            sent = _send(node, folder, began + given.minutes * 60)
        finally:
            faults.stop.set()
            killer.join()
        faults.start_again()
        pacs.wait()
        node.wait()
        with open_state(load_settings(node.config)) as state:
            drained_s = _drain(state)
            table, sound = _judge(state, pacs, sent, faults)
    table.caption = (
        f"{given.minutes:g} minutes of kills, {'PostgreSQL' if given.postgres else 'SQLite'},"
        f" seed {seed}; drained {drained_s:.0f} s after the last"
        f" restart; {time.monotonic() - began:.0f} s in all"
    )
    console.print(table)
    console.print("every result is held exactly once" if sound else "results are lost or doubled")
    return 0 if sound else 1


@contextmanager
def database() -> Iterator[Postgres]:
    """Give a running PostgreSQL; its folder may not lie in one that is closed to its user."""
    with tempfile.TemporaryDirectory(prefix="mammolens-postgres-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.end()


def make_node(folder: Path, port: int, pacs_port: int, server: Postgres | None) -> Node:
    """Analyse an exam when its four views are there, not before, so that it has one result."""
    lines = [] if server is None else [f"database = {json.dumps(server.new_database())}"]
    quiet = {"exams": {"quiet_time_s": 86400.0}}
    return Node(folder, port, pacs_port, SINKS, lines, quiet)


@dataclass(frozen=True)
class Sent:
    """The study UIDs that were acknowledged as a whole, and how many sends that took."""

    studies: tuple[str, ...]
    attempts: int


def _send(node: Node, folder: Path, until: float) -> Sent:
    """Send exam after exam, each again until all of it was taken, as a modality does."""
    studies: list[str] = []
    attempts = 0
    made = exams(folder, "SOAK")
    while time.monotonic() < until:
        study, files = next(made)
        while True:
            attempts += 1
            if send(files, "MAMMOLENS", node.port):
                break
            time.sleep(0.5)
        studies.append(study)
        for file in files:
            file.unlink()
        while _backlog(node) > BACKLOG and time.monotonic() < until:
            time.sleep(0.5)
    return Sent(tuple(studies), attempts)


def _backlog(node: Node) -> float:
    """Count the exams without result; endless while the database is away."""
    try:
        with open_state(load_settings(node.config)) as state, state.database.read() as connection:
            exams = sa.select(sa.func.count()).select_from(EXAMS)
            done = sa.select(sa.func.count(sa.distinct(RESULTS.c.exam_id)))
            known = connection.execute(exams).scalar_one()
            return float(known - connection.execute(done).scalar_one())
    except StorageError:
        return math.inf


def _drain(state: NodeState) -> float:
    """Wait until every exam has its result and every file is delivered; give the seconds."""
    began = time.monotonic()
    with_result = sa.select(RESULTS.c.id).where(RESULTS.c.exam_id == EXAMS.c.id).exists()
    waiting = sa.select(EXAMS.c.id).where(~with_result)
    on_way = sa.select(DELIVERIES.c.id).where(DELIVERIES.c.finished_at.is_(None))
    while time.monotonic() < began + DRAIN_S:
        with state.database.read() as connection:
            if not connection.execute(sa.union_all(waiting, on_way)).first():
                break
        time.sleep(1.0)
    return time.monotonic() - began


def _judge(state: NodeState, pacs: Orthanc, sent: Sent, faults: Faults) -> tuple[Table, bool]:
    with state.database.read() as connection:
        exams = dict(connection.execute(sa.select(EXAMS.c.study_instance_uid, EXAMS.c.id)).all())
        results = connection.execute(sa.select(RESULTS.c.exam_id, RESULTS.c.category)).all()
        dicom = sa.select(FILES.c.sop_instance_uid).where(FILES.c.sink.in_(SINKS))
        files = connection.execute(dicom).scalars().all()
        states = connection.execute(sa.select(DELIVERIES.c.state)).scalars().all()
        tried = connection.execute(sa.select(DELIVERIES.c.attempts)).scalars().all()
        views = connection.execute(sa.select(sa.func.count()).select_from(INSTANCES)).scalar_one()
        lost = connection.execute(
            sa.select(sa.func.count()).where(AUDIT.c.action == "lease_lost")
        ).scalar_one()
        repeated = connection.execute(
            sa.select(sa.func.count()).where(AUDIT.c.action == "repeated")
        ).scalar_one()
        trail = audit.verify(connection)
    held = collections.Counter(
        (str(report.StudyInstanceUID), str(report.SOPClassUID))
        for study in sent.studies
        for report in map(_header, pacs.files(study))
    )
    classes = {sop_class for _, sop_class in held}
    wrong = [study for study in sent.studies for kind in sorted(classes) if held[study, kind] != 1]
    checks = {
        "exams acknowledged and known": ({*sent.studies} == {*exams}, len(exams)),
        "images kept, four an exam": (views == 4 * len(sent.studies), views),
        "exams with exactly one result": (
            sorted(row.exam_id for row in results) == sorted(exams.values()),
            len(results),
        ),
        "results that failed": (True, sum(row.category == "failed" for row in results)),
        "files delivered": ({*states} <= {"done"} and len(states) == len(files), len(states)),
        "objects in the PACS": (sorted(pacs.held()) == sorted(map(str, files)), len(pacs.held())),
        "studies with a result lost or doubled": (
            not wrong and len(classes) == len(SINKS),
            len({*wrong}),
        ),
        "rows of the audit trail, chain whole": (trail.sound, trail.head.length),
    }
    table = Table("what", "number", "as it must be", title="Soak")
    for name, count in sorted(faults.counts.items()):
        table.add_row(f"kill -9 of {name}", str(count), "")
    for name, count in sorted(faults.ended.items()):
        table.add_row(f"{name} ended by itself, started again", str(count), "")
    table.add_row("sends of exams", str(sent.attempts), "")
    table.add_row("images that came again", str(repeated), "")
    table.add_row("leases that ran out", str(lost), "")
    table.add_row("files sent more than once", str(sum(n > 1 for n in tried)), "")
    for name, (good, count) in checks.items():
        style = "" if good else "bold red"
        table.add_row(name, str(count), "yes" if good else "no", style=style)
    return table, all(good for good, _ in checks.values())


def _header(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content), stop_before_pixels=True)


if __name__ == "__main__":
    sys.exit(main())
