"""A signed reading with all that a report of it needs: whose it is, of which images, by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mammolens.core import Laterality, Mammogram, Source, TriageCategory
from mammolens.readings.answers import Answer, Mark

__all__ = ["Addition", "AiStatement", "Observer", "SignedReading"]


@dataclass(frozen=True)
class Observer:
    """A person who signed: the name that people read, and that of the account."""

    name: str
    account: str
    organisation: str | None = None


@dataclass(frozen=True)
class AiStatement:
    """What the AI said of an exam: a category, never more certain than it was."""

    category: TriageCategory
    model_name: str
    model_version: str
    has_doubts: bool = False


@dataclass(frozen=True)
class Addition:
    """Words that were added after the signature."""

    author: str
    text: str
    created: datetime


@dataclass(frozen=True)
class SignedReading:
    """What a person signed about an exam.

    `role` is ``first``, ``second``, ``arbiter`` or ``opinion``. `blinded` says that the first
    answer was given without the AI. `is_behind` says that images came after the signature, that
    another answer stands, or that a second reader is awaited. `ai` is ``None`` where there is no
    result, or it is not shown. An arbiter who marked nothing takes over the marks of the reader
    with whom they agree, `marked_by`; `marks_left_out` names others whose marks are in their own
    reports. `banner` must be visible wherever the exam is. `language` is that of the site's
    reports. `pictures` are the decoded images by SOP Instance UID, as far as they were asked for.
    """

    id: int
    role: str
    observer: Observer
    answer: Answer
    images: tuple[Source, ...]
    signed: datetime
    first_answer: Answer | None = None
    blinded: bool = False
    agreed: bool | None = None
    ai_shown: bool = False
    ai: AiStatement | None = None
    is_behind: bool = False
    marked_by: Observer | None = None
    marks_left_out: tuple[str, ...] = ()
    banner: str = ""
    language: str = "en"
    additions: tuple[Addition, ...] = ()
    pictures: Mapping[str, Mammogram] = field(default_factory=dict, repr=False)

    def source(self, uid: str) -> Source | None:
        """Give the image of a SOP Instance UID, if the exam has it."""
        return next((one for one in self.images if one.ref.sop_instance_uid == uid), None)

    def side_of(self, mark: Mark) -> Laterality | None:
        """Give the breast that a mark lies on, as far as its image tells."""
        source = self.source(mark.image)
        return source.ref.laterality if source else None
