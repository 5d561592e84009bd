"""Analyse an archive: plan it, analyse the shards that are not done, and count all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mammolens import __version__
from mammolens.analysis import AnalysisOptions, analyze_plan
from mammolens.errors import ConfigError, IncompleteExam, JobUnfinished
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.run import check_paths
from mammolens.scale.cluster import Cluster, open_cluster
from mammolens.scale.job import Job, describe_job, open_job
from mammolens.scale.parts import Analyse, Counts, Work, analyze_shard, part_path, read_counts
from mammolens.scale.plan import SHARD_STUDIES, Mark, Plan, Shard, mark_files, open_plan
from mammolens.status import EXIT_INCOMPLETE, EXIT_OK

__all__ = ["ArchiveSummary", "analyze_archive"]

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class ArchiveSummary:
    """The rows of a finished job, its shards, and how many of them were analysed by this run."""

    counts: Counts
    shards: int
    analysed: int
    folder: Path

    @property
    def exit_code(self) -> int:
        """0 if every input was analysed, else 3."""
        lacking = self.counts.failed or self.counts.inputs or self.counts.unread
        return EXIT_INCOMPLETE if lacking else EXIT_OK


def analyze_archive(
    paths: Sequence[Path],
    out: Path,
    model: str | Path | None,
    options: AnalysisOptions,
    cluster: str,
    tls: Path | None = None,
    on_progress: Progress = lambda *_: None,
    analyse: Analyse = analyze_plan,
) -> ArchiveSummary:
    """Analyse all exams under `paths` with a cluster, or continue to do so.

    Parameters
    ----------
    out
        Folder for the results, which all workers can write to under this path.
    cluster, tls
        As for `open_cluster`.
    on_progress
        Called with (files found, None), then with (studies done, all studies).
    analyse
        The analysis of one exam.

    Raises
    ------
    ConfigError
        The folder is in use or has results of another model or other options, or a setting is
        wrong.
    JobUnfinished
        The scheduler was lost, or shards killed their workers. The same call continues the job.
    MissingInput, IncompleteExam
        A path does not exist, planned files are gone, or there is no file that could be an image.
    StorageError
        A file cannot be written, or a written one is damaged.
    """
    check_paths(paths)
    source = model or DEFAULT_MODEL
    named = str(Path(source).resolve()) if Path(source).exists() else str(source)
    package = ModelPackage.load(source, threads=1)
    package.card.for_breasts()
    full = [str(path.resolve()) for path in paths]
    out = out.resolve()
    _refuse_inside(out, full)
    with open_job(out, describe_job(package.model_id, options, full)) as job:
        if job.closed:
            return _finished(job)
        digest = package.model_id.digest
        work = Work(job.exams, named, digest, __version__, options, job.key, analyse)
        del package  # The workers load it themselves; here it would only take memory.
        with open_plan(job.plan) as plan, open_cluster(cluster, tls) as workers:

            def read(tasks: Iterator[tuple[Mark, ...]]) -> Iterator[list[Mark]]:
                return workers.run(mark_files, tasks, job.key, name=lambda m: m[0].file.name)

            plan.update(map(Path, full), read, on_progress)
            studies = plan.count_studies()
            if not studies:
                raise IncompleteExam(
                    "there is no image, so nothing was analysed",
                    source=", ".join(full),
                    remedy="Give folders or zip archives with mammograms",
                )
            if job.shards is None:
                job.shards = -(-studies // SHARD_STUDIES)  # Rounded up; kept when it continues.
            summary = _analyse_shards(plan, job, work, workers, studies, on_progress)
        job.close()
        return summary


def _refuse_inside(out: Path, paths: Sequence[str]) -> None:
    inside = next((path for path in paths if out.is_relative_to(path)), None)
    if inside is not None:
        raise ConfigError(
            "the folder for the results is inside the archive",
            source=str(out),
            keyword="--out",
            remedy=f"Give a folder outside {inside}",
        )


def _analyse_shards(
    plan: Plan, job: Job, work: Work, workers: Cluster, studies: int, on_progress: Progress
) -> ArchiveSummary:
    """Analyse the shards without a file, delete files of shards that are no longer planned."""
    assert job.shards is not None
    if workers.killers:  # Files killed workers while the plan was made.
        raise _killed(workers.killers)
    total, analysed = Counts(), 0
    kept: set[str] = set()
    on_progress(0, studies)

    def missing() -> Iterator[Shard]:
        for shard in plan.shards(job.shards or 1):
            kept.add(shard.name)
            path = part_path(job.exams, shard.name)
            if path.exists():
                count(read_counts(path))
            else:
                yield shard

    def count(found: Counts) -> None:
        nonlocal total
        total += found
        on_progress(total.exams + total.inputs, studies)

    for found in workers.run(analyze_shard, missing(), work, name=lambda shard: shard.name):
        analysed += 1
        count(found)
    if workers.killers:
        raise _killed(workers.killers)
    for path in job.exams.glob("*/*.parquet"):
        if path.stem not in kept:
            path.unlink()
            with suppress(OSError):
                path.parent.rmdir()
    return ArchiveSummary(total, len(kept), analysed, job.exams)


def _killed(names: Sequence[str]) -> JobUnfinished:
    return JobUnfinished(
        f"{len(names)} parts of the work killed every worker that tried them, first {names[0]};"
        " all others are done",
        remedy="Give the workers more memory, or take the damaged files out; then run this again",
    )


def _finished(job: Job) -> ArchiveSummary:
    """Count the rows of a job that is finished."""
    counts, shards = Counts(), 0
    for path in job.exams.glob("*/*.parquet"):
        counts, shards = counts + read_counts(path), shards + 1
    return ArchiveSummary(counts, shards, 0, job.exams)
