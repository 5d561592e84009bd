"""Describe one exam for the viewer: the JSON of ``web/src/viewer/exam.ts``, and its quality.

The quality of the pictures is judged when their previews are made, without the AI.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import ImageQuality, Laterality, ViewPosition, quality_record
from mammolens.exams import parse_views
from mammolens.quality import compare_views
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading import may_see_ai, note_ai_shown
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    PICTURES,
    PRIORS,
    PersonRole,
    PictureState,
    Role,
    audit,
)
from mammolens.serve.viewer import unpack
from mammolens.serve.worklist.exams import overlay_of, prior_ids
from mammolens.serve.worklist.rows import ExamRow, read_rows

__all__ = ["Addresses", "read_quality", "view_exam"]

SHOWN: Final = frozenset({"available", "failed"})  # States in which the AI has been seen.


@dataclass(frozen=True)
class Addresses:
    """Where the viewer finds things: beginnings of paths of the same host."""

    exams: str
    dicom_web: str

    def viewer(self, exam_id: int) -> str:
        """Where an exam is read."""
        return f"{self.exams}/{exam_id}/viewer"

    def preview(self, exam_id: int, sop_instance_uid: str) -> str:
        """Where the preview of an image is."""
        return f"{self.exams}/{exam_id}/previews/{sop_instance_uid}"

    def frames(self, study: str, series: str, sop_instance_uid: str) -> str:
        """Where the frames of an image are (WADO-RS)."""
        return (
            f"{self.dicom_web}/studies/{study}/series/{series}/instances/{sop_instance_uid}/frames"
        )


def view_exam(
    state: NodeState,
    person: Person,
    exam_id: int,
    addresses: Addresses,
    *,
    ahead: bool = False,
    look_back: bool = False,
) -> dict[str, Any]:
    """Describe an exam for the viewer; that it was opened is noted.

    Parameters
    ----------
    ahead
        The pictures are fetched before the person opens the exam. The answer then has nothing of
        the AI, and the audit trail says that the exam was fetched, not viewed.
    look_back
        Whoever looks after the site opens it because a cancer was found after it; the audit trail
        says so.

    Raises
    ------
    Refused
        No such exam is visible to the person, or a look-back is not theirs.
    """
    complete = state.settings.exams.complete_views
    with state.database.read() as connection:
        exam = visible_exam(connection, person, exam_id)
        looks_after = person.sites_as(PersonRole.ADMINISTRATOR)
        if look_back and not (person.is_administrator or exam.site_id in looks_after):
            raise Refused(Refusal.NOT_ALLOWED)
        row = read_rows(connection, person, [exam_id], complete)[0]
        images, refused = _objects(connection, row, addresses)
        ai = {"state": "withheld"} if ahead else _ai(connection, person, row)
        answer = {
            "id": str(row.id),
            "studyInstanceUid": row.study_instance_uid,
            "patient": {
                "name": row.patient.name,
                "id": row.patient.id,
                "birthDate": row.patient.birth_date,
                "ageYears": row.patient.age_years,
            },
            "accessionNumber": row.accession_number,
            "date": row.study_date,
            "images": images,
            "refused": refused,
            "priors": _priors(connection, person, row, addresses),
            "ai": ai,
            "doubts": [
                *_doubts(connection, row, complete),
                *(row.ai.doubts if row.ai and not ahead else ()),
            ],
            "banner": row.banner,
        }
    with state.database.write() as connection:
        if ai["state"] in SHOWN:
            note_ai_shown(state.database, connection, person, exam_id)
        detail: audit.Detail = {"version": row.version, "revision": row.revision}
        action = "exam_fetched_ahead" if ahead else "exam_viewed"
        action = "exam_looked_back" if look_back else action
        audit.append(state.database, connection, person.actor, action, exam_id, detail)
    return answer


def _objects(
    connection: sa.Connection, exam: ExamRow, addresses: Addresses
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Describe what can be shown, and name what cannot: nothing of a study is passed over."""
    asked = (
        sa.select(
            INSTANCES.c.sop_instance_uid,
            INSTANCES.c.series_instance_uid,
            INSTANCES.c.view,
            PICTURES,
        )
        .outerjoin(PICTURES, PICTURES.c.instance_id == INSTANCES.c.id)
        .where(
            INSTANCES.c.exam_id == exam.id,
            INSTANCES.c.role.in_((Role.INPUT.value, Role.REFUSED.value)),
        )
        .order_by(INSTANCES.c.id)
    )
    images: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for row in connection.execute(asked):
        if row.digest is not None:  # of the preview
            images.append(_image(exam, row, addresses))
        else:
            refused.append(_missing(row))
    return images, refused


def _image(exam: ExamRow, row: sa.Row[Any], addresses: Addresses) -> dict[str, Any]:
    facts = unpack(row.facts)
    facts.pop("banner", None)
    facts.pop("quality", None)  # it has a route of its own
    if facts.pop("notAnalysed", None) and facts["kind"] != "tomosynthesis":
        facts["labels"] = [*facts["labels"], "not analysed"]
    uid, series = row.sop_instance_uid, row.series_instance_uid or ""
    preview = {"url": addresses.preview(exam.id, uid), "rows": row.rows, "columns": row.columns}
    frames = addresses.frames(exam.study_instance_uid, series, uid)
    return facts | {"seriesInstanceUid": series, "preview": preview, "framesUrl": frames}


