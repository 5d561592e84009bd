"""One exam: its row, what the viewer shows of it, what the AI says of it, and its files.

Every function asks first whether the person may know of the exam, and those that could show the AI
ask whether they may see it now. What was looked at is noted in the audit trail before it is given.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, Refusal, Refused, visible_exam, visible_exams
from mammolens.serve.reading import may_see_ai, note_ai_shown
from mammolens.serve.record import (
    AI_VIEWS,
    CURRENT,
    EXAMS,
    FILES,
    INSTANCES,
    OVERLAYS,
    PICTURES,
    RESULTS,
    Database,
    Role,
    audit,
)
from mammolens.serve.viewer import unpack
from mammolens.serve.worklist.rows import ExamRow, is_earlier, read_rows

__all__ = [
    "ArtefactNote",
    "list_artefacts",
    "list_patient_exams",
    "note_listed",
    "overlay_of",
    "prior_ids",
    "read_ai_beside",
    "read_artefact",
    "read_exam",
    "read_overlay",
    "read_preview",
]

DICOM: Final = "application/dicom"
MEDIA_TYPES: Final = {".json": "application/json", ".hl7": "text/plain", ".csv": "text/csv"}
MOST_PRIORS: Final = 50


@dataclass(frozen=True)
class ArtefactNote:
    """A file that a sink made of the newest result."""

    sink: str
    name: str
    media_type: str
    size: int
    revision: int
    created_at: datetime


def read_exam(
    connection: sa.Connection, person: Person, exam_id: int, complete_views: Collection[str]
) -> ExamRow:
    """Read one exam as a list shows it.

    Raises
    ------
    Refused
        No such exam is visible to the person.
    """
    visible_exam(connection, person, exam_id)
    return read_rows(connection, person, [exam_id], complete_views)[0]


def prior_ids(connection: sa.Connection, person: Person, exam: sa.Row[Any] | ExamRow) -> list[int]:
    """Give the earlier exams of the same patient at the same site, the newest first.

    Only those that the person may know of: who was asked about one exam sees that one alone.
    """
    this, other = EXAMS.alias("this"), EXAMS.alias("other")
    asked = (
        sa.select(other.c.id)
        .select_from(sa.join(this, other, is_earlier(other, this)))
        .where(this.c.id == exam.id)
        .order_by(sa.func.coalesce(other.c.study_date, "").desc(), other.c.first_received_at.desc())
        .limit(MOST_PRIORS)
    )
    ids = list(connection.execute(asked).scalars())
    known = sa.select(EXAMS.c.id).where(EXAMS.c.id.in_(ids), visible_exams(person))
    may_know = {*connection.execute(known).scalars()}
    return [number for number in ids if number in may_know]


def list_patient_exams(
    connection: sa.Connection, person: Person, key: str, complete_views: Collection[str]
) -> list[ExamRow]:
    """List all exams of a patient at one site, the newest study first.

    Parameters
    ----------
    key
        `ExamRow.patient_key`: number of the site, a dash, and what tells its patients apart.

    Raises
    ------
    Refused
        There is no such patient at a site of the person's.
    """
    site, _, patient = key.partition("-")
    if not (site.isascii() and site.isdigit() and len(site) < 10 and patient):
        raise Refused(Refusal.UNKNOWN)
    asked = (
        sa.select(EXAMS.c.id)
        .where(EXAMS.c.site_id == int(site), EXAMS.c.patient_key == patient, visible_exams(person))
        .order_by(sa.func.coalesce(EXAMS.c.study_date, "").desc(), EXAMS.c.id.desc())
        .limit(MOST_PRIORS)
    )
    ids = list(connection.execute(asked).scalars())
    if not ids:
        raise Refused(Refusal.UNKNOWN)
    return read_rows(connection, person, ids, complete_views)


def note_listed(database: Database, person: Person, exam_ids: Collection[int]) -> None:
    """Take note that a list showed scores of exams; those that were noted before cost nothing."""
    mine = AI_VIEWS.c.person_id == person.id
    with database.read() as connection:
        asked = sa.select(AI_VIEWS.c.exam_id).where(mine, AI_VIEWS.c.exam_id.in_(exam_ids))
        new = sorted({*exam_ids} - {*connection.execute(asked).scalars()})
    if not new:
        return
    with database.write() as connection:
        now = database.now(connection)
        here = sa.select(EXAMS.c.id).where(EXAMS.c.id.in_(new)).with_for_update(read=True)
        ids = list(connection.execute(here).scalars())
        rows = [{"exam_id": number, "person_id": person.id, "at": now} for number in ids]
        make = sqlite.insert if database.is_sqlite else postgresql.insert
        if rows:
            connection.execute(make(AI_VIEWS).on_conflict_do_nothing(), rows)
            detail: audit.Detail = {"count": len(rows), "first": ids[0], "last": ids[-1]}
            audit.append(database, connection, person.actor, "ai_listed", None, detail)


def overlay_of(connection: sa.Connection, exam_id: int) -> dict[str, Any] | None:
    """Read what the viewer draws of the newest result. Check `may_see_ai` before.

    A result of before further images came is shown, but it no longer says `low`: the exam's own row
    has the doubt.
    """
    newest = (
        sa.select(RESULTS.c.id, OVERLAYS.c.body, EXAMS.c.category)
        .join(EXAMS, EXAMS.c.id == RESULTS.c.exam_id)
        .outerjoin(OVERLAYS, OVERLAYS.c.result_id == RESULTS.c.id)
        .where(RESULTS.c.exam_id == exam_id)
        .order_by(RESULTS.c.revision.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    if row is None:
        return None
    if row.body is None:  # it was made by a mammolens that kept none
        reason = "the result was made before outlines were kept: let the exam be analysed again"
        return {"state": "failed", "reason": reason}
    overlay = unpack(row.body)
    if overlay.get("category") == "low" and row.category != "low":
        overlay["category"] = "intermediate"
    return overlay


def read_overlay(state: NodeState, person: Person, exam_id: int) -> dict[str, Any]:
    """Read what the AI says of an exam: scores, outlines, maps; the view is noted.

    Raises
    ------
    Refused
        There is no such exam, or the person may not see its AI now.
    """
    with state.database.read() as connection:
        _check_ai(connection, person, exam_id)
        overlay = overlay_of(connection, exam_id)
    if overlay is None:
        return {"state": "pending"}
    with state.database.write() as connection:
        note_ai_shown(state.database, connection, person, exam_id)
        audit.append(state.database, connection, person.actor, "ai_viewed", exam_id)
    return overlay


def read_ai_beside(state: NodeState, person: Person, exam_id: int) -> dict[str, Any]:
    """Read the AI's fusion and density; empty if the AI is hidden, or there is neither.

    Raises
    ------
    Refused
        No such exam is visible to the person.
    """
    with state.database.read() as connection:
        visible_exam(connection, person, exam_id)
        if not may_see_ai(connection, person, exam_id):
            return {}
        overlay = overlay_of(connection, exam_id) or {}
    found = {name: overlay[name] for name in ("fusion", "density") if overlay.get(name)}
    if found:
        with state.database.write() as connection:
            note_ai_shown(state.database, connection, person, exam_id)
    return found


def read_preview(state: NodeState, person: Person, exam_id: int, sop_instance_uid: str) -> bytes:
    """Read the preview (JPEG) of an image; the view of the exam is noted where that is opened.

    Raises
    ------
    Refused
        There is no such exam or image, or its preview is not made (yet).
    """
    with state.database.read() as connection:
        visible_exam(connection, person, exam_id)
        asked = (
            sa.select(PICTURES.c.digest)
            .join(INSTANCES, INSTANCES.c.id == PICTURES.c.instance_id)
            .where(
                INSTANCES.c.exam_id == exam_id,
                INSTANCES.c.sop_instance_uid == sop_instance_uid,
                INSTANCES.c.role.in_((Role.INPUT.value, Role.REFUSED.value)),
                PICTURES.c.digest.is_not(None),
            )
            .order_by(INSTANCES.c.id)
            .limit(1)
        )
        digest = connection.execute(asked).scalar_one_or_none()
    if digest is None:
        raise Refused(Refusal.UNKNOWN)
    return state.received.read(digest)


def list_artefacts(state: NodeState, person: Person, exam_id: int) -> list[ArtefactNote]:
    """List the files that sinks made of the newest result. Each of them says what the AI says.

    Raises
    ------
    Refused
        There is no such exam, or the person may not see its AI now.
    """
    with state.database.read() as connection:
        _check_ai(connection, person, exam_id)
        rows = connection.execute(_files(exam_id).order_by(FILES.c.id)).all()
    return [
        ArtefactNote(row.sink, row.name, _media_type(row), row.size, row.revision, row.created_at)
        for row in rows
    ]


def read_artefact(
    state: NodeState, person: Person, exam_id: int, sink: str, name: str
) -> tuple[bytes, str]:
    """Read one of those files, with its media type; that is noted.

    Raises
    ------
    Refused
        There is none, or the person may not see its AI now.
    """
    with state.database.read() as connection:
        _check_ai(connection, person, exam_id)
        named = _files(exam_id).where(FILES.c.sink == sink, FILES.c.name == name)
        row = connection.execute(named).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    content = state.results.read(row.digest)
    with state.database.write() as connection:
        note_ai_shown(state.database, connection, person, exam_id)
        detail: audit.Detail = {"sink": sink, "revision": row.revision, "file": row.id}
        audit.append(state.database, connection, person.actor, "artefact_fetched", exam_id, detail)
    return content, _media_type(row)


def _check_ai(connection: sa.Connection, person: Person, exam_id: int) -> None:
    visible_exam(connection, person, exam_id)
    if not may_see_ai(connection, person, exam_id):
        raise Refused(Refusal.AI_LOCKED)


def _files(exam_id: int) -> sa.Select[Any]:
    return (
        sa.select(FILES, RESULTS.c.revision, RESULTS.c.created_at)
        .join(RESULTS, RESULTS.c.id == FILES.c.result_id)
        .where(RESULTS.c.exam_id == exam_id, CURRENT)
    )


def _media_type(row: sa.Row[Any]) -> str:
    if row.sop_class_uid is not None:
        return DICOM
    suffix = f".{row.name.rpartition('.')[2].lower()}"
    known = MEDIA_TYPES.get(suffix) or mimetypes.guess_type(row.name)[0]
    return known or "application/octet-stream"
