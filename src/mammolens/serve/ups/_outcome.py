"""Progress and results of the exams of a procedure step, read from the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import TriageCategory
from mammolens.errors import StorageError
from mammolens.images.dicom.bounded_header import read_bounded, wanted_of
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import (
    DELIVERIES,
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    RESULTS,
    WorkState,
    batches,
)
from mammolens.serve.settings import NodeSettings
from mammolens.serve.ups.data import Output, Reason, StepInput

__all__ = ["StepOutcome", "missing_instances", "read_outcome"]

DELIVERED: Final = WorkState.DONE.value
STOW: Final = "stow+"
PLACE: Final = frozenset({"StudyInstanceUID", "SeriesInstanceUID"})


@dataclass(frozen=True)
class StepOutcome:
    """Whether a step may end, the reason if it was not performed, and the delivered results."""

    is_over: bool
    reason: Reason | None = None
    outputs: tuple[Output, ...] = ()


WAITING: Final = StepOutcome(False)


def missing_instances(state: NodeState, inputs: Sequence[StepInput]) -> set[str]:
    """Give the images of a step that were not received yet."""
    by_kept_uid = {state.kept_as(uid): uid for given in inputs for uid in given.instances}
    with state.database.read() as connection:
        received = {row.sop_instance_uid for row in _received(connection, sorted(by_kept_uid))}
    return {uid for kept, uid in by_kept_uid.items() if kept not in received}


def read_outcome(state: NodeState, inputs: Sequence[StepInput], pulled: bool) -> StepOutcome:
    """Read the progress of the exams of a step.

    Parameters
    ----------
    pulled
        Whether all images of the source were fetched; if not, more may arrive.

    Raises
    ------
    StorageError
        The database or a result cannot be read.
    """
    if missing_instances(state, inputs):
        return WAITING
    with state.database.read() as connection:
        exams = _exams(state, connection, inputs)
        if not exams:
            # Everything has come, and nothing of it is a mammogram.
            listed = any(given.instances for given in inputs)
            return StepOutcome(True, Reason.OTHER_IMAGES) if listed or pulled else WAITING
        results = []
        for exam in exams:
            job, result = _newest(connection, exam.id)
            if exam.version > exam.queued_version or job is None or job.finished_at is None:
                return WAITING
            if result is None or job.state == WorkState.DEAD.value:
                return StepOutcome(True, Reason.NOT_DELIVERED)
            results.append(result)
        of_results = FILES.c.result_id.in_([result.id for result in results])
        files = connection.execute(sa.select(FILES).where(of_results).order_by(FILES.c.id)).all()
        of_files = sa.select(DELIVERIES).join(FILES, FILES.c.id == DELIVERIES.c.file_id)
        sent = connection.execute(of_files.where(of_results)).all()
    if any(row.finished_at is None for row in sent):
        return WAITING
    outputs = _outputs(state, files, sent)
    if any(result.category == TriageCategory.FAILED.value for result in results):
        return StepOutcome(True, Reason.FAILED, outputs)
    dead = any(row.state != DELIVERED for row in sent)
    return StepOutcome(True, Reason.NOT_DELIVERED if dead else None, outputs)


def _received(connection: sa.Connection, uids: Sequence[str]) -> list[sa.Row[Any]]:
    found: list[sa.Row[Any]] = []
    for some in batches(uids):
        asked = sa.select(INSTANCES).where(INSTANCES.c.sop_instance_uid.in_(some))
        found += connection.execute(asked).all()
    return found


def _exams(
    state: NodeState, connection: sa.Connection, inputs: Sequence[StepInput]
) -> list[sa.Row[Any]]:
    named = sorted({state.kept_as(uid) for given in inputs for uid in given.instances})
    ids = {row.exam_id for row in _received(connection, named) if row.exam_id is not None}
    studies = [given.study for given in inputs if not given.instances and not given.others]
    whole = [state.kept_as(study) for study in studies]
    asked = sa.or_(EXAMS.c.id.in_(ids), EXAMS.c.study_instance_uid.in_(whole))
    return list(connection.execute(sa.select(EXAMS).where(asked).order_by(EXAMS.c.id)))


def _newest(
    connection: sa.Connection, exam_id: int
) -> tuple[sa.Row[Any] | None, sa.Row[Any] | None]:
    jobs = sa.select(JOBS).where(JOBS.c.exam_id == exam_id).order_by(JOBS.c.version.desc())
    results = sa.select(RESULTS).where(RESULTS.c.exam_id == exam_id)
    newest = results.order_by(RESULTS.c.revision.desc()).limit(1)
    return connection.execute(jobs.limit(1)).first(), connection.execute(newest).first()


def _outputs(
    state: NodeState, files: Sequence[sa.Row[Any]], sent: Sequence[sa.Row[Any]]
) -> tuple[Output, ...]:
    """List the delivered DICOM objects, with their destinations."""
    outputs = []
    for file in files:
        routes = {row.route for row in sent if row.file_id == file.id and row.state == DELIVERED}
        if file.sop_instance_uid is None or not routes:
            continue
        content = BytesIO(state.results.read(file.digest))
        data = read_bounded(content, "results", wanted_of(PLACE, True)).dataset()
        study, series = str(data.get("StudyInstanceUID")), str(data.get("SeriesInstanceUID"))
        if not data.get("SeriesInstanceUID"):
            raise StorageError("a result has no series", source="results")
        titles, urls = _places(state.settings, routes, study)
        outputs.append(
            Output(study, series, file.sop_class_uid, file.sop_instance_uid, titles, urls)
        )
    return tuple(outputs)


def _places(
    settings: NodeSettings, routes: set[str], study: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    titles, urls = [], []
    for route in settings.routes:
        if route.name not in routes:
            continue
        address = settings.dimse.peers.get(route.to, route.to)
        scheme, _, rest = address.partition("://")
        if scheme in ("dimse", "dicom", "dicoms"):
            titles.append(rest.partition("@")[0])
        elif scheme.startswith(STOW):
            urls.append(f"{address.removeprefix(STOW).rstrip('/')}/studies/{study}")
    return tuple(titles), tuple(urls)
