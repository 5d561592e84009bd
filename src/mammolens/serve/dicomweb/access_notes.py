"""The audit of what was found and read over DICOMweb: before it is given, not after.

A viewer fetches a study in hundreds of requests. The same actor reading the same kind of thing of
the same object again within a quarter of an hour is one entry.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from mammolens.serve.dicomweb.finding import FoundObject, Viewer
from mammolens.serve.dicomweb.matching import Query
from mammolens.serve.reading import note_ai_shown
from mammolens.serve.record import Database, audit

__all__ = ["AccessNotes"]

AGAIN_S: Final = 900.0
MOST_NOTED: Final = 20_000
"""Entries that are remembered; what was forgotten is entered again."""
Key = tuple[object, ...]


@dataclass
class AccessNotes:
    """Enters views in the audit trail; one for a process. Safe for threads."""

    database: Database
    clock: Callable[[], float] = time.monotonic
    _noted: OrderedDict[Key, float] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def searched(self, viewer: Viewer, query: Query, found: int) -> None:
        """Enter a search: by which attributes, not with which values, as these may be names.

        Raises
        ------
        StorageError
            The database is away: then nothing may be given.
        """
        by = ",".join(sorted(made.attribute.keyword for made in query.criteria))
        values = tuple(made.value for made in query.criteria)
        key = (viewer.actor, query.level, by, values, query.offset, query.limit)
        if self._is_noted(key):
            return
        detail: audit.Detail = {"level": query.level.value, "by": by, "found": found}
        with self.database.write() as connection:
            audit.append(self.database, connection, viewer.actor, "dicomweb_searched", None, detail)
        self._note([key])

    def retrieved(self, viewer: Viewer, what: str, found: Iterable[FoundObject]) -> None:
        """Enter that objects are given: one entry for each exam, or for the object if it is one.

        Raises
        ------
        StorageError
            The database is away: then nothing may be given.
        """
        by_exam: dict[int, list[FoundObject]] = {}
        for one in found:
            by_exam.setdefault(one.exam_id, []).append(one)
        due = {
            (viewer.actor, what, exam_id, *(one.sop_instance_uid for one in objects)): objects
            for exam_id, objects in by_exam.items()
        }
        due = {key: objects for key, objects in due.items() if not self._is_noted(key)}
        if not due:
            return
        with self.database.write() as connection:
            if viewer.person is not None:
                for objects in due.values():
                    if any(one.is_ours for one in objects):
                        note_ai_shown(self.database, connection, viewer.person, objects[0].exam_id)
            for objects in due.values():
                detail: dict[str, str | int] = {
                    "what": what,
                    "objects": len(objects),
                    "of_ai": sum(one.is_ours for one in objects),
                    "study_instance_uid": objects[0].study_instance_uid,
                }
                if len(objects) == 1:
                    detail["sop_instance_uid"] = objects[0].sop_instance_uid
                actor, exam_id = viewer.actor, objects[0].exam_id
                audit.append(
                    self.database, connection, actor, "dicomweb_retrieved", exam_id, detail
                )
        self._note(due)

    def _is_noted(self, key: Key) -> bool:
        with self._lock:
            return self.clock() - self._noted.get(key, float("-inf")) <= AGAIN_S

    def _note(self, keys: Iterable[Key]) -> None:
        """Remember what was entered, once it is."""
        with self._lock:
            for key in keys:
                self._noted.pop(key, None)
                self._noted[key] = self.clock()
            while len(self._noted) > MOST_NOTED:
                self._noted.popitem(last=False)
