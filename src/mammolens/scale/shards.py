"""The work of one worker: analyse the exams of a shard, and write their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from mammolens import __version__
from mammolens.analysis import AnalysisOptions, analyze_plan
from mammolens.analysis.pseudonyms import pseudonymise
from mammolens.core import Caution, Prediction, TriageCategory
from mammolens.errors import ContractMismatch
from mammolens.exams import ExamPlan, plan_exams
from mammolens.model import ModelPackage
from mammolens.run import describe_run
from mammolens.scale.parts import Counts, exam_row, input_row, read_counts, write_part
from mammolens.scale.plan import Shard

__all__ = ["Analyse", "Work", "analyze_shard", "part_path"]

Analyse = Callable[[ExamPlan, ModelPackage, AnalysisOptions], Prediction]

_BLOCK: Final = 1000
"""Shards in one folder, so that no folder has too many files to list."""


@dataclass(frozen=True)
class Work:
    """What is the same for all shards of a job.

    `model` is a name or path that every worker can open, and `digest` the SHA-256 of its graph.
    """

    folder: Path
    model: str
    digest: str
    version: str
    options: AnalysisOptions
    key: bytes
    analyse: Analyse = analyze_plan


def part_path(folder: Path, name: str) -> Path:
    """Give the file of a shard."""
    return folder / f"block={int(name.partition('-')[0]) // _BLOCK:04d}" / f"{name}.parquet"


def analyze_shard(shard: Shard, work: Work) -> Counts:
    """Analyse the exams of a shard and write its file; nothing if the file exists already.

    An exam with an unexpected error becomes a failed exam with the reason, so that one exam cannot
    stop an archive.

    Raises
    ------
    ModelError
        The worker's model or its version of mammolens is not that of the job.
    StorageError
        The file cannot be written.
    """
    path = part_path(work.folder, shard.name)
    if path.exists():
        return read_counts(path)
    package = _model(work)
    run = describe_run(package, work.options.prevalence)
    plans, unplaced = plan_exams(shard.files, shard.elsewhere)
    rows = [input_row(item, run) for item in (*shard.refused, *unplaced)]
    for plan in plans:
        prediction = _analysed(plan, package, work)
        if work.options.pseudonymise:
            prediction = pseudonymise(prediction, work.key)
        rows.append(exam_row(prediction, run))
    return write_part(path, rows, {"shard": shard.name, "model_sha256": work.digest})


def _analysed(plan: ExamPlan, package: ModelPackage, work: Work) -> Prediction:
    try:
        return work.analyse(plan, package, work.options)
    except Exception as error:  # it is written into the row of the exam
        words = f"nothing could be analysed: unexpected {type(error).__name__}: {error}"
        return Prediction(
            patient_id=plan.patient_id,
            study_instance_uid=plan.study_instance_uid,
            category=TriageCategory.FAILED,
            scores=None,
            breasts=(),
            images=(),
            unreadable=plan.unreadable,
            cautions=(*plan.cautions, Caution("exam_failed", words)),
            model=package.model_id,
            prevalence=work.options.prevalence or package.card.prior_malignant,
            elapsed_s=0.0,
        )


def _model(work: Work) -> ModelPackage:
    if work.version != __version__:
        raise ContractMismatch(
            f"a worker has mammolens {__version__}, and the job is of {work.version}",
            remedy="Install the same version on all workers",
        )
    package = _loaded(work.model)
    if package.model_id.digest != work.digest:
        raise ContractMismatch(
            "a worker has another model under this name than the job",
            source=work.model,
            remedy="Give a path that is the same package on all workers",
        )
    return package


@lru_cache(maxsize=1)
def _loaded(model: str) -> ModelPackage:
    """Load the model once in a process, for one thread."""
    import cv2

    cv2.setNumThreads(1)
    return ModelPackage.load(model, threads=1)
