"""What a node's tables, folders and processes say after a fuzz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from peers import Node, Program

from mammolens.serve.holdings import open_state
from mammolens.serve.record import DELIVERIES, EXAMS, RESULTS, audit
from mammolens.serve.settings import load_settings

__all__ = ["Records", "Size", "read_records", "read_size"]


@dataclass(frozen=True)
class Size:
    """Resident memory in MiB, open handles, and threads of a process."""

    mib: float
    handles: int
    threads: int


@dataclass(frozen=True)
class Records:
    """What the node's tables and folders say: of the honest exams, how many have a result that did
    not fail, and how many of these were delivered; the audit trail; drafts that lie about."""

    results: int
    delivered: int
    trail: audit.AuditReport
    drafts: int


def read_records(node: Node, studies: Sequence[str]) -> Records:
    """Read what became of the exams of some studies."""
    with open_state(load_settings(node.config)) as state:
        with state.database.read() as connection:
            told = sa.select(EXAMS.c.study_instance_uid, RESULTS.c.category).join(
                RESULTS, RESULTS.c.exam_id == EXAMS.c.id
            )
            category = dict(connection.execute(told).all())
            sent = sa.select(EXAMS.c.study_instance_uid).join(
                DELIVERIES, DELIVERIES.c.exam_id == EXAMS.c.id
            )
            arrived = sent.where(DELIVERIES.c.route == "honest", DELIVERIES.c.state == "done")
            delivered = {*connection.execute(arrived).scalars()}
            trail = audit.verify(connection)
        kept = [state.kept_as(study) for study in studies]
        drafts = [*(state.received.folder / "partial").glob("*")]
        if state.received.drafts is not None:
            drafts += state.received.drafts.glob("*")
    return Records(
        sum(category.get(study, "failed") != "failed" for study in kept),
        sum(study in delivered for study in kept),
        trail,
        len(drafts),
    )


def read_size(program: Program) -> Size:
    """Measure a running process."""
    assert program.process is not None
    place = Path(f"/proc/{program.process.pid}")
    lines = (place / "status").read_text("ascii").splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    handles = len(list((place / "fd").iterdir()))
    return Size(int(status["VmRSS"].split()[0]) / 1024, handles, int(status["Threads"]))
