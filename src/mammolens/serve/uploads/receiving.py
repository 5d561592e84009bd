"""Whole uploads are received: every file in them as from any other sender, with its result kept.

It may be interrupted anywhere: what was entered is passed over, and what was received again is the
same. A file that cannot be used says why and stops nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from mammolens.errors import BadPhotograph, InputError, StorageError
from mammolens.serve import logs
from mammolens.serve.holdings import NodeState
from mammolens.serve.intake import receive, too_large
from mammolens.serve.people import Person, Refused, visible_exams
from mammolens.serve.record import (
    CONSENTS,
    EXAMS,
    PEOPLE,
    SITES,
    UPLOAD_MEMBERS,
    UPLOADS,
    UploadState,
    audit,
    from_row,
    insert_once,
)
from mammolens.serve.uploads.coming import Upload, find_upload
from mammolens.serve.uploads.consents import forget_consents
from mammolens.serve.uploads.files import list_files, open_locked, remove_file, upload_path
from mammolens.serve.uploads.members import BrokenArchive, Member, members_of, shown_name
from mammolens.serve.uploads.patients import Acceptance, acceptance
from mammolens.serve.uploads.photographs import take_photograph, unpack_facts

__all__ = ["MemberResult", "Receiver", "UploadResult", "read_result", "receive_whole", "tidy"]

ROOM: Final = "uploads"
REJECTED: Final = "rejected"
PASSED_OVER: Final = "passed_over"
POLL_S: Final = 2.0
TIDY_S: Final = 600.0
MOST_ATTEMPTS: Final = 5  # An upload that ends its process so often is given up.
ORPHAN_AGE_S: Final = 3600.0
KEPT: Final = timedelta(days=30)
"""How long the results of an upload can be asked for."""


@dataclass(frozen=True)
class MemberResult:
    """What became of one file of an upload.

    `outcome` is input, copy, rival, refused, ignored, passed_over or rejected; `reason` says why it
    was rejected. `exam_id` is its exam, if the person may know of that.
    """

    name: str
    outcome: str
    reason: str | None
    exam_id: int | None


@dataclass(frozen=True, kw_only=True)
class UploadResult(Upload):
    """What became of an upload, and of each file in it so far."""

    members: list[MemberResult]


@dataclass
class Receiver:
    """Receives uploads in a thread, once it is started; before, whoever completes one waits."""

    _wake: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, state: NodeState) -> None:
        """Begin to receive, also what an earlier process left."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=[state], name="uploads")
        self._thread.start()

    def stop(self) -> None:
        """End after the file that is being received."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self, state: NodeState) -> None:
        """Take note that an upload is whole."""
        if self._thread is None:
            receive_whole(state, self._stop)
        else:
            self._wake.set()

    def _run(self, state: NodeState) -> None:
        waited = TIDY_S
        while not self._stop.is_set():
            try:
                receive_whole(state, self._stop)
                if waited >= TIDY_S:
                    tidy(state)
                    waited = 0.0
            except StorageError as error:
                logs.event(ROOM, "away", logging.ERROR, error=type(error).__name__)
            except Exception as error:  # one upload must not end the reception of all others
                logs.event(ROOM, "not_received", logging.ERROR, error=type(error).__name__)
            self._wake.wait(POLL_S)
            self._wake.clear()
            waited += POLL_S


def read_result(state: NodeState, person: Person, upload_id: str) -> UploadResult:
    """Say what became of an upload of a person's own.

    Raises
    ------
    Refused
        There is none.
    """
    upload = find_upload(state, person, upload_id)
    asked = (
        sa.select(UPLOAD_MEMBERS, EXAMS.c.id.label("visible"))
        .select_from(UPLOAD_MEMBERS)
        .outerjoin(EXAMS, sa.and_(EXAMS.c.id == UPLOAD_MEMBERS.c.exam_id, visible_exams(person)))
        .where(UPLOAD_MEMBERS.c.upload_id == upload_id)
        .order_by(UPLOAD_MEMBERS.c.number)
    )
    with state.database.read() as connection:
        rows = connection.execute(asked).all()
    members = [from_row(MemberResult, row, exam_id=row.visible) for row in rows]
    return UploadResult(**vars(upload), members=members)


def receive_whole(state: NodeState, stop: threading.Event) -> None:
    """Receive every upload that is whole, the oldest first.

    Raises
    ------
    StorageError
        The disk is full or the database is away: it is tried again later.
    """
    whole = UPLOADS.c.state == UploadState.WHOLE.value
    with state.database.read() as connection:
        asked = sa.select(UPLOADS.c.id).where(whole).order_by(UPLOADS.c.changed_at)
        ids = list(connection.execute(asked).scalars())
    for upload_id in ids:
        if stop.is_set():
            return
        # Another process may be at it, or it was given up just now.
        with contextlib.suppress(Refused):
            _receive(state, upload_id, stop)


def _receive(state: NodeState, upload_id: str, stop: threading.Event) -> None:
    path = upload_path(state, upload_id)
    if not path.exists():
        _finish(state, upload_id, "lost")
        return
    with open_locked(path):
        with state.database.write() as connection:
            this = UPLOADS.c.id == upload_id, UPLOADS.c.state == UploadState.WHOLE.value
            begun = {"attempts": UPLOADS.c.attempts + 1}
            if not connection.execute(UPLOADS.update().where(*this).values(**begun)).rowcount:
                return
            row = connection.execute(
                sa.select(UPLOADS, PEOPLE.c.name.label("person"), SITES.c.key)
                .join(PEOPLE, PEOPLE.c.id == UPLOADS.c.person_id)
                .join(SITES, SITES.c.id == UPLOADS.c.site_id)
                .where(UPLOADS.c.id == upload_id)
            ).one()
            numbers = sa.select(UPLOAD_MEMBERS.c.number).where(
                UPLOAD_MEMBERS.c.upload_id == upload_id
            )
            done = {*connection.execute(numbers).scalars()}
        if row.attempts > MOST_ATTEMPTS:
            _finish(state, upload_id, "given_up")
            return
        sender, problem = f"person:{row.person}", None
        most = state.settings.intake.max_mb << 20
        try:
            if row.photograph is not None:
                facts = unpack_facts(row.photograph)
                take = partial(take_photograph, state, path, facts, sender, row.key)
                members: Iterable[Member] = [Member(1, shown_name(row.name))]
            else:
                take = partial(_take, state, sender, row.key, acceptance(state, row.consent_id))
                members = members_of(path, row.name, state.settings.uploads, most)
            for member in members:
                if stop.is_set():
                    return
                if member.number not in done:
                    _receive_member(state, upload_id, member, take)
        except BrokenArchive as error:
            problem = error.reason
        except StorageError:
            _not_counted(state, upload_id)
            raise
        _finish(state, upload_id, problem)


def _receive_member(
    state: NodeState,
    upload_id: str,
    member: Member,
    take: Callable[[Member], tuple[str, int | None]],
) -> None:
    """Receive one file, and enter its result.

    Raises
    ------
    BrokenArchive
        The archive is a bomb: nothing of it is looked at any more.
    """
    outcome, reason, exam_id = REJECTED, member.refusal, None
    if member.refusal == PASSED_OVER:
        outcome, reason = PASSED_OVER, None
    broken: BrokenArchive | None = None
    if member.refusal is None:
        try:
            outcome, exam_id = take(member)
        except BadPhotograph as error:
            reason = ",".join(error.faults)
        except InputError as error:
            reason = error.message
        except BrokenArchive as error:
            reason, broken = error.reason, error
    row = {
        "upload_id": upload_id,
        "number": member.number,
        "name": member.name,
        "outcome": outcome,
        "reason": reason,
        "exam_id": exam_id,
    }
    with state.database.write() as connection:
        insert_once(connection, UPLOAD_MEMBERS, row)
        if exam_id is not None:
            mine = sa.select(UPLOADS.c.consent_id).where(UPLOADS.c.id == upload_id)
            first = CONSENTS.c.id == mine.scalar_subquery(), CONSENTS.c.exam_id.is_(None)
            connection.execute(CONSENTS.update().where(*first).values(exam_id=exam_id))
    if broken is not None and broken.reason == "bomb":
        raise broken


def _take(
    state: NodeState, sender: str, site: str, accept: Acceptance | None, member: Member
) -> tuple[str, int | None]:
    draft = state.received.draft()
    try:
        for piece in member.content or ():
            draft.write(piece)
        most = state.settings.intake.max_mb << 20
        if draft.size > most:
            raise too_large(most)
        receipt = receive(state, draft, sender, site, accept)
    finally:
        draft.discard()
    return receipt.role.value, receipt.exam_id


def _finish(state: NodeState, upload_id: str, problem: str | None) -> None:
    """Enter that an upload is done, and remove its file."""
    with state.database.write() as connection:
        row = connection.execute(
            sa.select(UPLOADS, PEOPLE.c.name.label("person"))
            .join(PEOPLE, PEOPLE.c.id == UPLOADS.c.person_id)
            .where(UPLOADS.c.id == upload_id)
        ).one()
        members = UPLOAD_MEMBERS.c.upload_id == upload_id
        counted = connection.execute(
            sa.select(sa.func.count(), sa.func.count(UPLOAD_MEMBERS.c.exam_id)).where(members)
        ).one()
        values = {
            "state": UploadState.DONE.value,
            "problem": problem,
            "photograph": None,  # it names the patient, and nothing needs it any more
            "changed_at": state.database.now(connection),
        }
        connection.execute(UPLOADS.update().where(UPLOADS.c.id == upload_id).values(**values))
        detail: audit.Detail = {
            "site": row.site_id,
            "upload": upload_id[:8],
            "files": counted[0],
            "of_exams": counted[1],
            "problem": problem,
        }
        actor = f"person:{row.person}"
        audit.append(state.database, connection, actor, "upload_received", None, detail)
    remove_file(upload_path(state, upload_id))


def _not_counted(state: NodeState, upload_id: str) -> None:
    """Take an attempt back that our own disk has ended."""
    with contextlib.suppress(StorageError), state.database.write() as connection:
        fewer = {"attempts": UPLOADS.c.attempts - 1}
        connection.execute(UPLOADS.update().where(UPLOADS.c.id == upload_id).values(**fewer))


def tidy(state: NodeState) -> None:
    """Forget uploads that nobody went on with, old results, and files that no row speaks of.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    unfinished = timedelta(hours=state.settings.uploads.keep_hours)
    with state.database.write() as connection:
        now = state.database.now(connection)
        is_old = sa.or_(
            sa.and_(
                UPLOADS.c.state == UploadState.COMING.value,
                UPLOADS.c.changed_at < now - unfinished,
            ),
            sa.and_(UPLOADS.c.state == UploadState.DONE.value, UPLOADS.c.changed_at < now - KEPT),
        )
        old = list(connection.execute(sa.select(UPLOADS.c.id).where(is_old)).scalars())
        for upload_id in old:
            members = UPLOAD_MEMBERS.c.upload_id == upload_id
            connection.execute(UPLOAD_MEMBERS.delete().where(members))
            connection.execute(UPLOADS.delete().where(UPLOADS.c.id == upload_id))
        forget_consents(connection, now)
    files = list_files(state)  # before the rows: one that is begun now is not taken for an orphan
    with state.database.read() as connection:
        known = {*connection.execute(sa.select(UPLOADS.c.id)).scalars()}
    old_names = {*old}
    for path in files:
        if path.name in old_names or (path.name not in known and _is_orphan(path)):
            remove_file(path)


def _is_orphan(path: Path) -> bool:
    """Whether a file without a row is too old to be of an upload that begins now."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > ORPHAN_AGE_S
    return False
