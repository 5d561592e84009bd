"""Results of jobs: each is entered once, in one transaction with its files and deliveries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from mammolens.core import ModelId, TriageCategory
from mammolens.monitor import ExamValues
from mammolens.serve.holdings import Store, Stored
from mammolens.serve.monitoring import enter_result
from mammolens.serve.record import (
    DELIVERIES,
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    OVERLAYS,
    RESULTS,
    Database,
    Role,
    Verdict,
    WorkState,
    audit,
    doubt_verdict,
    enter_verdict,
    from_row,
    insert_once,
    leases,
)
from mammolens.serve.settings import RouteSettings
from mammolens.serve.work.queue import Job

__all__ = [
    "ExamInputs",
    "Outcome",
    "Predecessor",
    "ResultFile",
    "StoredInstance",
    "commit_result",
    "read_inputs",
    "read_predecessor",
]

_SAME_NAMED = ("malignancy", "tumour", "n_images", "n_unreadable")


@dataclass(frozen=True)
class StoredInstance:
    """A received object of an exam, as the database describes it.

    `reason` is why it was refused, or which doubts its header raised before it was de-identified.
    """

    digest: str
    role: Role
    sop_instance_uid: str
    reason: str | None = None
    sop_class_uid: str | None = None
    series_instance_uid: str | None = None
    view: str | None = None


@dataclass(frozen=True)
class ExamInputs:
    """The inputs of one job, in the order of reception.

    `n_identities` counts the patient identities in the study. If there are several, each has its
    own exam, and every result has a caution.
    """

    study_instance_uid: str
    patient_id: str | None
    instances: tuple[StoredInstance, ...]
    n_identities: int
    accession_number: str | None = None


@dataclass(frozen=True)
class ResultFile:
    """A stored file of a result; the UIDs are those of a DICOM object."""

    sink: str
    name: str
    stored: Stored
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None


@dataclass(frozen=True)
class Predecessor:
    """The result that a new one supersedes, and its DICOM objects as (sink, digest of the file)."""

    result_id: int
    revision: int
    objects: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """The outcome of an analysis; probabilities are ``None`` exactly if it failed.

    `cautions` are names, not sentences, without identifiers. `doubts` are (name, text), and
    `withheld` means that the exam would have been low without them; `overlay` is packed JSON;
    `watched` is for the drift monitor.
    """

    category: TriageCategory
    malignancy: float | None
    tumour: float | None
    n_images: int
    n_unreadable: int
    cautions: tuple[str, ...]
    model: ModelId
    created: datetime
    prevalence: float | None = None
    doubts: tuple[tuple[str, str], ...] = ()
    failure: str | None = None
    withheld: bool = False
    overlay: bytes | None = None
    watched: ExamValues | None = None
    breasts: tuple[tuple[str, float], ...] = ()

    def verdict(self, revision: int) -> Verdict:
        """Say what a worklist shows of it."""
        return Verdict(
            "withheld" if self.withheld else self.category.value,
            revision,
            f"{self.model.name} {self.model.version}",
            self.malignancy,
            self.prevalence,
            self.doubts,
            self.failure,
        )


def read_inputs(database: Database, job: Job) -> ExamInputs:
    """Read the inputs of a job; they are the same at every attempt.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        exam = connection.execute(sa.select(EXAMS).where(EXAMS.c.id == job.exam_id)).one()
        rows = connection.execute(
            sa.select(INSTANCES)
            .where(INSTANCES.c.exam_id == job.exam_id, INSTANCES.c.exam_version <= job.version)
            .order_by(INSTANCES.c.id)
        ).all()
        identities = connection.execute(
            sa.select(sa.func.count())
            .select_from(EXAMS)
            .where(EXAMS.c.study_instance_uid == exam.study_instance_uid)
        ).scalar_one()
    return ExamInputs(
        exam.study_instance_uid,
        exam.patient_id,
        tuple(from_row(StoredInstance, row, role=Role(row.role)) for row in rows),
        identities,
        exam.accession_number,
    )


