"""Receive pathology reports: content → reports → one outcome for each specimen, with its exam.

A message is entered as a whole in one transaction, or not at all. All reports of its patients are
then read again, so that a later version, an addendum or a contradiction counts whatever the order
in which they came. Text of reports is in no error, log or row of the audit trail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import UnreadableReport
from mammolens.outcomes.report_links import ExamLink
from mammolens.pathology import MALIGNANT, Property, SpecimenReading, TextReading, Tissue
from mammolens.pathology.files import read_content
from mammolens.pathology.outcomes import ReportOutcome, merge
from mammolens.pathology.reports import PathologyReport, refuse_future
from mammolens.serve import logs
from mammolens.serve.holdings import NodeState
from mammolens.serve.outcomes.exam_links import exam_of, hidden_accessions
from mammolens.serve.outcomes.places import several_findings
from mammolens.serve.outcomes.reports import enter_report, patient_of, read_reports, taken_on
from mammolens.serve.record import (
    OUTCOMES,
    REPORTS,
    SITES,
    OutcomeState,
    audit,
    ensure_site,
)

__all__ = ["Receipt", "given_reports", "link_again", "proposal", "receive_reports", "site_of"]

ROOM: Final = "pathology"
LOCK: Final = 0x70617468
"""Reports are entered one message after the other, also by several processes."""
LEAST_CONFIDENCE: Final = 0.8
"""Below this confidence of the grammar a person looks. It is a ranking of our own, 0.85 or more for
plain statements. A higher limit sends more reports to people."""
_NUMBERS: Final = (Property.SIZE, Property.NODES_POSITIVE, Property.NODES_EXAMINED)
_PLACES: Final = (Property.CLOCK, Property.DISTANCE, Property.QUADRANT)
_WORDS: Final = (Property.PROCEDURE, Property.HISTOLOGY, Property.GRADE, Property.B_CODE)


@dataclass(frozen=True)
class Receipt:
    """What became of a message: new and repeated reports, outcomes that newly wait for people."""

    new: int
    repeated: int
    waiting: int


def given_reports(
    content: bytes, source: str, now: datetime, patient_id: str | None = None
) -> list[PathologyReport]:
    """Read the reports of a message or document.

    Parameters
    ----------
    patient_id
        The patient, if the content does not name one.

    Raises
    ------
    UnreadableReport
        One of them cannot be read, is dated in the future or names another patient: then none of
        them counts.
    """
    found: list[PathologyReport] = []
    for one in read_content(content, source):
        if isinstance(one, UnreadableReport):
            raise one
        refuse_future(one, now)
        if patient_id is not None and one.patient_id not in (None, patient_id):
            raise UnreadableReport(
                "the report names another patient",
                source=source,
                keyword="patient_id",
                remedy="Give the reports of this patient alone",
            )
        found.append(replace(one, patient_id=one.patient_id or patient_id))
    return found


def receive_reports(
    state: NodeState,
    reports: Iterable[PathologyReport],
    sender: str,
    site_id: int | None,
    control_id: str | None = None,
) -> Receipt:
    """Enter reports, and read all outcomes of their patients again.

    Raises
    ------
    StorageError
        The database is away, or a key is missing; nothing was entered.
    """
    given = list(reports)
    hidden = hidden_accessions(state, given)
    with _one_at_a_time(state) as connection:
        patients: set[str] = set()
        new = 0
        for report in given:
            if enter_report(state, connection, report, site_id, sender, control_id):
                new += 1
                patients.add(patient_of(state, report, site_id) or _group_of_newest(connection))
        waiting = sum(_read_again(state, connection, one, site_id, hidden) for one in patients)
        receipt = Receipt(new, len(given) - new, waiting)
        detail: audit.Detail = {**vars(receipt), "site": site_id}
        audit.append(state.database, connection, sender, "pathology_received", None, detail)
    logs.event(ROOM, "received", count=receipt.new)
    return receipt


def link_again(state: NodeState, patients: Iterable[str], site_id: int | None) -> None:
    """Read all reports of some patients again, because an exam came that may be theirs.

    Parameters
    ----------
    patients
        Keys of patients, as in the column `patient` of `REPORTS`.
    """
    groups = sorted(patients)
    with state.database.read() as connection:
        kept = [one.report for one in read_reports(state, connection, groups)]
    hidden = hidden_accessions(state, kept)
    with _one_at_a_time(state) as connection:
        waiting = sum(_read_again(state, connection, one, site_id, hidden) for one in groups)
        detail: audit.Detail = {"patients": len(groups), "waiting": waiting, "site": site_id}
        audit.append(state.database, connection, ROOM, "pathology_linked", None, detail)
    logs.event(ROOM, "linked", count=len(groups))


@contextmanager
def _one_at_a_time(state: NodeState) -> Iterator[sa.Connection]:
    """Begin a transaction in which no other process reads or enters reports."""
    with state.database.write() as connection:
        if not state.database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        yield connection


def site_of(state: NodeState) -> int | None:
    """Give the number of the site of the listener."""
    key = state.settings.pathology.site
    if key is None:
        return None
    with state.database.read() as connection:
        found = connection.execute(sa.select(SITES.c.id).where(SITES.c.key == key)).scalar()
    if found is not None:
        return int(found)
    with state.database.write() as connection:
        return ensure_site(state.database, connection, key)


def _group_of_newest(connection: sa.Connection) -> str:
    """Give the group of the newest report, which names no patient."""
    newest = sa.select(REPORTS.c.patient).order_by(REPORTS.c.id.desc()).limit(1)
    return str(connection.execute(newest).scalar_one())


def _read_again(
    state: NodeState,
    connection: sa.Connection,
    patient: str,
    site_id: int | None,
    hidden: Mapping[str, frozenset[int]],
) -> int:
    """Write the outcomes of all reports of a patient; return how many newly wait for a person."""
    kept = read_reports(state, connection, [patient])
    by_source = {one.report.source: one for one in kept}
    waiting = 0
    standing: set[str] = set()
    for one in merge(version.report for version in kept):
        row = by_source[one.report.source]
        link = exam_of(state, connection, one.report, site_id, hidden)
        taken = taken_on(state, one.report)
        rows = _specimens(state, connection, one, link)
        standing.add(row.key)
        for number, values in enumerate(rows):
            own = {"report_id": row.id, "key": row.key, "specimen": number, "site_id": site_id}
            day = {"taken": taken and taken.isoformat()}
            waiting += _write(state, connection, own | day | values)
        _withdraw(state, connection, row.key, len(rows))
    for version in kept:
        if version.key not in standing:
            own = {"report_id": version.id, "key": version.key, "specimen": 0, "site_id": site_id}
            _write(state, connection, own | _NOTHING)
            _withdraw(state, connection, version.key, 0)
    return waiting


_NOTHING: Final = {
    "exam_id": None,
    "taken": None,
    "proposed": "{}",
    "reasons": "[]",
    "candidates": "[]",
}
"""The outcome of a withdrawn report: its first version does not count if it comes again."""


def _specimens(
    state: NodeState, connection: sa.Connection, one: ReportOutcome, link: ExamLink
) -> list[dict[str, Any]]:
    """Give the columns of the outcome of each specimen; a report without specimens has one row."""
    specimens = one.reading.specimens or (SpecimenReading(None, Tissue.BREAST),)
    rows = []
    for specimen in specimens:
        proposed = proposal(specimen)
        reasons: list[tuple[str, str]] = []
        if specimen.tissue is Tissue.BREAST and (link.exam_id or link.candidates):
            reasons = _reasons(state, one.reading, specimen)
            if link.doubt is not None:
                reasons.append((link.doubt.value, ""))
            elif link.exam_id and several_findings(connection, link.exam_id, proposed):
                reasons.append(("several_findings", ""))
        rows.append(
            {
                "exam_id": link.exam_id,
                "proposed": json.dumps(proposed, sort_keys=True),
                "reasons": json.dumps(reasons),
                "candidates": json.dumps(link.candidates),
            }
        )
    return rows


def proposal(specimen: SpecimenReading) -> dict[str, Any]:
    """Give the values of a specimen without any text of the report; unsure is ``None``."""
    values = {kind.value: specimen.value(kind) for kind in (*_NUMBERS, *_PLACES, *_WORDS)}
    stated = specimen.statements.get(Property.OUTCOME)
    outcome = specimen.outcome
    return {
        "specimen": specimen.name,
        "tissue": specimen.tissue.value,
        "outcome": outcome and outcome.value.replace(" ", "_").replace("-", "_"),  # as in `Finding`
        "laterality": specimen.value(Property.LATERALITY),
        "confidence": stated.confidence if stated else 0.0,
        **{name: value for name, value in values.items() if value is not None},
    }


def _reasons(
    state: NodeState, reading: TextReading, specimen: SpecimenReading
) -> list[tuple[str, str]]:
    """Say why a person must look at an outcome: (code, words of the grammar)."""
    found = [("doubt", words) for words in reading.doubts]
    for kind in (Property.OUTCOME, Property.LATERALITY):
        stated = specimen.statements.get(kind)
        if stated is None or stated.unsure:
            found.append((kind.value, stated.reason if stated else ""))
        elif stated.confidence < LEAST_CONFIDENCE:
            found.append(("confidence", kind.value))
    if specimen.outcome in MALIGNANT and state.settings.pathology.confirm_malignant:
        found.append(("malignant", ""))
    return found


def _write(state: NodeState, connection: sa.Connection, values: Mapping[str, Any]) -> int:
    """Insert or update an outcome; return 1 if it now waits for a person and did not before.

    What a person decided stays. If a later version says something else, the person is asked again.
    """
    mine = sa.and_(OUTCOMES.c.key == values["key"], OUTCOMES.c.specimen == values["specimen"])
    before = connection.execute(sa.select(OUTCOMES).where(mine)).one_or_none()
    is_open = values["reasons"] != "[]"
    new = dict(values) | {
        "state": (OutcomeState.WAITING if is_open else OutcomeState.SETTLED).value,
        "changed_at": state.database.now(connection),
        "version": 1 if before is None else before.version + 1,
    }
    if before is None:
        connection.execute(OUTCOMES.insert().values(new))
        return int(is_open)
    same = all(getattr(before, name) == value for name, value in values.items())
    if same and before.state != OutcomeState.WITHDRAWN.value:
        return 0
    if before.decided is not None:
        if before.proposed == values["proposed"] and before.state == OutcomeState.DECIDED.value:
            keep = {"report_id": values["report_id"]}
            connection.execute(OUTCOMES.update().where(mine).values(keep))
            return 0
        reasons = [["later_version", ""], *json.loads(values["reasons"])]
        new |= {
            "exam_id": before.exam_id,
            "state": OutcomeState.WAITING.value,
            "reasons": json.dumps(reasons),
        }
    connection.execute(OUTCOMES.update().where(mine).values(new))
    was_open = before.state == OutcomeState.WAITING.value
    return int(new["state"] == OutcomeState.WAITING.value and not was_open)


def _withdraw(state: NodeState, connection: sa.Connection, key: str, first: int) -> None:
    """Withdraw the specimens of a report from a number on."""
    connection.execute(
        OUTCOMES.update()
        .where(
            OUTCOMES.c.key == key,
            OUTCOMES.c.specimen >= first,
            OUTCOMES.c.state != OutcomeState.WITHDRAWN.value,
        )
        .values(
            state=OutcomeState.WITHDRAWN.value,
            version=OUTCOMES.c.version + 1,
            changed_at=state.database.now(connection),
        )
    )
