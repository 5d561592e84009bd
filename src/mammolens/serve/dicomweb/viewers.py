"""Who asks, and what they may know of: exams by their site, results of the AI by their reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mammolens.serve.people import Person, visible_exams
from mammolens.serve.reading import exams_with_visible_ai

__all__ = ["Viewer", "exams_with_shown_ai", "may_know"]


@dataclass(frozen=True)
class Viewer:
    """Somebody who searches and retrieves; `person` is ``None`` for a machine that may see all.

    `actor` is who it is in the audit trail.
    """

    actor: str
    person: Person | None


def may_know(viewer: Viewer) -> sa.ColumnElement[bool]:
    """Say which rows of `EXAMS` may be known of."""
    return sa.true() if viewer.person is None else visible_exams(viewer.person)


def exams_with_shown_ai(
    connection: sa.Connection, viewer: Viewer, exam_ids: Sequence[int]
) -> set[int]:
    """Say of which of these exams the viewer may get what the AI made."""
    if viewer.person is None:
        return {*exam_ids}
    return exams_with_visible_ai(connection, viewer.person, exam_ids)
