"""Analyse one shard of an archive in a worker, and write its rows as one Parquet file.

There is one row for each exam, and one for each input without an exam.

The columns of an exam are those of ``worklist.csv`` without its position. Their types and the
version of the schema are in every file, so that files of two versions cannot be mixed unseen.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mammolens import DISCLAIMER, __version__
from mammolens.analysis import AnalysisOptions, analyze_plan
from mammolens.analysis.pseudonyms import pseudonymise
from mammolens.core import Caution, Prediction, TriageCategory, Unreadable
from mammolens.errors import ContractMismatch, StorageError
from mammolens.exams import ExamPlan, plan_exams
from mammolens.files import storage, whole_file
from mammolens.model import ModelPackage
from mammolens.run import describe_run
from mammolens.scale.plan import Shard
from mammolens.sinks.worklist_csv import COLUMNS, exam_cells

if TYPE_CHECKING:
    import pyarrow

    from mammolens.sinks import RunInfo

__all__ = [
    "SCHEMA_VERSION",
    "Analyse",
    "Counts",
    "Work",
    "analyze_shard",
    "part_path",
    "read_counts",
]

SCHEMA_VERSION: Final = "1"
_WHOLE: Final = frozenset({"n_images", "n_findings", "n_unreadable"})
_REAL: Final = frozenset(
    {
        *("malignancy", "malignancy_images", "malignancy_right", "malignancy_left", "tumour"),
        *("elapsed_s", "prevalence", "risk"),
    }
)
_FACTS: Final = b"mammolens"
Analyse = Callable[[ExamPlan, ModelPackage, AnalysisOptions], Prediction]
_BLOCK: Final = 1000
"""Shards in one folder, so that no folder has too many files to list."""


@dataclass(frozen=True)
class Counts:
    """How many rows a part has: exams, failed ones among them, and inputs without an exam.

    `unread` are the files of all exams that were not analysed.
    """

    exams: int = 0
    failed: int = 0
    inputs: int = 0
    unread: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.exams + other.exams,
            self.failed + other.failed,
            self.inputs + other.inputs,
            self.unread + other.unread,
        )

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Counts:
        """Count rows."""
        exams = [row for row in rows if row["kind"] == "exam"]
        return cls(
            len(exams),
            sum(row["category"] == "failed" for row in exams),
            sum(row["kind"] == "input" for row in rows),
            sum(len(row["failures"]) for row in exams),
        )


def exam_row(prediction: Prediction, run: RunInfo) -> dict[str, Any]:
    """Give the row of an exam: the cells of the worklist, the refused files, and all digests."""
    failures = [_failure(item) for item in prediction.unreadable]
    if prediction.scores is None and not failures:
        words = "; ".join(caution.message for caution in prediction.cautions)
        failures = [{"path": "", "error": "ExamFailed", "message": words}]
    digests = [
        {"path": image.ref.path, "sha256": image.ref.digest or ""} for image in prediction.images
    ]
    typed = _WHOLE | _REAL
    cells = exam_cells(prediction, run).items()
    return {
        "kind": "exam",
        **{name: v if name in typed or v is None else str(v) for name, v in cells},
        "failures": failures,
        "images": digests,
        "model_sha256": prediction.model.digest,
    }


def input_row(item: Unreadable, run: RunInfo) -> dict[str, Any]:
    """Give the row of an input that belongs to no exam; it has no category."""
    return {
        "kind": "input",
        "failures": [_failure(item)],
        "images": [],
        "model_sha256": run.model.digest,
        "model": f"{run.model.name} {run.model.version}",
        "notice": DISCLAIMER,
    }


def write_part(path: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> Counts:
    """Write the rows of a shard as one file, completely or not at all.

    Raises
    ------
    StorageError
        The file cannot be written, for example on a full disk.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts = Counts.of(rows)
    known = {"schema": SCHEMA_VERSION, "counts": asdict(counts), "notice": DISCLAIMER, **facts}
    schema = _schema().with_metadata({_FACTS: json.dumps(known).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema), sink, compression="zstd")
    with storage(path, "the results of a shard"):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = f"{os.getpid()}-{secrets.token_hex(4)}"
        with whole_file(path, writer) as stream:
            stream.write(memoryview(sink.getvalue()))
    return counts


def read_counts(path: Path) -> Counts:
    """Read how many rows a part has.

    Raises
    ------
    StorageError
        The file is damaged, or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(path)
        facts = json.loads(found.metadata[_FACTS])
        if facts["schema"] != SCHEMA_VERSION:
            raise ValueError(f"it has version {facts['schema']}, and {SCHEMA_VERSION} is read")
        counts = Counts(**facts["counts"])
        if found.num_rows != counts.exams + counts.inputs:
            raise ValueError(f"it has {found.num_rows} rows, and its counts say otherwise")
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"the results of this shard cannot be read: {error}",
            source=str(path),
            remedy="Delete this file, and run the same command again; it is then analysed again",
        ) from error
    return counts


def _failure(item: Unreadable) -> dict[str, str]:
    return {"path": item.path, "error": item.error, "message": item.message}


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    text = pa.string()
    kinds = dict.fromkeys(_WHOLE, pa.int32()) | dict.fromkeys(_REAL, pa.float64())
    failures = pa.list_(pa.struct([(name, text) for name in ("path", "error", "message")]))
    images = pa.list_(pa.struct([("path", text), ("sha256", text)]))
    return pa.schema(
        [
            ("kind", text),
            *((name, kinds.get(name, text)) for name in list(COLUMNS)[1:]),
            ("failures", failures),
            ("images", images),
            ("model_sha256", text),
        ]
    )


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
