"""A signed reading is gathered from database and store for a report: images, reader, AI, standing.

Headers and pixels are read from the store of received objects; identity that was taken off comes
back, as a report without the patient's name would reach nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import sqlalchemy as sa

from mammolens.core import Laterality, Mammogram, Source, TriageCategory, ViewPosition
from mammolens.errors import InputError
from mammolens.images import ImageFile, identify, read_image
from mammolens.readings import (
    Addition,
    AiStatement,
    Answer,
    Observer,
    SignedReading,
    disagreements,
)
from mammolens.serve.holdings import NodeState, restore_sources
from mammolens.serve.people import Person, Refusal, Refused, visible_exam
from mammolens.serve.reading.insight import list_readings, visible_reading
from mammolens.serve.reading.records import Reading, newest_result, newest_round
from mammolens.serve.reading.visibility import may_see_ai, note_ai_shown
from mammolens.serve.record import (
    INSTANCES,
    PEOPLE,
    READINGS,
    SITES,
    ReadingMode,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    Role,
    RoundState,
    audit,
)

__all__ = ["Pixels", "gather_reading"]


class Pixels(Enum):
    """Which images of an exam are decoded."""

    NONE = "none"
    MARKED = "marked"
    ALL = "all"


def gather_reading(
    state: NodeState,
    person: Person,
    reading_id: int,
    what: str,
    pixels: Pixels,
    by_link: str | None = None,
) -> SignedReading:
    """Gather a signed reading for somebody who may see it; the audit trail says for `what`.

    Parameters
    ----------
    by_link
        Actor of the audit trail where somebody else reads it by a link of the person: who made the
        link may see less today, but has not seen this.

    Raises
    ------
    Refused
        There is none that the person may see, or it is not signed.
    StorageError
        The database or the store cannot be used, or the identity cannot be opened.
    """
    database = state.database
    with database.write() as connection:
        reading = visible_reading(connection, person, reading_id)
        others = _others(list_readings(connection, person, reading.exam_id), reading)
        if reading.state is not ReadingState.SIGNED:
            raise Refused(Refusal.STAGE)
        exam = visible_exam(connection, person, reading.exam_id)
        received = _received(connection, exam.id)
        site = _site(connection, exam.site_id)
        observer = _observer(connection, reading, site)
        shows_ai = may_see_ai(connection, person, exam.id)
        ai = _ai(connection, exam) if shows_ai else None
        is_behind = _is_behind(connection, reading, exam)
        if ai is not None and by_link is None:
            note_ai_shown(database, connection, person, exam.id)
        detail: audit.Detail = {"reading": reading_id, "as": what}
        actor = by_link or person.actor
        audit.append(database, connection, actor, "report_made", exam.id, detail)
    files = [ImageFile(state.received.path(digest)) for digest in received]
    said, marked_by = _with_marks(reading, others)
    first_answer = reading.first_answer if shows_ai else None
    deidentify = state.settings.intake.deidentify
    images = tuple(sorted(restore_sources(database, deidentify, _sources(files)), key=_hung))
    answer, first = (_named_as(one, images, received) for one in (said, first_answer))
    assert answer is not None
    marked = {mark.image for mark in answer.findings}
    wanted = [
        (str(source.ref.sop_instance_uid), state.received.path(source.ref.path))
        for source in images
        if pixels is Pixels.ALL
        or (pixels is Pixels.MARKED and source.ref.sop_instance_uid in marked)
    ]
    pictures = {uid: _decoded(ImageFile(path)) for uid, path in wanted}
    role = reading.slot.value if reading.slot else ReadingRole.OPINION.value
    assert reading.signed_at is not None
    return SignedReading(
        id=reading.id,
        role=role,
        observer=observer,
        answer=answer,
        images=images,
        signed=reading.signed_at,
        first_answer=first,
        blinded=bool(reading.blinded),
        agreed=reading.agreed if shows_ai else None,
        ai_shown=shows_ai and reading.mode is not ReadingMode.TRIAGE_ONLY,
        ai=ai,
        is_behind=is_behind,
        marked_by=Observer(marked_by.person.name, "") if marked_by else None,
        marks_left_out=tuple(
            one.person.name for one in others if one.answer.findings and one is not marked_by
        ),
        banner=exam.banner or "",
        language=site.language if site else "en",
        additions=tuple(
            Addition(one.person.name, one.text, one.created_at) for one in reading.addenda
        ),
        pictures={uid: picture for uid, picture in pictures.items() if picture is not None},
    )


def _others(found: Sequence[Reading], reading: Reading) -> list[Reading]:
    """Give the other signed readings of the same round, as far as the person may see them."""
    return [
        one
        for one in found
        if one.id != reading.id
        and one.round_id is not None
        and one.round_id == reading.round_id
        and one.state is ReadingState.SIGNED
    ]


def _with_marks(reading: Reading, others: Sequence[Reading]) -> tuple[Answer, Reading | None]:
    """Give an arbiter who marked nothing the marks of the reader with whom they agree."""
    answer = reading.answer
    if reading.role is ReadingRole.ARBITER and not answer.findings:
        for other in others:
            if other.answer.findings and not disagreements(answer, other.answer):
                return answer.model_copy(update={"findings": other.answer.findings}), other
    return answer, None


def _received(connection: sa.Connection, exam_id: int) -> dict[str, str]:
    """Give the UIDs of an exam's images, as the tables have them, by the digest of their object."""
    asked = (
        sa.select(INSTANCES.c.digest, INSTANCES.c.sop_instance_uid)
        .where(INSTANCES.c.exam_id == exam_id, INSTANCES.c.role == Role.INPUT.value)
        .order_by(INSTANCES.c.id)
    )
    return {row.digest: row.sop_instance_uid for row in connection.execute(asked)}


