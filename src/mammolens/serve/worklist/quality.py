"""The quality of an exam's pictures, judged with their previews: before and without any score."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mammolens.core import ImageQuality, Laterality, ViewPosition, quality_record
from mammolens.exams import parse_views
from mammolens.quality import compare_views
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, visible_exam
from mammolens.serve.record import INSTANCES, PICTURES, PictureState, Role, audit
from mammolens.serve.viewer import unpack

__all__ = ["read_quality"]


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