def _missing(row: sa.Row[Any]) -> dict[str, Any]:
    view = row.view or ""
    known = {
        "sopInstanceUid": row.sop_instance_uid,
        "laterality": view[:1] or None,
        "viewPosition": view[1:] or None,
        "reason": "it cannot be opened",
    }
    if row.facts is not None:
        return known | {key: value for key, value in unpack(row.facts).items() if value}
    if row.state in (None, PictureState.WAITING.value):
        return known | {"reason": "it has just come, and is being prepared"}
    return known


def _priors(
    connection: sa.Connection, person: Person, exam: ExamRow, addresses: Addresses
) -> list[dict[str, str | None]]:
    ids = prior_ids(connection, person, exam)
    asked = sa.select(EXAMS.c.id, EXAMS.c.study_date).where(EXAMS.c.id.in_(ids))
    dates = {row.id: row.study_date for row in connection.execute(asked)}
    return [
        {"id": str(number), "date": dates[number], "url": addresses.viewer(number)}
        for number in ids
        if number in dates
    ]


def _ai(connection: sa.Connection, person: Person, exam: ExamRow) -> dict[str, Any]:
    if not may_see_ai(connection, person, exam.id):
        return {"state": "withheld"}
    overlay = overlay_of(connection, exam.id)
    if overlay is not None:
        return overlay
    asked = sa.select(PRIORS.c.id).where(PRIORS.c.study_instance_uid == exam.study_instance_uid)
    is_prior = connection.execute(asked.limit(1)).first() is not None
    return {"state": "none" if is_prior else "pending"}  # Priors are not analysed.


def _doubts(
    connection: sa.Connection, exam: ExamRow, complete_views: Collection[str]
) -> Iterator[str]:
    """Name the doubts that reception itself found, independent of the AI."""
    missing = [view for view in complete_views if view not in exam.views]
    if missing:
        yield f"views are missing: {', '.join(missing)}"
    if exam.refused:
        yield f"{exam.refused} objects of the study were not analysed"
    rivals = sa.select(INSTANCES.c.id).where(
        INSTANCES.c.exam_id == exam.id, INSTANCES.c.role == Role.RIVAL.value
    )
    if connection.execute(rivals.limit(1)).first() is not None:
        yield "another object claims the identifier of one of these images, with another picture"
    others = sa.select(EXAMS.c.id).where(
        EXAMS.c.study_instance_uid == exam.study_instance_uid, EXAMS.c.id != exam.id
    )
    if connection.execute(others.limit(1)).first() is not None:
        yield "the images of this study name more than one patient"


def read_quality(state: NodeState, person: Person, exam_id: int) -> dict[str, Any]:
    """Read the verdict on each picture of an exam and on all together; the view is noted.

    Nothing of it comes from the AI, so whoever may know of the exam may see it, also before they
    lock their own answer.

    Returns
    -------
    dict
        `ready`: no picture of the exam waits for its verdict. `exam`: criteria of the exam; empty
        until it is ready. `images`: the criteria of each picture; ``None`` for a picture that has
        no verdict, because it cannot be shown or was received by an earlier version.

    Raises
    ------
    Refused
        No such exam is visible to the person.
    """
    asked = (
        sa.select(INSTANCES.c.sop_instance_uid, INSTANCES.c.view, PICTURES.c.facts)
        .add_columns(PICTURES.c.state)
        .outerjoin(PICTURES, PICTURES.c.instance_id == INSTANCES.c.id)
        .where(INSTANCES.c.exam_id == exam_id, INSTANCES.c.role == Role.INPUT.value)
        .order_by(INSTANCES.c.id)
    )
    with state.database.read() as connection:
        visible_exam(connection, person, exam_id)
        rows = connection.execute(asked).all()
    images, judged, ready = [], [], True
    for row in rows:
        ready = ready and row.state not in (None, PictureState.WAITING.value)
        facts = unpack(row.facts) if row.facts is not None else {}
        side, position = facts.get("laterality"), facts.get("viewPosition")
        verdict = facts.get("quality")
        if verdict is not None:
            view = Laterality(side) if side else None, ViewPosition(position) if position else None
            judged.append((view, ImageQuality((), verdict["linePx"], verdict["lineMm"])))
        images.append(
            {
                "sop_instance_uid": row.sop_instance_uid,
                "laterality": side,
                "view_position": position,
                "rows": facts.get("rows"),
                "columns": facts.get("columns"),
                "criteria": None if verdict is None else verdict["criteria"],
            }
        )
    complete = parse_views(state.settings.exams.complete_views)
    exam = quality_record(compare_views(judged, complete)) if ready else []
    with state.database.write() as connection:
        audit.append(state.database, connection, person.actor, "quality_viewed", exam_id)
    return {"ready": ready, "exam": exam, "images": images}
