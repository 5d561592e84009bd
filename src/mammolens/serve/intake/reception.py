"""Reception: an object is on the disk and in the database before its sender gets a success.

Nothing is analysed here. An object that is sent again is accepted and changes nothing. An exam is
one study of one *identity* (patient ID, name, birth date). If the images of a study name two
patients, each identity becomes its own exam, and the results of both have a caution. Two patients
are never mixed in one result. If a patient's name was corrected between two views, there are two
results with fewer views each, and the caution tells the reader why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import sqlalchemy as sa

from mammolens.errors import InputError, UnsupportedImage
from mammolens.serve.holdings import (
    SOURCE,
    Draft,
    NodeState,
    ReceivedObject,
    Store,
    describe_object,
    hide,
)
from mammolens.serve.intake.duplicates import show_the_same
from mammolens.serve.intake.exam_changes import show_exam, touch_exam, touch_siblings
from mammolens.serve.record import (
    EXAMS,
    FILES,
    IDENTITIES,
    INSTANCES,
    Database,
    Role,
    audit,
    ensure_site,
    insert_once,
)
from mammolens.serve.settings import IntakeSettings

__all__ = ["Receipt", "receive", "too_large"]


@dataclass(frozen=True)
class Receipt:
    """How a received object was entered; it is durable now.

    `repeated`: the same bytes were received before, and nothing changed. `exam_id` is ``None`` if
    the object belongs to no exam.
    """

    instance_id: int
    digest: str
    role: Role
    repeated: bool
    exam_id: int | None


def receive(
    state: NodeState,
    content: bytes | Draft,
    sender: str,
    site: str | None = None,
    accept: Callable[[ReceivedObject], object] | None = None,
) -> Receipt:
    """Store one DICOM object and enter it in the database; both are durable before this returns.

    Parameters
    ----------
    content
        A DICOM file, or a draft of `state.received`; a draft is used up.
    sender
        The sender as the audit trail names it: ``dimse:AETITLE``, ``web:USER``.
    site
        Key of the site; ``None``: the one that the settings give to the sender. An exam keeps the
        site of its first object.
    accept
        Called with the description of the object, before it is de-identified and stored. It raises
        an `InputError` if the object must not be received.

    Raises
    ------
    InputError
        It is not a DICOM object, lacks an identifier, is too large, or is not accepted: it is not
        stored.
    StorageError
        The disk is full or the database is away: the sender must send it again.
    """
    database, intake = state.database, state.settings.intake
    try:
        found = _describe(database, content, intake)
        if accept is not None:
            accept(found)
        if intake.deidentify is not None:
            data = content if isinstance(content, bytes) else content.take()
            content, found = hide(database, data, found, intake)
            del data
    except InputError as error:
        detail = {"error": type(error).__name__, "keyword": error.keyword}
        audit.note_refusal(database, sender, "rejected", detail)
        raise
    if found.role is Role.IGNORED:
        return _note(database, found, sender)
    state.received.put(content)
    del content
    site = site or state.settings.sites.get(sender)
    while True:
        with database.read() as connection:
            first = _first_digest(connection, found)
        role = _role(state.received, found, first)
        receipt = _enter(state, found, role, first, sender, site)
        if receipt is not None:
            return receipt


def _describe(database: Database, data: bytes | Draft, intake: IntakeSettings) -> ReceivedObject:
    most = intake.max_mb << 20
    if isinstance(data, bytes):
        if len(data) > most:
            raise too_large(most)
        stream: BinaryIO = BytesIO(data)
        digest, size = hashlib.sha256(data).hexdigest(), len(data)
    else:
        stream, digest, size = data.open(), data.digest, data.size
    with stream:
        own = partial(_is_own, database)
        return describe_object(stream, digest, size, intake.film, own, most)


def too_large(max_bytes: int) -> UnsupportedImage:
    """Make the error for an object that is larger than the settings allow."""
    return UnsupportedImage(
        f"the object is larger than {max_bytes >> 20} MiB",
        source=SOURCE,
        remedy="Send single 2D images, or raise intake.max_mb",
    )


def _is_own(database: Database, sop_instance_uid: str) -> bool:
    with database.read() as connection:
        own = sa.select(FILES.c.id).where(FILES.c.sop_instance_uid == sop_instance_uid)
        return connection.execute(own.limit(1)).first() is not None


def _note(database: Database, found: ReceivedObject, sender: str) -> Receipt:
    """Enter an object that is not stored."""
    with database.write() as connection:
        row, new = _insert(database, connection, found, found.role, sender, None, None)
        action = "ignored" if new else "ignored_again"
        audit.append(database, connection, sender, action, None, _detail(found, found.role))
    return Receipt(row.id, found.digest, found.role, not new, None)


def _first_digest(connection: sa.Connection, found: ReceivedObject) -> str | None:
    """Give the digest of the first object of its exam that had this SOP instance UID."""
    digest = connection.execute(
        sa.select(INSTANCES.c.digest)
        .join(EXAMS, EXAMS.c.id == INSTANCES.c.exam_id)
        .where(
            EXAMS.c.study_instance_uid == found.ref.study_instance_uid,
            EXAMS.c.identity == found.identity,
            INSTANCES.c.sop_instance_uid == found.sop_instance_uid,
            INSTANCES.c.role == found.role.value,
        )
        .order_by(INSTANCES.c.id)
        .limit(1)
    ).scalar_one_or_none()
    return None if digest is None else str(digest)


def _role(store: Store, found: ReceivedObject, first: str | None) -> Role:
    """Find the role of an object; if another object has its UID, their pixels are compared.

    Raises
    ------
    StorageError
        One of the two cannot be read now.
    """
    if first is None or first == found.digest:
        return found.role
    if found.role is Role.REFUSED:
        return Role.COPY
    return Role.COPY if show_the_same(store, first, found.digest) else Role.RIVAL


def _enter(
    state: NodeState,
    found: ReceivedObject,
    role: Role,
    first: str | None,
    sender: str,
    site: str | None,
) -> Receipt | None:
    """Enter a stored object; ``None`` if another was entered meanwhile and `role` may change."""
    database = state.database
    with database.write() as connection:
        site_id = ensure_site(database, connection, site) if site else None
        exam, is_new = _lock_exam(database, connection, found, site_id)
        if _first_digest(connection, found) != first:
            return None
        # A refused object alone still makes an exam, which then fails.
        counts = exam.version == 0 or (role is not Role.COPY and found.changes_result)
        version = exam.version + counts
        # Under earlier settings, it may have been entered as ignored: that row is replaced.
        connection.execute(
            INSTANCES.delete().where(_same(found), INSTANCES.c.role == Role.IGNORED.value)
        )
        row, new = _insert(database, connection, found, role, sender, exam.id, version)
        if found.sealed is not None:
            kept = {"digest": found.digest, "sealed": found.sealed}
            insert_once(connection, IDENTITIES, kept)
        state.received.require(found.digest)
        if not new:
            detail = _detail(found, Role(row.role))
            audit.append(database, connection, sender, "repeated", row.exam_id, detail)
            return Receipt(row.id, found.digest, Role(row.role), True, row.exam_id)
        if role is not Role.COPY:
            touch_exam(database, connection, exam.id, version)
            show_exam(database, connection, exam, row.id, role, found)
        siblings = touch_siblings(database, connection, found, exam.id) if is_new else []
        detail = _detail(found, role)
        if exam.site_id != site_id:  # the exam keeps its site; a person may have to move it
            detail["sent_by_site"] = site
        audit.append(database, connection, sender, role.value, exam.id, detail)
        for sibling in siblings:
            audit.append(database, connection, sender, "second_identity", sibling)
    return Receipt(row.id, found.digest, role, False, exam.id)


def _lock_exam(
    database: Database, connection: sa.Connection, found: ReceivedObject, site_id: int | None
) -> tuple[sa.Row[Any], bool]:
    now = database.now(connection)
    key = {
        "study_instance_uid": found.ref.study_instance_uid,
        "identity": found.identity,
    }
    is_new = insert_once(
        connection,
        EXAMS,
        {
            **key,
            "patient_id": (found.ref.patient_id or "")[:64] or None,
            "accession_number": (found.header.accession_number or "")[:64] or None,
            "first_received_at": now,
            "last_received_at": now,
            "version": 0,
            "queued_version": 0,
            "four_views": False,
            "site_id": site_id,
        },
    )
    row = connection.execute(
        sa.select(EXAMS)
        .where(*(EXAMS.c[column] == value for column, value in key.items()))
        .with_for_update(key_share=True)
    ).one()
    return row, is_new


def _insert(
    database: Database,
    connection: sa.Connection,
    found: ReceivedObject,
    role: Role,
    sender: str,
    exam_id: int | None,
    version: int | None,
) -> tuple[sa.Row[Any], bool]:
    """Enter an object unless it is there; give its row, and whether it is new."""
    is_new = insert_once(
        connection,
        INSTANCES,
        {
            "sop_instance_uid": found.sop_instance_uid,
            "sop_class_uid": found.header.sop_class_uid,
            "series_instance_uid": (found.ref.series_instance_uid or "")[:64] or None,
            "digest": found.digest,
            "size": found.size,
            "role": role.value,
            "reason": found.reason,
            "view": found.view,
            "exam_id": exam_id,
            "exam_version": version,
            "sender": sender[:128],
            "received_at": database.now(connection),
        },
    )
    return connection.execute(sa.select(INSTANCES).where(_same(found))).one(), is_new


def _same(found: ReceivedObject) -> sa.ColumnElement[bool]:
    return sa.and_(
        INSTANCES.c.sop_instance_uid == found.sop_instance_uid,
        INSTANCES.c.digest == found.digest,
    )


def _detail(found: ReceivedObject, role: Role) -> dict[str, str | int | None]:
    return {
        "digest": found.digest,
        "reason": found.reason,
        "role": role.value,
        "size": found.size,
        "sop_class_uid": found.header.sop_class_uid,
        "sop_instance_uid": found.sop_instance_uid,
        "study_instance_uid": found.ref.study_instance_uid,
    }
