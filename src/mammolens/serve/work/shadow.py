"""What a second model says of an exam: kept for a comparison, and shown to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from mammolens.serve.record import SHADOW_SCORES, Database, insert_once
from mammolens.serve.work.queue import Job

__all__ = ["ShadowScore", "enter_shadow"]


@dataclass(frozen=True)
class ShadowScore:
    """What a second model says of an exam; `malignancy` is ``None`` exactly if it failed."""

    category: str
    malignancy: float | None
    model: str
    digest: str


def enter_shadow(database: Database, job: Job, score: ShadowScore) -> None:
    """Enter the score of the version of an exam; it is entered once for each model.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.write() as connection:
        row = {
            "exam_id": job.exam_id,
            "version": job.version,
            "model": score.model[:200],
            "model_digest": score.digest,
            "category": score.category,
            "malignancy": score.malignancy,
            "created_at": database.now(connection),
        }
        insert_once(connection, SHADOW_SCORES, row)
