"""Pictures: what the viewer needs of each received object before its full pixels, made at once.

A picture is made as soon as its object is there, before and apart from the analysis, so that it
says nothing of what the AI thinks. Decoders may crash on an object: so each attempt is entered
before it begins, and the child of a worker makes it. Two attempts, then the object is listed as one
that cannot be shown. Two workers that make the same picture do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import cv2
import numpy as np
import sqlalchemy as sa

from mammolens.core import ImageQuality, quality_record
from mammolens.errors import InputError
from mammolens.images import ImageFile, identify
from mammolens.images.dicom import read_for_display
from mammolens.model import ModelPackage
from mammolens.preprocess import make_display, prepare
from mammolens.quality import assess
from mammolens.serve.holdings import NodeState, Store, exam_header
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    PICTURES,
    Database,
    ExamHeader,
    PictureState,
    enter_header,
    from_row,
)
from mammolens.serve.viewer import Found, banner_of, image_facts, pack, refused_facts
from mammolens.serve.work.stored_objects import StoredFile, check_store

__all__ = [
    "Picture",
    "PictureTask",
    "claim_pictures",
    "enter_pictures",
    "give_up_pictures",
    "make_pictures",
]

MOST_AT_ONCE: Final = 4
MOST_ATTEMPTS: Final = 2
AGAIN: Final = timedelta(minutes=5)
"""Longest time of an attempt; after it, the worker counts as dead. A film takes a second."""
PREVIEW_PX: Final = 900
"""Longest side of a preview: a pane of a 2×2 hanging on a screen of 1080 rows is half of it."""
JPEG_QUALITY: Final = 85


@dataclass(frozen=True)
class PictureTask:
    """An object whose picture must be made; `last` means that no other attempt follows."""

    instance_id: int
    exam_id: int
    digest: str
    sop_instance_uid: str
    last: bool


@dataclass(frozen=True)
class Picture:
    """What was made: the digest of the preview with its size, or ``None``; and the facts."""

    instance_id: int
    exam_id: int
    digest: str | None
    rows: int
    columns: int
    facts: bytes
    header: ExamHeader | None = None
    banner: str | None = None


def claim_pictures(database: Database) -> list[PictureTask]:
    """Take the oldest pictures that are to be made; whoever takes them has some minutes.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    waits = PICTURES.c.state == PictureState.WAITING.value
    with database.read() as connection:
        now = database.now(connection)
        due = sa.and_(waits, PICTURES.c.not_before <= now)
        if (
            connection.execute(sa.select(PICTURES.c.instance_id).where(due).limit(1)).first()
            is None
        ):
            return []
    with database.write() as connection:
        now = database.now(connection)
        due = sa.and_(waits, PICTURES.c.not_before <= now)
        asked = (
            sa.select(PICTURES, INSTANCES.c.exam_id, INSTANCES.c.digest.label("object"))
            .add_columns(INSTANCES.c.sop_instance_uid)
            .join(INSTANCES, INSTANCES.c.id == PICTURES.c.instance_id)
            .where(due)
            .order_by(PICTURES.c.not_before, PICTURES.c.instance_id)
            .limit(MOST_AT_ONCE)
            .with_for_update(skip_locked=True, of=PICTURES)
        )
        rows = connection.execute(asked).all()
        taken = {"attempts": PICTURES.c.attempts + 1, "not_before": now + AGAIN}
        ids = [row.instance_id for row in rows]
        connection.execute(PICTURES.update().where(PICTURES.c.instance_id.in_(ids)).values(**taken))
        # One that has killed its worker twice is not opened again.
        lost = [row.instance_id for row in rows if row.attempts >= MOST_ATTEMPTS]
        failed = {"state": PictureState.FAILED.value}
        connection.execute(
            PICTURES.update().where(PICTURES.c.instance_id.in_(lost)).values(**failed)
        )
    return [
        from_row(PictureTask, row, digest=row.object, last=row.attempts + 1 >= MOST_ATTEMPTS)
        for row in rows
        if row.instance_id not in lost
    ]