def _named_as(
    answer: Answer | None, images: Sequence[Source], received: Mapping[str, str]
) -> Answer | None:
    """Let marks name images as their restored headers do, where the tables have pseudonyms."""
    if answer is None:
        return None
    names = {received[one.ref.path]: str(one.ref.sop_instance_uid) for one in images}
    marks = [
        mark.model_copy(update={"image": names.get(mark.image, mark.image)})
        for mark in answer.findings
    ]
    return answer.model_copy(update={"findings": marks})


def _site(connection: sa.Connection, site_id: int | None) -> sa.Row[Any] | None:
    return connection.execute(sa.select(SITES).where(SITES.c.id == site_id)).one_or_none()


def _observer(connection: sa.Connection, reading: Reading, site: sa.Row[Any] | None) -> Observer:
    account = sa.select(PEOPLE.c.name).where(PEOPLE.c.id == reading.person.id)
    name = connection.execute(account).scalar_one()
    return Observer(reading.person.name, name, site.name if site else None)


def _ai(connection: sa.Connection, exam: sa.Row[Any]) -> AiStatement | None:
    row = newest_result(connection, exam.id)
    if row is None:
        return None
    has_doubts = row.n_unreadable > 0 or "low_withheld" in row.cautions.splitlines()
    # More may have come since, of which the result knows nothing.
    has_doubts = has_doubts or bool(json.loads(exam.doubts or "[]"))
    category = TriageCategory(row.category)
    return AiStatement(category, row.model_name, row.model_version, has_doubts)


def _is_behind(connection: sa.Connection, reading: Reading, exam: sa.Row[Any]) -> bool:
    """Whether a reading is not, or no longer, an answer that stands for every image."""
    if exam.version != reading.exam_version:
        return True
    if reading.role is ReadingRole.OPINION:
        return False
    current = newest_round(connection, exam.id)
    if current is None or current.id != reading.round_id:
        return True
    decided = sa.select(READINGS.c.id).where(
        READINGS.c.round_id == current.id, READINGS.c.slot == ReadingSlot.ARBITER.value
    )
    arbiter = connection.execute(decided).scalar_one_or_none()
    return current.state != RoundState.DECIDED.value or arbiter not in (None, reading.id)


def _sources(files: Sequence[ImageFile]) -> list[Source]:
    found = []
    for file in files:
        try:
            info = identify(file)
        except InputError:
            continue  # it was read when it came; a damaged file has no place in a report
        found.append(Source(replace(info.ref, path=file.path.name), info.header))
    return found


def _hung(source: Source) -> tuple[int, int]:
    """Order images as they hang: CC above MLO above others, the right breast at the left."""
    views, sides = (ViewPosition.CC, ViewPosition.MLO), (Laterality.RIGHT, Laterality.LEFT)
    view, side = source.ref.view_position, source.ref.laterality
    row = views.index(view) if view in views else len(views)
    return row, sides.index(side) if side in sides else len(sides)


def _decoded(file: ImageFile) -> Mammogram | None:
    try:
        return read_image(file)
    except InputError:
        return None
