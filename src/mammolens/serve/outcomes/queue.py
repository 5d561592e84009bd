"""Outcomes that wait for a person: listed, shown with the proving sentences, and decided."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from mammolens.pathology import SpecimenReading
from mammolens.pathology.outcomes import merge
from mammolens.serve.holdings import NodeState
from mammolens.serve.outcomes.places import ViewPlace, places_of
from mammolens.serve.outcomes.records import (
    Decision,
    ExamChoice,
    ExamOutcomes,
    OutcomeDetail,
    OutcomeRow,
    OutcomesPage,
    PlacedOutcome,
    outcome_row,
)
from mammolens.serve.outcomes.reports import read_report, read_reports
from mammolens.serve.outcomes.visibility import exams_with_visible_outcomes, own_outcomes
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading import exams_with_visible_ai, note_ai_shown
from mammolens.serve.record import (
    DECISIONS,
    EXAMS,
    OUTCOMES,
    PEOPLE,
    REPORTS,
    Database,
    OutcomeState,
    audit,
    from_row,
)

__all__ = ["decide_outcome", "exam_outcomes", "list_outcomes", "show_outcome"]


def list_outcomes(
    database: Database,
    person: Person,
    *,
    state: OutcomeState | None,
    before: int | None,
    limit: int,
) -> OutcomesPage:
    """List outcomes at the sites of a person, except those that would unblind the person."""
    asked = sa.select(OUTCOMES).where(own_outcomes(person))
    if state is not None:
        asked = asked.where(OUTCOMES.c.state == state.value)
    if before is not None:
        asked = asked.where(OUTCOMES.c.id < before)
    with database.read() as connection:
        rows = connection.execute(asked.order_by(OUTCOMES.c.id.desc()).limit(limit)).all()
        exams = {one for row in rows for one in _exams_of(row)}
        shown = exams_with_visible_outcomes(connection, person, exams)
    items = [outcome_row(row) for row in rows if shown.issuperset(_exams_of(row))]
    return OutcomesPage(items, rows[-1].id if len(rows) == limit else None)


def show_outcome(state: NodeState, person: Person, outcome_id: int) -> OutcomeDetail:
    """Show an outcome with the text of its report; the view is audited.

    Raises
    ------
    Refused
        There is none, or it would show the person the answer of an exam before the own one.
    """
    with state.database.read() as connection:
        row = _visible(connection, person, outcome_id)
        text, specimen = _text(state, connection, row)
        asked = sa.select(EXAMS).where(EXAMS.c.id.in_(_exams_of(row))).order_by(EXAMS.c.id)
        found = connection.execute(asked).all()
        detail = OutcomeDetail(
            outcome_row(row),
            text,
            _evidence(text, specimen),
            [from_row(ExamChoice, one) for one in found],
            _places(connection, person, row),
            _decisions(connection, outcome_id),
        )
    with state.database.write() as connection:
        _note_findings(state, connection, person, row.exam_id, detail.places)
        note: audit.Detail = {"outcome": outcome_id}
        audit.append(state.database, connection, person.actor, "outcome_viewed", row.exam_id, note)
    return detail


def decide_outcome(
    state: NodeState,
    person: Person,
    outcome_id: int,
    version: int,
    exam_id: int | None,
    values: Mapping[str, Any],
) -> OutcomeRow:
    """Confirm or correct an outcome; both versions are kept.

    Parameters
    ----------
    version
        That of the outcome that the person saw.
    values
        What stands from now on, by the names of the proposal.

    Raises
    ------
    Refused
        It was changed meanwhile, or the exam is not one of the site that the person may see.
    """
    database = state.database
    with database.write() as connection:
        row = _visible(connection, person, outcome_id)
        locked = sa.select(OUTCOMES.c.version).where(OUTCOMES.c.id == outcome_id).with_for_update()
        if connection.execute(locked).scalar_one() != version:
            raise Refused(Refusal.CHANGED)
        if row.state == OutcomeState.WITHDRAWN.value:
            raise Refused(Refusal.CHANGED)
        if exam_id is not None:
            exam = visible_exam(connection, person, exam_id)
            if exam.site_id != row.site_id:
                raise Refused(Refusal.SITE, fields=["exam_id"])
        decided = json.dumps({**json.loads(row.proposed), **values}, sort_keys=True)
        now = database.now(connection)
        connection.execute(
            DECISIONS.insert().values(
                outcome_id=outcome_id,
                report_id=row.report_id,
                person_id=person.id,
                exam_id=exam_id,
                proposed=row.proposed,
                decided=decided,
                at=now,
            )
        )
        connection.execute(
            OUTCOMES.update()
            .where(OUTCOMES.c.id == outcome_id)
            .values(
                state=OutcomeState.DECIDED.value,
                decided=decided,
                exam_id=exam_id,
                version=version + 1,
                changed_at=now,
            )
        )
        changed = sorted(k for k in values if values[k] != json.loads(row.proposed).get(k))
        note: audit.Detail = {"outcome": outcome_id, "corrected": " ".join(changed)}
        audit.append(database, connection, person.actor, "outcome_decided", exam_id, note)
        asked = sa.select(OUTCOMES).where(OUTCOMES.c.id == outcome_id)
        return outcome_row(connection.execute(asked).one())


def exam_outcomes(state: NodeState, person: Person, exam_id: int) -> ExamOutcomes:
    """Give the outcomes of an exam with their places; the view is audited.

    Raises
    ------
    Refused
        No such exam is visible to the person.
    """
    with state.database.read() as connection:
        visible_exam(connection, person, exam_id)
        if not exams_with_visible_outcomes(connection, person, [exam_id]):
            return ExamOutcomes(True, [])
        standing = OUTCOMES.c.state != OutcomeState.WITHDRAWN.value
        asked = sa.select(OUTCOMES).where(OUTCOMES.c.exam_id == exam_id, standing)
        rows = connection.execute(asked.order_by(OUTCOMES.c.id)).all()
        found = [PlacedOutcome(outcome_row(row), _places(connection, person, row)) for row in rows]
    if found:
        with state.database.write() as connection:
            places = [place for one in found for place in one.places]
            _note_findings(state, connection, person, exam_id, places)
            note: audit.Detail = {"count": len(found)}
            actor = person.actor
            audit.append(state.database, connection, actor, "outcomes_viewed", exam_id, note)
    return ExamOutcomes(False, found)


def _visible(connection: sa.Connection, person: Person, outcome_id: int) -> sa.Row[Any]:
    asked = sa.select(OUTCOMES).where(OUTCOMES.c.id == outcome_id, own_outcomes(person))
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    exams = _exams_of(row)
    if not exams_with_visible_outcomes(connection, person, exams).issuperset(exams):
        raise Refused(Refusal.UNKNOWN)
    return row


def _exams_of(row: sa.Row[Any]) -> set[int]:
    return {*json.loads(row.candidates), *([row.exam_id] if row.exam_id else [])}


def _text(
    state: NodeState, connection: sa.Connection, row: sa.Row[Any]
) -> tuple[str, SpecimenReading | None]:
    """Give the text of the version that counts, with addenda, and what it says of the specimen."""
    patient = sa.select(REPORTS.c.patient).where(REPORTS.c.id == row.report_id)
    kept = read_reports(state, connection, [connection.execute(patient).scalar_one()])
    source = next(one.report.source for one in kept if one.id == row.report_id)
    for one in merge(version.report for version in kept):
        if one.report.source == source:
            specimens = one.reading.specimens
            known = row.specimen < len(specimens)
            return one.report.text, specimens[row.specimen] if known else None
    return read_report(state, connection, row.report_id).text, None


_MOST_RANGES: Final = 60


def _evidence(text: str, specimen: SpecimenReading | None) -> list[tuple[str, int, int]]:
    """Find the sentences that prove each field; they stand in the text but for white space."""
    found = []
    for kind, stated in specimen.statements.items() if specimen else ():
        for sentence in stated.evidence:
            pattern = r"\s*".join(map(re.escape, sentence.split()))
            match = re.search(pattern, text) if pattern else None
            if match is not None:
                found.append((kind.value, match.start(), match.end()))
    return found[:_MOST_RANGES]


def _places(connection: sa.Connection, person: Person, row: sa.Row[Any]) -> list[ViewPlace]:
    """Give where the biopsy lies; the AI's findings there only to whom the AI may be shown."""
    if row.exam_id is None:
        return []
    found = places_of(connection, row.exam_id, json.loads(row.decided or row.proposed))
    if exams_with_visible_ai(connection, person, [row.exam_id]):
        return found
    return [ViewPlace(one.sop_instance_uid, one.view, one.region_source_px, ()) for one in found]


def _note_findings(
    state: NodeState,
    connection: sa.Connection,
    person: Person,
    exam_id: int | None,
    places: list[ViewPlace],
) -> None:
    """Note that the person saw findings of the AI, if there are any among the places."""
    if exam_id is not None and any(place.findings for place in places):
        note_ai_shown(state.database, connection, person, exam_id)


def _decisions(connection: sa.Connection, outcome_id: int) -> list[Decision]:
    asked = (
        sa.select(DECISIONS, PEOPLE.c.display_name)
        .join(PEOPLE, PEOPLE.c.id == DECISIONS.c.person_id)
        .where(DECISIONS.c.outcome_id == outcome_id)
        .order_by(DECISIONS.c.id)
    )
    return [
        Decision(
            row.display_name, row.at, row.exam_id, json.loads(row.proposed), json.loads(row.decided)
        )
        for row in connection.execute(asked)
    ]