def make_pictures(
    state: NodeState, package: ModelPackage, tasks: Sequence[PictureTask]
) -> list[Picture]:
    """Make pictures; what cannot be shown has facts that say why.

    Raises
    ------
    StorageError
        Objects cannot be read, or previews cannot be written, just now.
    """
    return [_make(state.received, package, task) for task in tasks]


def _make(received: Store, package: ModelPackage, task: PictureTask) -> Picture:
    file = StoredFile(received.path(task.digest))
    ref, header, refusal = None, None, None
    try:
        info = identify(file)
        ref, refusal = info.ref, info.refusal
        header = exam_header(info.ref, info.header)
        facts, preview = _shown(file, package)
    except InputError as error:
        check_store(error)
        facts = refused_facts(ref, error.message) | {"sopInstanceUid": task.sop_instance_uid}
        return Picture(task.instance_id, task.exam_id, None, 0, 0, pack(facts), header)
    if refusal is not None:
        facts |= {"notAnalysed": refusal.message}
    _, encoded = cv2.imencode(".jpg", preview, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    stored = received.put(encoded.tobytes())
    rows, columns = preview.shape
    return Picture(
        task.instance_id,
        task.exam_id,
        stored.digest,
        rows,
        columns,
        pack(facts),
        header,
        facts["banner"],
    )


def _shown(
    file: ImageFile, package: ModelPackage
) -> tuple[dict[str, Any], np.ndarray[Any, np.dtype[np.uint8]]]:
    """Describe an object and draw its preview, both as the stored picture lies."""
    shown = read_for_display(file.read_bytes(), file.name)
    mammogram = shown.mammogram
    quality: dict[str, Any] = {}
    try:
        config = package.card.for_breasts()
        view = prepare(mammogram, config)
        quality = {"quality": _judged(assess(mammogram, view, config))}
        found = Found(view.photometric, view.geometry, view.padding)
        drawn = replace(mammogram, voi=view.voi, other_voi=(), padding=view.padding)
        preview = make_display(drawn, view.photometric, PREVIEW_PX).pixels
    except InputError:  # no breast was found: what is stored is shown as it is
        found = None
        preview = make_display(mammogram, mammogram.photometric, PREVIEW_PX).pixels
    return image_facts(shown, found) | {"banner": banner_of(shown.dataset)} | quality, preview


def _judged(quality: ImageQuality) -> dict[str, Any]:
    """The verdict as it is kept beside a preview; no score is part of it."""
    return {
        "criteria": quality_record(quality.criteria),
        "linePx": quality.nipple_line_px,
        "lineMm": quality.nipple_line_mm,
    }


def enter_pictures(database: Database, received: Store, pictures: Sequence[Picture]) -> None:
    """Enter what was made; an object that was deleted meanwhile is passed over.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.write() as connection:
        for picture in pictures:
            state = PictureState.MADE if picture.digest else PictureState.FAILED
            made = {
                "state": state.value,
                "digest": picture.digest,
                "rows": picture.rows,
                "columns": picture.columns,
                "facts": picture.facts,
            }
            this = PICTURES.c.instance_id == picture.instance_id
            connection.execute(PICTURES.update().where(this).values(**made))
            if picture.digest:
                received.require(picture.digest)
            _describe(connection, picture)
            if picture.banner is not None:
                of_exam = EXAMS.c.id == picture.exam_id
                connection.execute(EXAMS.update().where(of_exam).values(banner=picture.banner))


def _describe(connection: sa.Connection, picture: Picture) -> None:
    """Describe an exam that was received before there was a worklist."""
    asked = sa.select(EXAMS).where(EXAMS.c.id == picture.exam_id, EXAMS.c.search_text.is_(None))
    exam = connection.execute(asked).one_or_none()
    if exam is not None and picture.header is not None:
        enter_header(connection, exam, picture.header)


def give_up_pictures(database: Database, tasks: Sequence[PictureTask]) -> None:
    """Let pictures whose attempt failed be made again at once, or not at all after the last one."""
    with database.write() as connection:
        for task in tasks:
            state = PictureState.FAILED if task.last else PictureState.WAITING
            values = {"state": state.value, "not_before": database.now(connection)}
            this = PICTURES.c.instance_id == task.instance_id
            waits = PICTURES.c.state == PictureState.WAITING.value
            connection.execute(PICTURES.update().where(this, waits).values(**values))
