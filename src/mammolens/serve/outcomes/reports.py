"""Pathology reports in the database: entered once, and read back with all versions of a patient.

A report is kept as JSON. If the node de-identifies, it is encrypted as identities are, and names in
the database are replaced by pseudonyms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.pathology.reports import PathologyReport, ReportStatus
from mammolens.serve.holdings import NodeState, unseal
from mammolens.serve.record import REPORTS, insert_once

__all__ = ["KeptReport", "enter_report", "patient_of", "read_report", "read_reports", "taken_on"]

_LONGEST_CONTROL_ID: Final = 64


@dataclass(frozen=True)
class KeptReport:
    """A version of a report with the number of its row and its key."""

    id: int
    key: str
    report: PathologyReport


def enter_report(
    state: NodeState,
    connection: sa.Connection,
    report: PathologyReport,
    site_id: int | None,
    sender: str,
    control_id: str | None,
) -> bool:
    """Enter a version of a report; return whether it is new. Copies have the same content."""
    said = asdict(replace(report, source=""))
    said["status"] = report.status.name
    body = json.dumps(said, default=lambda value: value.isoformat(), sort_keys=True).encode()
    digest = hashlib.sha256(f"{site_id}\0".encode() + body).hexdigest()
    patient = patient_of(state, report, site_id) or digest
    number = report.report_id or digest
    seal = state.results.seal
    row = {
        "site_id": site_id,
        "key": _name(state, "report", str(site_id), report.patient_id or "", number),
        "patient": patient,
        "digest": digest,
        "body": body if seal is None else seal.close(body, digest.encode()),
        "sender": sender[:128],
        "control_id": control_id and control_id[:_LONGEST_CONTROL_ID],
        "received_at": state.database.now(connection),
    }
    return insert_once(connection, REPORTS, row)


def patient_of(state: NodeState, report: PathologyReport, site_id: int | None) -> str | None:
    """Give what is equal for the reports of one patient at one site; ``None`` if none is named."""
    if report.patient_id is None:
        return None
    return _name(state, "patient", str(site_id), report.patient_id)


def read_reports(
    state: NodeState,
    connection: sa.Connection,
    patients: Iterable[str] = (),
    ids: Iterable[int] = (),
) -> list[KeptReport]:
    """Read all versions of all reports of some patients and those with `ids`, as they came."""
    asked = sa.select(REPORTS).where(
        sa.or_(REPORTS.c.patient.in_(sorted(patients)), REPORTS.c.id.in_(sorted(ids)))
    )
    return [_kept(state, row) for row in connection.execute(asked.order_by(REPORTS.c.id))]


def read_report(state: NodeState, connection: sa.Connection, report_id: int) -> PathologyReport:
    """Read one version.

    Raises
    ------
    StorageError
        It is encrypted, and there is no key or a wrong one.
    """
    asked = sa.select(REPORTS).where(REPORTS.c.id == report_id)
    return _kept(state, connection.execute(asked).one()).report


def taken_on(state: NodeState, report: PathologyReport) -> date | None:
    """Give the day of a report as the node keeps days: moved back where exams are moved back."""
    day = report.collected or (report.issued.date() if report.issued else None)
    settings, seal = state.settings.intake.deidentify, state.results.seal
    if day is None or settings is None or seal is None or settings.dates != "shift":
        return day
    return day - seal.pseudonyms.days(report.patient_id or "")


def _kept(state: NodeState, row: sa.Row[Any]) -> KeptReport:
    body = unseal(state.results.seal, row.body, row.digest.encode())
    said = json.loads(body)
    for name in ("collected", "birth_date"):
        said[name] = said[name] and date.fromisoformat(said[name])
    said["issued"] = said["issued"] and datetime.fromisoformat(said["issued"])
    said["status"] = ReportStatus[said["status"]]
    return KeptReport(row.id, row.key, PathologyReport(**said | {"source": f"report {row.id}"}))


def _name(state: NodeState, *parts: str) -> str:
    """Give a name that does not show its parts: keyed where the node de-identifies."""
    seal = state.results.seal
    if seal is not None:
        return seal.pseudonyms.person(*parts)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
