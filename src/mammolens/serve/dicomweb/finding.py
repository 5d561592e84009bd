"""Who asks, and the objects that they may have: exams by site, results of the AI by reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mammolens.serve.dicomweb.headers import HeaderIndex
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, visible_exams
from mammolens.serve.reading import exams_with_visible_ai
from mammolens.serve.record import CURRENT, EXAMS, FILES, HEADERS, INSTANCES, RESULTS, from_row

__all__ = ["FoundObject", "Viewer", "find_objects", "first_of_uid", "may_know", "shown_headers"]


@dataclass(frozen=True)
class Viewer:
    """Somebody who searches and retrieves; `person` is ``None`` for a machine that may see all.

    `actor` is who it is in the audit trail.
    """

    actor: str
    person: Person | None


@dataclass(frozen=True)
class FoundObject:
    """An object that may be given; `is_ours`: one of our results, in the store of results."""

    exam_id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str
    is_ours: bool
    frames: int
    can_decode: bool


def find_objects(
    state: NodeState,
    index: HeaderIndex,
    viewer: Viewer,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> tuple[FoundObject, ...]:
    """List the objects of a request, in the order in which they came; none if nothing fits.

    An object of another site, or of the AI before it may be seen, is not there.

    Raises
    ------
    NotReadyYet
        The headers of the study are being read.
    StorageError
        The database is away.
    """
    asked = sa.select(EXAMS.c.id).where(EXAMS.c.study_instance_uid == study, may_know(viewer))
    with state.database.read() as connection:
        exam_ids = list(connection.execute(asked.order_by(EXAMS.c.id)).scalars())
    if not exam_ids:
        return ()
    index.fill(exam_ids)
    with state.database.read() as connection:
        # Asked again: an exam may have been given to another site meanwhile.
        exam_ids = list(connection.execute(asked.order_by(EXAMS.c.id)).scalars())
        rows = shown_headers(connection, viewer, exam_ids)
    found = (
        from_row(FoundObject, row, study_instance_uid=study, is_ours=row.instance_id is None)
        for row in first_of_uid(rows)
        if series in (None, row.series_instance_uid) and instance in (None, row.sop_instance_uid)
    )
    return tuple(found)


def may_know(viewer: Viewer) -> sa.ColumnElement[bool]:
    """Say which rows of `EXAMS` may be known of."""
    return sa.true() if viewer.person is None else visible_exams(viewer.person)


def shown_headers(
    connection: sa.Connection, viewer: Viewer, exam_ids: Sequence[int]
) -> list[sa.Row[Any]]:
    """Read the rows of headers of exams that the viewer may know of, those of each together.

    Results of the AI are among them if the viewer may see the AI of the exam, and only the newest.
    """
    with_ai = {*exam_ids}
    if viewer.person is not None:
        with_ai = exams_with_visible_ai(connection, viewer.person, exam_ids)
    digest = sa.func.coalesce(INSTANCES.c.digest, FILES.c.digest).label("digest")
    asked = (
        sa.select(HEADERS, digest)
        .outerjoin(INSTANCES, INSTANCES.c.id == HEADERS.c.instance_id)
        .outerjoin(FILES, FILES.c.id == HEADERS.c.file_id)
        .outerjoin(RESULTS, RESULTS.c.id == FILES.c.result_id)
        .where(
            HEADERS.c.exam_id.in_(exam_ids),
            sa.or_(
                HEADERS.c.instance_id.is_not(None),
                sa.and_(HEADERS.c.exam_id.in_(sorted(with_ai)), CURRENT),
            ),
        )
        # Images come first, so that the first row of an exam speaks for its study.
        .order_by(
            HEADERS.c.exam_id.desc(),
            HEADERS.c.file_id.is_not(None),
            HEADERS.c.instance_id,
            HEADERS.c.file_id,
        )
    )
    return list(connection.execute(asked))


def first_of_uid(rows: Iterable[sa.Row[Any]]) -> Iterator[sa.Row[Any]]:
    """Leave out rows whose exam has an earlier object of the same UID."""
    seen: set[tuple[int, str]] = set()
    for row in rows:
        key = row.exam_id, row.sop_instance_uid
        if key not in seen:
            seen.add(key)
            yield row
