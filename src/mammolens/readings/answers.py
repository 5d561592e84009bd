"""What a person says of an exam, and what it becomes when it is signed.

An answer has BI-RADS of each breast, density, recall, marks and words. Unknown is ``None``: a draft
may be open anywhere, and what is locked or signed is whole. A signed reading has all that a report
of it needs: whose it is, of which images, by whom.

Source: ACR BI-RADS Atlas, 5th edition (categories, density, lexicon of mammography).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from mammolens.core import Laterality, Mammogram, Source, TriageCategory

__all__ = [
    "DESCRIPTORS",
    "RECALLING",
    "Addition",
    "AiStatement",
    "Answer",
    "Assessment",
    "Assessments",
    "Density",
    "Descriptors",
    "Mark",
    "MarkShape",
    "Observer",
    "SignedReading",
    "Words",
    "contradictions",
    "disagreements",
    "missing_fields",
]

# Neither control characters nor marks that turn the direction of the text which follows.
_PLAIN: Final = r"^[^\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=_PLAIN)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, max_length=400, pattern=_PLAIN)]
Uid = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$")]
Name = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
BiRads = Literal["0", "1", "2", "3", "4", "5", "6"]
DensityCategory = Literal["a", "b", "c", "d"]
SpacingSource = Literal["calibrated", "magnification-corrected", "imager", "documented"]

RECALLING: Final = frozenset({"0", "4", "5"})
"""Categories that ask for more: 0 for further images, 4 and 5 for a biopsy. The bench counts the
same ones as recalled (`mammolens.bench.sections.readers`)."""
_GROUPS: Final = {"1": "negative", "2": "negative", "3": "probably benign", "0": "incomplete"} | {
    "4": "suspicious",
    "5": "suspicious",
    "6": "known cancer",
}
"""Two readers who differ by less than such a group agree in what is to be done."""
LARGEST_PX: Final = 65535.0
"""Rows and columns of a DICOM image are 16-bit numbers."""
MOST_MARKS: Final = 100

DESCRIPTORS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "mass": {
        "shape": ("oval", "round", "irregular"),
        "margin": ("circumscribed", "obscured", "microlobulated", "indistinct", "spiculated"),
        "density": ("high", "equal", "low", "fat-containing"),
    },
    "calcification": {
        "morphology": (
            *("typically-benign", "amorphous", "coarse-heterogeneous"),
            *("fine-pleomorphic", "fine-linear"),
        ),
        "distribution": ("diffuse", "regional", "grouped", "linear", "segmental"),
    },
    "asymmetry": {"kind": ("asymmetry", "global", "focal", "developing")},
    "distortion": {"cause": ("no-known-cause", "scar")},
}
"""What may be said of each kind of finding; the viewer has the same table (`descriptors.ts`)."""


class MarkShape(str, Enum):
    """How a place is marked."""

    POINT = "point"
    ELLIPSE = "ellipse"
    ARROW = "arrow"
    TEXT = "text"
    LENGTH = "length"


_POINTS: Final = {
    MarkShape.POINT: 1,
    MarkShape.TEXT: 1,
    MarkShape.ELLIPSE: 2,
    MarkShape.ARROW: 2,
    MarkShape.LENGTH: 2,
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Density(_Part):
    """Density of each breast."""

    right: DensityCategory | None = None
    left: DensityCategory | None = None


class Assessment(_Part):
    """Assessment of one breast."""

    birads: BiRads | None = None


class Assessments(_Part):
    """Assessment of each breast."""

    right: Assessment = Assessment()
    left: Assessment = Assessment()

    def of(self, side: Laterality) -> BiRads | None:
        """Give the category of one breast."""
        return self.right.birads if side is Laterality.RIGHT else self.left.birads


class Descriptors(_Part):
    """A kind of finding, and what was said of it by group."""

    type: Literal["mass", "calcification", "asymmetry", "distortion"]
    answers: dict[Name, Name] = Field({}, max_length=8)

    @model_validator(mode="after")
    def _are_known(self) -> Descriptors:
        for group, value in self.answers.items():
            if value not in DESCRIPTORS[self.type].get(group, ()):
                raise ValueError(f"not a descriptor of a {self.type}")
        return self


class Mark(_Part):
    """A mark on an image, in pixels of the stored picture: [x, y] = [column, row].

    `points_source_px`: of a point or text one; of an arrow tail and tip; of a length its ends; of
    an ellipse opposite corners of the rectangle around it. `length_mm` is what the viewer showed,
    with `spacing_source` saying where its spacing came from.
    """

    id: Name | None = None
    image: Uid
    frame: int = Field(1, ge=1, le=LARGEST_PX)
    shape: MarkShape
    points_source_px: list[tuple[float, float]] = Field(min_length=1, max_length=2)
    descriptors: Descriptors | None = None
    birads: BiRads | None = None
    text: Remark = ""
    length_mm: float | None = Field(None, gt=0, lt=1000, allow_inf_nan=False)
    spacing_source: SpacingSource | None = None

    @field_validator("points_source_px")
    @classmethod
    def _lie_in_a_picture(cls, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        for place in points:
            if not all(math.isfinite(value) and 0 <= value <= LARGEST_PX for value in place):
                raise ValueError("a point lies outside every picture")
        return points

    @model_validator(mode="after")
    def _has_its_points(self) -> Mark:
        if len(self.points_source_px) != _POINTS[self.shape]:
            raise ValueError(f"the shape {self.shape.value} has {_POINTS[self.shape]} points")
        return self


class Answer(_Part):
    """Everything that a person says of an exam; `urgent` is what the referrer must know at once."""

    density: Density = Density()
    assessments: Assessments = Assessments()
    recall: bool | None = None
    findings: list[Mark] = Field([], max_length=MOST_MARKS)
    comment: Words = ""
    urgent: Words = ""

    def breasts(self) -> tuple[tuple[Laterality, BiRads | None, DensityCategory | None], ...]:
        """Give each breast with its category and its density, the right one first."""
        return (
            (Laterality.RIGHT, self.assessments.right.birads, self.density.right),
            (Laterality.LEFT, self.assessments.left.birads, self.density.left),
        )


def missing_fields(answer: Answer, sides: Collection[Laterality]) -> list[str]:
    """Name what must still be said before an answer stands.

    Parameters
    ----------
    sides
        The breasts of which the exam has images; where none is known, one assessment is needed.

    Examples
    --------
    >>> missing_fields(Answer(recall=False), [Laterality.LEFT])
    ['assessments.left.birads']
    """
    names = {Laterality.RIGHT: "right", Laterality.LEFT: "left"}
    needed = [side for side in names if side in sides and answer.assessments.of(side) is None]
    missing = [f"assessments.{names[side]}.birads" for side in needed]
    if not sides and all(answer.assessments.of(side) is None for side in names):
        missing.append("assessments")
    if answer.recall is None:
        missing.append("recall")
    return missing


def contradictions(answer: Answer) -> list[str]:
    """Name what cannot stand without a word of explanation: suspicious, and yet no recall.

    Examples
    --------
    >>> suspicious = Assessments(left=Assessment(birads="4"))
    >>> contradictions(Answer(assessments=suspicious, recall=False))
    ['comment']
    """
    marked = {mark.birads for mark in answer.findings}
    said = {answer.assessments.right.birads, answer.assessments.left.birads} | marked
    unexplained = answer.recall is False and bool(said & RECALLING) and not answer.comment
    return ["comment"] if unexplained else []


def disagreements(one: Answer, other: Answer) -> list[str]:
    """Name what an arbiter must decide between two answers; densities are not among it.

    Examples
    --------
    >>> def said(birads, recall):
    ...     return Answer(assessments=Assessments(left=Assessment(birads=birads)), recall=recall)
    >>> disagreements(said("1", False), said("2", False))
    []
    >>> disagreements(said("2", False), said("4", True))
    ['recall', 'assessments.left.birads']
    """
    found = ["recall"] if one.recall is not other.recall else []
    for name, side in (("right", Laterality.RIGHT), ("left", Laterality.LEFT)):
        categories = [answer.assessments.of(side) for answer in (one, other)]
        groups = {_GROUPS.get(category or "", "none") for category in categories}
        if len(groups) > 1:
            found.append(f"assessments.{name}.birads")
    return found


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

    def marks_on(self, source: Source) -> list[tuple[int, Mark]]:
        """Give the marks on an image, each with its number in the answer."""
        numbered = enumerate(self.answer.findings, start=1)
        return [(n, mark) for n, mark in numbered if mark.image == source.ref.sop_instance_uid]

    def side_of(self, mark: Mark) -> Laterality | None:
        """Give the breast that a mark lies on, as far as its image tells."""
        source = self.source(mark.image)
        return source.ref.laterality if source else None
