"""What an object that was entered changes of its exam: its version, its siblings, what is shown."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mammolens.exams import STANDARD_VIEWS
from mammolens.serve.holdings import ReceivedObject, exam_header
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    PICTURES,
    Database,
    PictureState,
    Role,
    doubt_verdict,
    enter_header,
    enter_views,
    insert_once,
)

__all__ = ["show_exam", "touch_exam", "touch_siblings"]


def touch_exam(database: Database, connection: sa.Connection, exam_id: int, version: int) -> None:
    """Begin the wait for more images again, and see whether the four views are there."""
    doubt_verdict(connection, EXAMS.c.id == exam_id, EXAMS.c.version < version)
    views = connection.execute(
        sa.select(sa.func.count(sa.distinct(INSTANCES.c.view))).where(
            INSTANCES.c.exam_id == exam_id, INSTANCES.c.role == Role.INPUT.value
        )
    ).scalar_one()
    connection.execute(
        EXAMS.update()
        .where(EXAMS.c.id == exam_id)
        .values(
            version=version,
            last_received_at=database.now(connection),
            four_views=views == len(STANDARD_VIEWS),
        )
    )


def show_exam(
    database: Database,
    connection: sa.Connection,
    exam: sa.Row[Any],
    instance_id: int,
    role: Role,
    found: ReceivedObject,
) -> None:
    """Enter what a worklist shows of the exam, and that a picture is to be made of the object.

    A rival gets no picture: its UID names another object, whose picture the viewer shows.
    """
    enter_header(connection, exam, exam_header(found.ref, found.header))
    enter_views(connection, exam.id)
    if role is not Role.RIVAL:
        waiting = {"instance_id": instance_id, "state": PictureState.WAITING.value, "attempts": 0}
        insert_once(connection, PICTURES, waiting | {"not_before": database.now(connection)})


def touch_siblings(
    database: Database, connection: sa.Connection, found: ReceivedObject, exam_id: int
) -> list[int]:
    """Queue the exams of other patients in the study again: their results need a caution."""
    others = sa.and_(
        EXAMS.c.study_instance_uid == found.ref.study_instance_uid, EXAMS.c.id != exam_id
    )
    ids = list(
        connection.execute(sa.select(EXAMS.c.id).where(others).order_by(EXAMS.c.id)).scalars()
    )
    doubt_verdict(connection, EXAMS.c.id.in_(ids))
    connection.execute(
        EXAMS.update()
        .where(EXAMS.c.id.in_(ids))
        .values(version=EXAMS.c.version + 1, last_received_at=database.now(connection))
    )
    return ids
