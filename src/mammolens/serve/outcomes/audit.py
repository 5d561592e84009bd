"""The medical audit of a site of the node: its readings and outcomes as the tables of the command.

The tables are written to a folder that only the node can read, and `mammolens.outcomes` does the
rest. So the page, the PDF and `mammolens outcomes audit` give the same figures.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import InvalidManifest
from mammolens.outcomes import COLUMNS, FAIRNESS_TABLE, FILE, Settings, write_audit
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.reading import AnswerKind, ReaderKind, readers_table
from mammolens.serve.record import EXAMS, OUTCOMES, OutcomeState, audit
from mammolens.wording import table_cell

__all__ = ["AuditFile", "note_audit", "outcomes_table", "site_audit", "site_tables"]

EXAMS_FILE: Final = "exams.csv"
OUTCOMES_FILE: Final = "outcomes.csv"
_TABLES: Final = {"csv": "figures.csv", "fairness": FAIRNESS_TABLE}
_one_at_a_time = threading.Lock()
"""An audit of 20,000 exams computes for some seconds and needs memory."""
_BREAST: Final = "breast"
AuditFile = str
"""``json``, ``csv``, ``pdf``, or ``fairness``: the table of subgroups over time."""


def site_audit(
    state: NodeState,
    person: Person,
    site_id: int,
    settings: Settings,
    which: AuditFile,
    readers: ReaderKind,
) -> bytes:
    """Audit the decided exams of a site; give the figures, or the report in print.

    Raises
    ------
    Refused
        The person does not look after the site, there is nothing to audit, or another audit runs.
    ConfigError
        A setting is not known, or the extra ``report`` is not installed.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise Refused(Refusal.BUSY, retry_after_s=10)
    try:
        with _private_folder(state) as folder:
            exams, outcomes = site_tables(state, person, site_id, folder, readers)
            out = folder / "audit"
            try:
                write_audit(exams, outcomes, out, settings)
            except InvalidManifest as error:
                raise Refused(Refusal.NO_OUTCOMES) from error
            if which in _TABLES:
                return (out / _TABLES[which]).read_bytes()
            if which == "pdf":
                from mammolens.bench.report import write_report

                _, pdf = write_report(out)
                return pdf.read_bytes()
            return _with_exams(state, site_id, (out / FILE).read_bytes())
    finally:
        _one_at_a_time.release()


def site_tables(
    state: NodeState,
    person: Person,
    site_id: int,
    folder: Path,
    readers: ReaderKind = ReaderKind.STANDING,
) -> tuple[Path, Path]:
    """Write the readers' table and the outcomes of a site as CSV; give both files.

    Raises
    ------
    Refused
        The person does not look after the site.
    """
    readings_csv = readers_table(
        state.database, person, site_id, readers, AnswerKind.FIRST, lambda uid, _: f"{uid}.dcm"
    )
    with state.database.read() as connection:
        outcomes_csv = outcomes_table(connection, site_id)
    exams, outcomes = folder / EXAMS_FILE, folder / OUTCOMES_FILE
    exams.write_text(readings_csv, "utf-8")
    outcomes.write_text(outcomes_csv, "utf-8")
    return exams, outcomes


def outcomes_table(connection: sa.Connection, site_id: int) -> str:
    """Write the standing outcomes of a site's breasts as the table of `mammolens outcomes audit`.

    What waits for a person is ``unsure``: an outcome that is not known is never "no cancer".
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    asked = sa.select(OUTCOMES).where(
        OUTCOMES.c.site_id == site_id,
        OUTCOMES.c.state != OutcomeState.WITHDRAWN.value,
        OUTCOMES.c.taken.is_not(None),
    )
    rows = connection.execute(asked.order_by(OUTCOMES.c.id)).all()
    exams = {row.id: [row.exam_id] if row.exam_id else json.loads(row.candidates) for row in rows}
    patients = _patients(connection, {one for ids in exams.values() for one in ids})
    for row in rows:
        values = json.loads(row.decided or row.proposed)
        if values.get("tissue", _BREAST) != _BREAST or values.get("outcome") == "not_breast":
            continue
        finding = values.get("outcome") or "unsure"
        if row.state == OutcomeState.WAITING.value:
            finding = "unsure"
        for patient in dict.fromkeys(patients[one] for one in exams[row.id]):
            cells = [
                *(patient, values.get("laterality") or "", row.taken, finding),
                *(values.get(name, "") for name in ("size_mm", "nodes_positive", "nodes_examined")),
                f"report {row.report_id}",
            ]
            writer.writerow(["" if one is None else table_cell(str(one)) for one in cells])
    return text.getvalue()


def _patients(connection: sa.Connection, exam_ids: set[int]) -> dict[int, str]:
    asked = sa.select(EXAMS.c.id, EXAMS.c.patient_id).where(EXAMS.c.id.in_(sorted(exam_ids)))
    return {row.id: row.patient_id or f"exam {row.id}" for row in connection.execute(asked)}


def _with_exams(state: NodeState, site_id: int, content: bytes) -> bytes:
    """Add the number of the exam to each interval cancer, so that the page can open it."""
    figures: dict[str, Any] = json.loads(content)
    studies = {one["study_id"] for one in figures["interval_cancers"]}
    asked = sa.select(EXAMS.c.study_instance_uid, EXAMS.c.id).where(
        EXAMS.c.site_id == site_id, EXAMS.c.study_instance_uid.in_(sorted(studies))
    )
    with state.database.read() as connection:
        numbers = {row.study_instance_uid: row.id for row in connection.execute(asked)}
        waiting = sa.select(sa.func.count()).where(
            OUTCOMES.c.site_id == site_id, OUTCOMES.c.state == OutcomeState.WAITING.value
        )
        figures["waiting_outcomes"] = connection.execute(waiting).scalar_one()
    for one in figures["interval_cancers"]:
        one["exam_id"] = numbers.get(one["study_id"])
    return json.dumps(figures, ensure_ascii=False).encode()


@contextmanager
def _private_folder(state: NodeState) -> Iterator[Path]:
    """Give a folder that only this user can read; in memory where the node de-identifies."""
    state.settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="audit-", dir=state.settings.scratch) as name:
        yield Path(name)


def note_audit(state: NodeState, person: Person, site_id: int, which: AuditFile) -> None:
    """Enter in the trail that a person made an audit of a site."""
    with state.database.write() as connection:
        detail: audit.Detail = {"site": site_id, "format": which}
        audit.append(state.database, connection, person.actor, "audit_made", None, detail)
