"""The exam of a pathology report, as the names in the database allow to find it.

Where the node de-identifies, exams have pseudonyms, and accession numbers are encrypted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import sqlalchemy as sa

from mammolens.outcomes.report_links import ExamLink, KnownExam, Sender, link_report
from mammolens.pathology.reports import PathologyReport
from mammolens.serve.holdings import NodeState, exams_with_accession
from mammolens.serve.outcomes.reports import read_reports, taken_on
from mammolens.serve.record import EXAMS

__all__ = ["exam_of", "hidden_accessions", "known_names"]


def exam_of(
    state: NodeState,
    connection: sa.Connection,
    report: PathologyReport,
    site_id: int | None,
    hidden: Mapping[str, frozenset[int]],
) -> ExamLink:
    """Link a report to an exam of its site; `hidden` is that of `hidden_accessions`."""
    seal, number = state.results.seal, report.accession_number
    patient_id = _patient_id(state, report)
    numbered: sa.ColumnElement[bool] = EXAMS.c.id.in_(sorted(hidden.get(number or "", ())))
    if seal is None and number is not None:
        numbered = EXAMS.c.accession_number == number
    asked = sa.select(EXAMS).where(
        EXAMS.c.site_id.is_not_distinct_from(site_id),
        sa.or_(
            numbered, sa.and_(EXAMS.c.patient_id.is_not(None), EXAMS.c.patient_id == patient_id)
        ),
    )
    exams = [
        KnownExam(
            row.id,
            row.patient_id,
            number if row.id in hidden.get(number or "", ()) else row.accession_number,
            _day(row.birth_date),
            _day(row.study_date),
        )
        for row in connection.execute(asked.order_by(EXAMS.c.id))
    ]
    about = Sender(patient_id, number, report.birth_date, taken_on(state, report))
    return link_report(about, exams)


def hidden_accessions(
    state: NodeState, reports: Iterable[PathologyReport]
) -> dict[str, frozenset[int]]:
    """Find exams by accession numbers that de-identification removed."""
    seal = state.results.seal
    if seal is None:
        return {}
    numbers = {one.accession_number for one in reports if one.accession_number}
    return {one: exams_with_accession(state.database, seal, one) for one in numbers}


def known_names(
    state: NodeState, connection: sa.Connection, report_ids: Iterable[int]
) -> dict[int, tuple[str | None, str | None]]:
    """Give patient and accession number of reports as exams have them, by number of the report."""
    return {
        one.id: (_patient_id(state, one.report), one.report.accession_number)
        for one in read_reports(state, connection, ids=report_ids)
    }


def _patient_id(state: NodeState, report: PathologyReport) -> str | None:
    """Give the identifier that exams of the patient have: a pseudonym where the node has these."""
    seal = state.results.seal
    if seal is None or report.patient_id is None:
        return report.patient_id
    return seal.pseudonyms.person(report.patient_id)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
