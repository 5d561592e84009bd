"""Fill the table of DICOM headers, which answers DICOMweb queries without reading the objects.

An object is read when a query first needs it, and not again as long as its row is there. A fault
of the disk leaves an object out until it can be read; an object whose header is damaged gets a row
with what the database knows of it.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import sqlalchemy as sa

from mammolens.errors import InputError, StorageError
from mammolens.images.dicom import (
    WholeHeader,
    can_decode,
    frame_form,
    plain_copy,
    read_whole_header,
)
from mammolens.serve import logs
from mammolens.serve.dicomweb.attributes import kept_tags
from mammolens.serve.dicomweb.json_model import Attributes, header_json
from mammolens.serve.holdings import SOURCE, NodeState
from mammolens.serve.record import FILES, HEADERS, INSTANCES, RESULTS, Role, insert_once

__all__ = ["SERVED_ROLES", "HeaderIndex", "NotReadyYet", "open_plain"]

ROOM: Final = "dicomweb"
SERVED_ROLES: Final = (Role.INPUT.value, Role.REFUSED.value)
"""Copies and rivals (see `Role`) have the SOP Instance UID of another object, which is served."""
BATCH: Final = 100
PATIENCE_S: Final = 20.0
"""A request waits so long for the table, then ends with `NotReadyYet`; the next one goes on."""
MOST_VALUE_CHARS: Final = 2048
"""All values of one attribute; a longer one is left out."""
UNREAD_S: Final = 60.0
"""An object that could not be read is tried again after this time."""
MOST_UNREAD: Final = 100
_UNKNOWN_SYNTAX: Final = ""


class NotReadyYet(Exception):
    """The table is being filled; ask again."""


@dataclass
class HeaderIndex:
    """Fills the table; one for a process. Safe for threads."""

    state: NodeState
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _unread: dict[str, set[int]] = field(default_factory=dict)
    _unread_since: float = 0.0

    def fill(self, exam_ids: Sequence[int] | None = None) -> None:
        """Read the objects that have no row yet: those of some exams, or all.

        Raises
        ------
        NotReadyYet
            There are more than can be read while somebody waits.
        StorageError
            The database is away.
        """
        if not self._missing(exam_ids, 1):
            return
        until = time.monotonic() + PATIENCE_S
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise NotReadyYet
        try:
            while missing := self._missing(exam_ids, BATCH):
                if time.monotonic() > until:
                    raise NotReadyYet
                self._enter([row for item in missing if (row := self._row(item)) is not None])
        finally:
            self._lock.release()

    def _missing(self, exam_ids: Sequence[int] | None, most: int) -> list[sa.Row[Any]]:
        if time.monotonic() - self._unread_since > UNREAD_S:
            self._unread.clear()
        unread = {kind: sorted(ids) for kind, ids in self._unread.items()}
        if sum(map(len, unread.values())) > MOST_UNREAD:
            raise StorageError("received objects cannot be read", remedy="Check the data folder")
        asked = [_unlisted_instances(exam_ids, unread.get("instance_id", []))]
        if self.state.results.seal is None:
            # A node with a seal pseudonymises objects; its results name the patient: not served.
            asked.append(_unlisted_files(exam_ids, unread.get("file_id", [])))
        with self.state.database.read() as connection:
            found = [row for one in asked for row in connection.execute(one.limit(most))]
        return found[:most]

    def _row(self, item: sa.Row[Any]) -> dict[str, Any] | None:
        store = self.state.received if item.kind == "instance_id" else self.state.results
        known = {
            item.kind: item.id,
            "exam_id": item.exam_id,
            "sop_instance_uid": item.sop_instance_uid,
            "sop_class_uid": item.sop_class_uid or "",
        }
        try:
            stream = store.open(item.digest)
            with open_plain(self.state, stream) as plain:
                return known | _described(read_whole_header(plain, SOURCE), item)
        except InputError:
            series = item.series_instance_uid or ""
            return known | {
                "series_instance_uid": series,
                "transfer_syntax_uid": _UNKNOWN_SYNTAX,
                "frames": 0,
                "can_decode": False,
                "attributes": "{}",
            }
        except (StorageError, OSError):
            logs.event(ROOM, "object_unread", logging.ERROR, digest=item.digest)
            self._unread_since = time.monotonic()
            self._unread.setdefault(item.kind, set()).add(item.id)
            return None

    def _enter(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        with self.state.database.write() as connection:
            for row in rows:
                try:
                    with connection.begin_nested():
                        insert_once(connection, HEADERS, row)
                except sa.exc.IntegrityError:
                    continue  # the object was deleted meanwhile


def open_plain(state: NodeState, stream: BinaryIO) -> BinaryIO:
    """Give a stream in which every byte can be reached; a deflated object is inflated on the disk.

    Raises
    ------
    InputError
        It is damaged, or larger than is read.
    """

    def make_file() -> BinaryIO:
        folder = state.received.drafts or state.received.folder / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)

    try:
        most = state.settings.intake.max_mb << 20
        plain = plain_copy(stream, SOURCE, make_file, most)
    except BaseException:
        stream.close()
        raise
    plain.seek(0)
    return plain


def _described(header: WholeHeader, item: sa.Row[Any]) -> dict[str, Any]:
    found = header_json(header, None)
    kept = {
        tag: value
        for tag, value in found.items()
        if tag in kept_tags() and len(json.dumps(value)) <= MOST_VALUE_CHARS
    }
    series = item.series_instance_uid or _text(kept, "0020000E")
    frames, can_decode = _frames(header)
    return {
        "series_instance_uid": series[:64],
        "transfer_syntax_uid": (header.declared or header.syntax)[:64],
        "modality": _text(kept, "00080060")[:16] or None,
        "study_date": _text(kept, "00080020")[:8] or None,
        "frames": frames,
        "can_decode": can_decode,
        "attributes": json.dumps(kept),
    }


def _frames(header: WholeHeader) -> tuple[int, bool]:
    """Give the number of frames, and whether they can be decoded to stored values."""
    if header.pixels is None or header.pixels.tag != 0x7FE00010:
        return 0, True
    try:
        form = frame_form(header.dataset, SOURCE)
    except InputError:
        return 0, False
    return form.frames, can_decode(header, form)


def _text(found: Attributes, tag: str) -> str:
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0] or "")


def _unlisted_instances(exam_ids: Sequence[int] | None, unread: Sequence[int]) -> sa.Select[Any]:
    listed = sa.select(HEADERS.c.id).where(HEADERS.c.instance_id == INSTANCES.c.id)
    asked = sa.select(
        sa.literal("instance_id").label("kind"),
        INSTANCES.c.id,
        INSTANCES.c.exam_id,
        INSTANCES.c.digest,
        INSTANCES.c.sop_instance_uid,
        INSTANCES.c.sop_class_uid,
        INSTANCES.c.series_instance_uid,
    ).where(INSTANCES.c.role.in_(SERVED_ROLES), INSTANCES.c.id.not_in(unread), ~listed.exists())
    if exam_ids is not None:
        asked = asked.where(INSTANCES.c.exam_id.in_(exam_ids))
    return asked.order_by(INSTANCES.c.id)


def _unlisted_files(exam_ids: Sequence[int] | None, unread: Sequence[int]) -> sa.Select[Any]:
    listed = sa.select(HEADERS.c.id).where(HEADERS.c.file_id == FILES.c.id)
    asked = (
        sa.select(
            sa.literal("file_id").label("kind"),
            FILES.c.id,
            RESULTS.c.exam_id,
            FILES.c.digest,
            FILES.c.sop_instance_uid,
            FILES.c.sop_class_uid,
            sa.literal("").label("series_instance_uid"),
        )
        .join(RESULTS, RESULTS.c.id == FILES.c.result_id)
        .where(FILES.c.sop_instance_uid.is_not(None), FILES.c.id.not_in(unread), ~listed.exists())
    )
    if exam_ids is not None:
        asked = asked.where(RESULTS.c.exam_id.in_(exam_ids))
    return asked.order_by(FILES.c.id)
