"""Conditions over the tables that several questions share."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import DELIVERIES, EXAMS, PRIORS, RESULTS, WorkState

__all__ = ["OVERTAKEN", "SUPERSEDED", "WAITS"]

WAITS: Final = sa.and_(
    EXAMS.c.version > EXAMS.c.queued_version,
    ~sa.select(PRIORS.c.id)
    .where(PRIORS.c.study_instance_uid == EXAMS.c.study_instance_uid)
    .exists(),
)
"""Exams that changed since their last job, and are not priors."""

_NEWER: Final = RESULTS.alias()
SUPERSEDED: Final = sa.select(_NEWER.c.id).where(_NEWER.c.supersedes == RESULTS.c.id).exists()
"""Results that a newer result of the same exam replaces."""

_LATER: Final = DELIVERIES.alias()
OVERTAKEN: Final = (
    sa.select(_LATER.c.id)
    .where(
        _LATER.c.exam_id == DELIVERIES.c.exam_id,
        _LATER.c.route == DELIVERIES.c.route,
        _LATER.c.revision > DELIVERIES.c.revision,
        _LATER.c.state.in_((WorkState.RUNNING.value, WorkState.DONE.value)),
    )
    .exists()
)
"""Deliveries whose exam has a later result that has gone by the same route, or is going."""
