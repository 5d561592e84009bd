"""Compare the model of a site with the second one that scored silently, on the site's own outcomes.

Readings play no part: an exam has a cancer if an outcome of its year of follow-up is one. Exams
whose outcome is not known, or for which a model failed, are left out and counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.outcomes import Exam, compare_models, link, positive_rule, read_outcomes
from mammolens.serve.holdings import NodeState
from mammolens.serve.outcomes.audit import outcomes_table
from mammolens.serve.record import EXAMS, RESULTS, SHADOW_SCORES, SITES, SUPERSEDED

__all__ = ["compare_shadow"]

SCHEMA: Final = "mammolens.outcomes.shadow/1"
_CALLED: Final = "high"
_FAILED: Final = "failed"
NOTICE: Final = "Research use only, not a medical device. A second model is never shown to readers."


def compare_shadow(
    state: NodeState, site: str, today: date, complete_until: date | None
) -> dict[str, Any]:
    """Compare both models on the exams of a site that both scored in the same version.

    Parameters
    ----------
    site
        Key of the site.

    Returns
    -------
    dict
        JSON: AUC and rates at each model's own threshold of ``high``, differences second − first.

    Raises
    ------
    ConfigError
        There is no such site.
    InvalidManifest
        No exam has both scores and a known outcome.
    """
    with state.database.read() as connection:
        number = connection.execute(sa.select(SITES.c.id).where(SITES.c.key == site)).scalar()
        if number is None:
            raise ConfigError(
                f"there is no site {site!r}", keyword="--site", remedy="Give the key of a site"
            )
        rows = _rows(connection, number)
        table = outcomes_table(connection, number)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "outcomes.csv"
        path.write_text(table, "utf-8")
        outcomes = read_outcomes(path, today)
    exams = [_exam(row) for row in rows.values()]
    until = complete_until or max(one.day for one in outcomes)
    rule = positive_rule("5th")  # Any would do: readings play no part.
    cases = link(exams, outcomes, until, rule.positive).cases if exams else ()
    used = [rows[case.exam.study_id] for case in cases]
    both = [n for n, row in enumerate(used) if _FAILED not in (row.category, row.shadow_category)]
    if not both:
        raise InvalidManifest(
            "no exam has scores of both models and a known outcome",
            remedy="Set model.shadow, and wait for exams and their outcomes",
        )
    kept = [used[n] for n in both]
    names = _names(kept[0])
    found = compare_models(
        np.array([bool(cases[n].cancers) for n in both]),
        {
            names[0]: np.array([row.shadow_malignancy for row in kept], np.float64),
            names[1]: np.array([row.malignancy for row in kept], np.float64),
        },
        {
            names[0]: np.array([row.shadow_category == _CALLED for row in kept]),
            names[1]: np.array([row.category == _CALLED for row in kept]),
        },
        [cases[n].exam.patient_id for n in both],
    )
    left_out = {
        "exams_with_both_scores": len(rows),
        "without_known_outcome": len(rows) - len(cases),
        "a_model_failed": len(cases) - len(both),
    }
    head = {"schema": SCHEMA, "notice": NOTICE, "site": site, "complete_until": until.isoformat()}
    return {**head, "shadow": names[0], "present": names[1], **found, **left_out}


def _rows(connection: sa.Connection, site_id: int) -> Mapping[str, Any]:
    """Give the exams that the newest of both models scored in the same version, by their study."""
    newest = sa.select(sa.func.max(SHADOW_SCORES.c.id)).group_by(SHADOW_SCORES.c.exam_id)
    asked = (
        sa.select(
            EXAMS.c.id,
            EXAMS.c.study_instance_uid,
            EXAMS.c.patient_id,
            EXAMS.c.study_date,
            RESULTS.c.category,
            RESULTS.c.malignancy,
            RESULTS.c.model_name,
            RESULTS.c.model_version,
            SHADOW_SCORES.c.category.label("shadow_category"),
            SHADOW_SCORES.c.malignancy.label("shadow_malignancy"),
            SHADOW_SCORES.c.model.label("shadow_model"),
        )
        .select_from(EXAMS)
        .join(RESULTS, sa.and_(RESULTS.c.exam_id == EXAMS.c.id, ~SUPERSEDED))
        .join(
            SHADOW_SCORES,
            sa.and_(
                SHADOW_SCORES.c.exam_id == EXAMS.c.id, SHADOW_SCORES.c.version == EXAMS.c.version
            ),
        )
        .where(
            EXAMS.c.site_id == site_id,
            EXAMS.c.study_date.is_not(None),
            SHADOW_SCORES.c.id.in_(newest),
        )
        .order_by(EXAMS.c.id)
    )
    return {row.study_instance_uid: row for row in connection.execute(asked)}


def _exam(row: sa.Row[Any]) -> Exam:
    patient = row.patient_id or f"exam {row.id}"
    # A category keeps the exam: whether it was read does not matter here.
    return Exam(row.study_instance_uid, patient, date.fromisoformat(row.study_date), {None: "1"})


def _names(row: sa.Row[Any]) -> tuple[str, str]:
    """Name both models; equal names are told apart."""
    present = f"{row.model_name} {row.model_version}"
    shadow = row.shadow_model
    return (f"{shadow} (shadow)" if shadow == present else shadow), present
