"""All facts about one exam: from the database, and from its files as long as they exist."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, InputError, StorageError
from mammolens.images import ImageFile, identify
from mammolens.serve.holdings import NodeState
from mammolens.serve.lookup.exams import ExamRow, notes_on, plain, select_exams
from mammolens.serve.record import (
    AUDIT,
    DELIVERIES,
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    OVERTAKEN,
    RESULTS,
    Role,
)

__all__ = ["ExamReport", "Row", "report_exam"]

_WITHHELD: Final = frozenset({"token", "sealed", "malignancy", "tumour", "previous", "hash"})
"""Columns that are not shown: tokens, hashes, and scores, which need their prevalence."""
Row = Mapping[str, Any]
"""Columns of a table and their values."""


@dataclass(frozen=True)
class ExamReport:
    """All facts about one exam; each part is in order of time.

    Attributes
    ----------
    passed_over
        Objects of its study that were entered but not stored.
    reasons
        For the digest of each object that was refused at reception: the reason in words.
    not_analysed
        The inputs that the newest result could not use; ``None`` if no file lists them.
    """

    exam: ExamRow
    instances: tuple[Row, ...]
    passed_over: tuple[Row, ...]
    jobs: tuple[Row, ...]
    results: tuple[Row, ...]
    files: tuple[Row, ...]
    deliveries: tuple[Row, ...]
    trail: tuple[Row, ...]
    reasons: Mapping[str, str]
    not_analysed: tuple[Mapping[str, str], ...] | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the report as plain values for JSON."""
        parts = ("passed_over", "jobs", "results", "files", "deliveries", "trail")
        refused = [{**row, "refusal": self.reasons.get(row["digest"])} for row in self.instances]
        return {
            "exam": plain(vars(self.exam)),
            "instances": [_shown(row) for row in refused],
            **{part: [_shown(row) for row in getattr(self, part)] for part in parts},
            "not_analysed": plain(self.not_analysed),
            "notes": list(self.notes),
        }


def report_exam(state: NodeState, exam_id: int) -> ExamReport:
    """Read all facts about one exam; facts that were only in deleted files are left out.

    Raises
    ------
    ConfigError
        There is no exam of this number.
    StorageError
        The database cannot be used.
    """
    with state.database.read() as connection:
        found = select_exams(connection, [EXAMS.c.id == exam_id])
        if not found:
            raise ConfigError(
                f"there is no exam {exam_id}",
                keyword="ID",
                remedy="mammolens node exams lists them; retention may have deleted it",
            )
        (exam,) = found

        def listed(asked: sa.Select[Any]) -> tuple[Row, ...]:
            return tuple(dict(row._mapping) for row in connection.execute(asked))

        def of_exam(table: sa.Table) -> tuple[Row, ...]:
            return listed(sa.select(table).where(table.c.exam_id == exam_id).order_by(table.c[0]))

        instances, results = of_exam(INSTANCES), of_exam(RESULTS)
        files = listed(
            sa.select(FILES, RESULTS.c.revision)
            .join(RESULTS, RESULTS.c.id == FILES.c.result_id)
            .where(RESULTS.c.exam_id == exam_id)
            .order_by(FILES.c.id)
        )
        deliveries = listed(
            sa.select(DELIVERIES, FILES.c.sink, FILES.c.name, OVERTAKEN.label("overtaken"))
            .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
            .where(DELIVERIES.c.exam_id == exam_id)
            .order_by(DELIVERIES.c.route, DELIVERIES.c.id)
        )
        jobs, trail = of_exam(JOBS), of_exam(AUDIT)
        passed_over = _passed_over(connection, exam.study_instance_uid)
    refused = [row["digest"] for row in instances if row["role"] == Role.REFUSED.value]
    return ExamReport(
        exam,
        instances,
        passed_over,
        jobs,
        results,
        files,
        deliveries,
        trail,
        {digest: _reason(state, digest) for digest in refused},
        _not_analysed(state, exam.revision, files, instances),
        notes_on(state),
    )


def _passed_over(connection: sa.Connection, study: str) -> tuple[Row, ...]:
    """Find the objects of a study that were not stored; only the audit trail has their study."""
    named = AUDIT.c.detail.contains(f'"study_instance_uid": "{study}"', autoescape=True)
    rows = connection.execute(
        sa.select(AUDIT).where(AUDIT.c.action == Role.IGNORED.value, named).order_by(AUDIT.c.number)
    ).all()
    return tuple({**json.loads(row.detail), "at": row.at, "actor": row.actor} for row in rows)


def _reason(state: NodeState, digest: str) -> str:
    """Read from the header of a stored object why it is not an input."""
    try:
        refusal = identify(ImageFile(state.received.path(digest))).refusal
    except (InputError, OSError) as error:
        return error.message if isinstance(error, InputError) else "the file cannot be read"
    if refusal is None:
        return "digitised or computed radiography, which is read only if intake.film says so"
    return refusal.message


def _not_analysed(
    state: NodeState, revision: int | None, files: Sequence[Row], instances: Sequence[Row]
) -> tuple[Mapping[str, str], ...] | None:
    """Read from the JSON file of the newest result, if it has one, the inputs it could not use."""
    made = [file for file in files if file["sink"] == "json" and file["revision"] == revision]
    if not made:
        return None
    names = {row["digest"]: row["sop_instance_uid"] for row in instances}
    try:
        (exam,) = json.loads(state.results.read(made[0]["digest"]))["exams"]
        missed = [(item["path"], item["error"], item["message"]) for item in exam["unreadable"]]
    except (StorageError, ValueError, KeyError):
        return None
    return tuple(
        {
            "object": names.get(path, path),
            "error": error,
            "message": message.removeprefix(f"{path}: "),
        }
        for path, error, message in missed
    )


def _shown(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = plain({k: v for k, v in row.items() if k not in _WITHHELD})
    if isinstance(shown.get("detail"), str):
        shown["detail"] = json.loads(shown["detail"])
    return shown
