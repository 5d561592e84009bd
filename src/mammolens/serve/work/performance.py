"""Perform one job: analyse the stored objects of an exam, and let the sinks make its files.

Every exam gets a result. If it cannot be read, or its analysis was tried too often, the result is
*failed*, which means "unknown", and never "normal". If it was tried too often, one of its objects
may kill the process that opens it: then no object is opened, and the failed result is made from the
database. A fault of the node's own disk is neither a result nor an attempt: it is raised as a
`StorageError`, also if a library has turned it into another error.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Final

from mammolens.analysis import AnalysisOptions, analyze_exam
from mammolens.clinical import Fusion
from mammolens.core import Prediction, Source, Unreadable
from mammolens.errors import ConfigError, InputError, ModelError, StorageError, UnsupportedImage
from mammolens.exams import ExamPlan, identity_cautions, load_exam, parse_views
from mammolens.images import ImageFile, identify
from mammolens.images.dicom import describe_dicom
from mammolens.model import ModelPackage
from mammolens.monitor import exam_values
from mammolens.run import describe_run
from mammolens.serve import logs
from mammolens.serve.clinical import items_of
from mammolens.serve.holdings import (
    FILM_NOT_READ,
    OF_ONE_FILE,
    NodeState,
    Store,
    own_fault,
    restore_identity,
)
from mammolens.serve.record import Role
from mammolens.serve.viewer import ai_overlay, pack
from mammolens.serve.work.failed_exams import cautions_of, given_up
from mammolens.serve.work.queue import Job
from mammolens.serve.work.results import (
    ExamInputs,
    Outcome,
    Predecessor,
    ResultFile,
    read_inputs,
    read_predecessor,
)
from mammolens.serve.work.shadow import ShadowScore
from mammolens.serve.work.stored_objects import (
    StoredFile,
    check_digests,
    check_store,
    lost_object,
)
from mammolens.sinks import Artefact, RunInfo, exam_artefacts, find_sink, needs_pictures
from mammolens.wording import view_name

__all__ = ["perform", "score_silently"]

_REASONS: Final = frozenset({"low_withheld", "not_validated"})
"""Cautions that say why the result is not to be taken as it stands."""
MOST_FILES: Final = 1000
MOST_BYTES: Final = 2 << 30
"""Limits on the files of one exam from one sink; the sink of another package may never end."""


def perform(
    state: NodeState, package: ModelPackage, job: Job, fusion: Fusion | None = None
) -> tuple[Outcome, list[ResultFile]]:
    """Analyse an exam, write its files to the store, and give the result that must be entered.

    Nothing is entered in the database here. If this process is killed, its files are removed later.

    Raises
    ------
    StorageError
        Objects cannot be read, or results not be written, now; the job must be tried again.
    """
    inputs = read_inputs(state.database, job)
    before = read_predecessor(state.database, job.exam_id)
    prediction = _predict(state, package, job, inputs, fusion)
    info = _describe(state, package, job, before)
    files: list[ResultFile] = []
    cautions = [caution.name for caution in prediction.cautions]
    identified = _identified(state, job, prediction)
    for sink in state.settings.all_sinks:
        shown = identified if find_sink(sink).identified else prediction
        if shown is None:
            cautions.append(f"sink_failed:{sink}")
            continue
        made, refusals = _make(sink, shown, info, state.results)
        files += made
        cautions += refusals
    scores = prediction.scores
    outcome = Outcome(
        category=prediction.category,
        malignancy=scores.malignant if scores else None,
        tumour=scores.tumour if scores else None,
        n_images=len(prediction.images),
        n_unreadable=len(prediction.unreadable),
        cautions=tuple(dict.fromkeys(cautions)),
        model=prediction.model,
        created=info.created,
        prevalence=prediction.prevalence,
        doubts=_doubts(prediction),
        failure=None if scores else "; ".join(c.message for c in prediction.cautions),
        withheld=any(caution.name == "low_withheld" for caution in prediction.cautions),
        overlay=pack(ai_overlay(prediction)),
        watched=exam_values(prediction),
        breasts=tuple(
            (one.laterality.value, one.scores.malignant)
            for one in prediction.breasts
            if one.laterality is not None
        ),
    )
    return outcome, files


def score_silently(state: NodeState, package: ModelPackage, job: Job) -> ShadowScore:
    """Score an exam with a second model, without fusion; nothing is written, no sink is asked.

    Raises
    ------
    StorageError
        Objects cannot be read now.
    """
    prediction = _predict(state, package, job, read_inputs(state.database, job), None)
    model, scores = prediction.model, prediction.scores
    return ShadowScore(
        prediction.category.value,
        scores.malignant if scores else None,
        f"{model.name} {model.version}",
        model.digest,
    )


def _doubts(prediction: Prediction) -> tuple[tuple[str, str], ...]:
    """Say what makes the result doubtful: (name, text), that of an image with its view."""
    found = [(c.name, c.message) for c in prediction.cautions if c.doubt or c.name in _REASONS]
    for image in prediction.images:
        view = view_name(image.ref)
        found += [(c.name, f"{view}: {c.message}") for c in image.cautions if c.doubt]
    return tuple(dict.fromkeys(found))


def _predict(
    state: NodeState,
    package: ModelPackage,
    job: Job,
    inputs: ExamInputs,
    fusion: Fusion | None = None,
) -> Prediction:
    began = time.monotonic()
    settings = state.settings
    options = AnalysisOptions(
        prevalence=settings.model.prevalence,
        time_limit_s=settings.jobs.time_limit_s,
        display=needs_pictures(settings.all_sinks),
        complete_views=parse_views(settings.exams.complete_views),
        fusion=fusion,
    )
    if job.last:
        exam, refused = given_up(inputs)
        return analyze_exam(exam, package, options, unreadable=refused, began=began)
    plan = _plan(state.received, inputs)
    exam, unread = load_exam(plan)
    check_digests(exam)
    unreadable = (*plan.unreadable, *unread)
    with state.database.read() as connection:
        stated = items_of(connection, job.exam_id)
    clinical = stated if stated or fusion is not None else None
    return analyze_exam(
        exam, package, options, unreadable=unreadable, began=began, clinical=clinical
    )


def _identified(state: NodeState, job: Job, prediction: Prediction) -> Prediction | None:
    """Give a prediction its identity back; ``None`` if the last attempt cannot open it either.

    A failed result under a pseudonym would reach nobody who knows the patient.
    """
    try:
        return restore_identity(state.database, state.settings.intake.deidentify, prediction)
    except StorageError as error:
        if state.settings.intake.deidentify is None:  # the settings are at fault: work waits
            error.__cause__ = OSError(errno.ENOKEY, "there is no key")
            raise
        if not job.last or own_fault(error) is not None:
            raise
        logs.event("worker", "identity_not_opened", logging.ERROR, job=job.lease.id)
        return None


def _plan(received: Store, inputs: ExamInputs) -> ExamPlan:
    """Sort the objects of an exam into readable and refused ones, in the order of reception."""
    files: list[ImageFile] = []
    unreadable: list[Unreadable] = []
    sources: list[Source] = []
    received_as = {i.digest: i for i in inputs.instances}
    kept = dict.fromkeys(i.digest for i in inputs.instances if i.role is not Role.COPY)
    for digest in kept:
        file = StoredFile(received.path(digest))
        if not file.path.is_file():
            raise lost_object(received)
        try:
            info = identify(file)
        except InputError as error:
            check_store(error)
            unreadable.append(Unreadable(file.name, type(error).__name__, str(error)))
            continue
        refusal = info.refusal
        instance = received_as[digest]
        if refusal is None and instance.role is Role.REFUSED:
            refusal = _refused_at_reception(file, instance.reason)
        source = Source(info.ref, info.header)
        sources.append(source)
        if refusal is None:
            files.append(file)
        else:
            kind = type(refusal).__name__
            unreadable.append(Unreadable(file.name, kind, str(refusal), source, info.kind))
    cautions = [*identity_cautions(sources), *cautions_of(inputs)]
    return ExamPlan(
        inputs.patient_id,
        inputs.study_instance_uid,
        tuple(files),
        tuple(cautions),
        tuple(unreadable),
    )


def _refused_at_reception(file: ImageFile, reason: str | None) -> UnsupportedImage:
    """Make the refusal of an object that only reception could see: film, or removed text."""
    if reason == FILM_NOT_READ:
        return UnsupportedImage(
            "digitised and computed radiography is not read by this node",
            source=file.name,
            keyword="SOPClassUID",
            remedy="Turn on intake.film, or send digital mammograms",
        )
    return UnsupportedImage(
        f"the object was refused at reception, before it was de-identified ({reason})",
        source=file.name,
        remedy="Send the standard views of the breast",
    )


def _describe(
    state: NodeState, package: ModelPackage, job: Job, before: Predecessor | None
) -> RunInfo:
    return replace(
        describe_run(package, state.settings.model.prevalence),
        created=job.claimed_at,
        revision=before.revision + 1 if before else 1,
        # The objects of an earlier result have the same headers, so they are not opened either.
        supersedes=tuple(_superseded(state.results, before)) if before and not job.last else (),
    )


def _superseded(results: Store, before: Predecessor) -> Iterator[tuple[str, str, str, str]]:
    for sink, digest in before.objects:
        own = describe_dicom(BytesIO(results.read(digest)), sink, None)
        series, instance = str(own.ref.series_instance_uid), str(own.ref.sop_instance_uid)
        yield sink, series, str(own.header.sop_class_uid), instance


def _make(
    sink: str, prediction: Prediction, info: RunInfo, results: Store
) -> tuple[list[ResultFile], list[str]]:
    """Let one sink make its files of an exam, and store them; if it fails, the others still run.

    Raises
    ------
    StorageError
        Our own disk is full or cannot be written; this is not a fault of the sink.
    ConfigError, ModelError
        The sink cannot be used at all.
    """
    files: list[ResultFile] = []
    refusals: list[str] = []
    left = MOST_BYTES
    try:
        for artefact in exam_artefacts(sink, prediction, info):
            content = _read(artefact, left)
            left -= len(content)
            files.append(_store(sink, artefact, content, results))
            if len(files) > MOST_FILES:
                raise ValueError(f"the sink gives more than {MOST_FILES} files of an exam")
    except InputError:
        refusals.append(f"sink_refused:{sink}")
    except (ConfigError, ModelError, StorageError):
        raise
    except Exception as error:
        fault = own_fault(error)
        if fault is not None and not _is_elsewhere(fault, results.folder):
            raise StorageError(
                f"results cannot be written ({fault.strerror})",
                source=str(results.folder),
                remedy="Make room, or let the worker write there",
            ) from error
        name = type(error).__name__
        logs.event("worker", "sink_failed", logging.ERROR, sink=sink, error=name)
        return [], [f"sink_failed:{sink}"]
    return sorted(files, key=lambda file: PurePosixPath(file.name)), refusals


def _is_elsewhere(fault: OSError, ours: Path) -> bool:
    """Whether the fault is about a file of the sink itself, on a disk that is not full."""
    if fault.errno not in OF_ONE_FILE or not isinstance(fault.filename, str):
        return False
    return not Path(fault.filename).is_relative_to(ours)


def _read(artefact: Artefact, most_bytes: int) -> bytes:
    """Read an artefact, which may be too large."""
    content = bytearray()
    for piece in artefact.pieces():
        content += piece
        if len(content) > most_bytes:
            raise ValueError(f"the sink gives more than {MOST_BYTES >> 20} MiB of an exam")
    return bytes(content)


def _store(sink: str, artefact: Artefact, content: bytes, results: Store) -> ResultFile:
    ids = artefact.dicom
    return ResultFile(
        sink,
        artefact.name,
        results.put(content),
        ids.sop_class_uid if ids else None,
        ids.sop_instance_uid if ids else None,
    )