def read_predecessor(database: Database, exam_id: int) -> Predecessor | None:
    """Read the newest result of an exam, which the next one supersedes.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        row = connection.execute(_newest(exam_id)).one_or_none()
        if row is None:
            return None
        files = connection.execute(
            sa.select(FILES)
            .where(FILES.c.result_id == row.id, FILES.c.sop_instance_uid.is_not(None))
            .order_by(FILES.c.id)
        ).all()
    return Predecessor(row.id, row.revision, tuple((f.sink, f.digest) for f in files))


def commit_result(
    database: Database,
    job: Job,
    outcome: Outcome,
    files: Sequence[ResultFile],
    routes: Sequence[RouteSettings],
    store: Store,
) -> int | None:
    """Enter a result, its files, and the deliveries of its files by the routes.

    A job has one result: if it was entered before, its number is given and nothing is changed.

    Returns
    -------
    int or None
        Number of the result; ``None`` if the lease was lost, and nothing was changed.

    Raises
    ------
    StorageError
        The database cannot be used, or a file is missing in the store.
    """
    with database.write() as connection:
        entered = connection.execute(
            sa.select(RESULTS.c.id).where(RESULTS.c.job_id == job.lease.id)
        ).scalar_one_or_none()
        if entered is not None:
            return int(entered)
        if not leases.settle(database, connection, JOBS, job.lease):
            return None
        before = connection.execute(_newest(job.exam_id)).one_or_none()
        revision = before.revision + 1 if before else 1
        result_id = connection.execute(
            RESULTS.insert()
            .values(
                exam_id=job.exam_id,
                job_id=job.lease.id,
                revision=revision,
                supersedes=before.id if before else None,
                category=outcome.category.value,
                breasts=json.dumps(dict(outcome.breasts)),
                cautions="\n".join(outcome.cautions),
                created_at=outcome.created,
                **{name: getattr(outcome, name) for name in _SAME_NAMED},
                **{f"model_{name}": value for name, value in vars(outcome.model).items()},
            )
            .returning(RESULTS.c.id)
        ).scalar_one()
        enter_verdict(connection, job.exam_id, outcome.verdict(revision))
        # Images that came while the job ran: a low result is withheld.
        doubt_verdict(connection, EXAMS.c.id == job.exam_id, EXAMS.c.version > job.version)
        _enter_overlay(connection, job.exam_id, int(result_id), outcome.overlay)
        if revision == 1 and outcome.watched is not None:
            enter_result(database, connection, job.exam_id, int(result_id), outcome.watched)
        routes_before, sent = _earlier_deliveries(connection, job.exam_id)
        for file in files:
            file_id = _enter_file(connection, int(result_id), file)
            store.require(file.stored.digest)
            for route in routes:
                if (file.sop_instance_uid, route.name) in sent:
                    continue
                if route.wants(file.sink, outcome.category, revision, route.name in routes_before):
                    _enter_delivery(database, connection, job, file_id, revision, route.name)
        detail = {
            "category": outcome.category.value,
            "files": len(files),
            "job": job.lease.id,
            "model": outcome.model.digest,
            "result": int(result_id),
            "revision": revision,
        }
        audit.append(database, connection, job.actor, "finished", job.exam_id, detail)
    return int(result_id)


def _enter_overlay(
    connection: sa.Connection, exam_id: int, result_id: int, overlay: bytes | None
) -> None:
    """Keep what the viewer draws of the newest result; that of an earlier one is of no use."""
    earlier = sa.select(RESULTS.c.id).where(RESULTS.c.exam_id == exam_id)
    connection.execute(OVERLAYS.delete().where(OVERLAYS.c.result_id.in_(earlier)))
    if overlay is not None:
        connection.execute(OVERLAYS.insert().values(result_id=result_id, body=overlay))


def _newest(exam_id: int) -> sa.Select[tuple[int, int]]:
    return (
        sa.select(RESULTS.c.id, RESULTS.c.revision)
        .where(RESULTS.c.exam_id == exam_id)
        .order_by(RESULTS.c.revision.desc())
        .limit(1)
    )


def _enter_file(connection: sa.Connection, result_id: int, file: ResultFile) -> int:
    row = {
        "result_id": result_id,
        "sink": file.sink,
        "name": file.name,
        "digest": file.stored.digest,
        "size": file.stored.size,
        "sop_class_uid": file.sop_class_uid,
        "sop_instance_uid": file.sop_instance_uid,
    }
    return int(connection.execute(FILES.insert().values(row).returning(FILES.c.id)).scalar_one())


def _earlier_deliveries(
    connection: sa.Connection, exam_id: int
) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Give the routes of earlier results of an exam, and the objects that each route has or gets.

    If a route sent a result, it also sends its correction. An object that did not change keeps its
    UID and is sent only once.
    """
    rows = connection.execute(
        sa.select(DELIVERIES.c.route, DELIVERIES.c.state, FILES.c.sop_instance_uid)
        .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
        .where(DELIVERIES.c.exam_id == exam_id)
    ).all()
    objects = [row for row in rows if row.sop_instance_uid and row.state != WorkState.DEAD.value]
    return (
        frozenset(row.route for row in rows),
        frozenset((row.sop_instance_uid, row.route) for row in objects),
    )


def _enter_delivery(
    database: Database,
    connection: sa.Connection,
    job: Job,
    file_id: int,
    revision: int,
    route: str,
) -> None:
    """Queue one file of a result for one route."""
    now = database.now(connection)
    insert_once(
        connection,
        DELIVERIES,
        {
            "file_id": file_id,
            "exam_id": job.exam_id,
            "revision": revision,
            "route": route,
            "state": WorkState.QUEUED.value,
            "attempts": 0,
            "not_before": now,
            "created_at": now,
        },
    )
